"""Who wants no language model pays nothing for it."""

import os
import subprocess
import sys

from classroom.servers import ROOT

HEAVY = ("apps.service.generation", "xllamacpp", "websockets", "psutil", "sqlalchemy")


def test_with_generation_off_nothing_of_it_is_imported():
    code = (
        "import sys; from apps import fastapi_app, flask_app; from apps.service import build;"
        "[app.create_app(build('an app', 8000)) for app in (fastapi_app, flask_app)];"
        f"print([name for name in [*sys.modules] if name.startswith({HEAVY!r})])"
    )
    env = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, encoding="utf-8"
    )
    assert done.stdout == "[]\n", done.stderr
