"""What the lessons import: `from classroom import check, hint, solution, serve, stopwatch, …`.

Importing it also puts the project's root on the path, so that a lesson, which runs in `notebooks/`, can
import `model_training` and `apps`. Names are imported when first used: a lesson that draws nothing does
not wait for matplotlib.
"""

import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
# From 3.13 on, a Python that a notebook starts would colour its tracebacks with escape sequences.
os.environ.setdefault("PYTHON_COLORS", "0")

_HOMES = {
    "check": ".exercises",
    "hint": ".exercises",
    "solution": ".exercises",
    "stopwatch": ".timing",
    "palette": ".plots",
    "figure": ".plots",
    "show": ".plots",
    "serve": ".servers",
    "start": ".servers",
}
__all__ = ["ROOT", *_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)
