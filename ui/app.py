"""The Streamlit page: python -m streamlit run ui/app.py, in the project's folder.

Its pages are main.py's; beside them it has one route of its own, for what is to be downloaded.

FASTAPI_URL and FLASK_URL say where the servers are (http://127.0.0.1:8000 and http://127.0.0.1:5000),
FASTAPI_METRICS_URL and FLASK_METRICS_URL where their metrics are (the same host, port + 100, /metrics),
FASTAPI_PUBLIC_URL and FLASK_PUBLIC_URL where a browser finds them, if elsewhere, FASTAPI_LOG and FLASK_LOG
their logs, and BOOK_URL where the book can be read, if it can.
"""

import sys
from pathlib import Path

from streamlit.starlette import App

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:  # Streamlit puts the script's folder on the path, not the project's
    sys.path.insert(0, str(HERE.parent))

from ui import downloads  # noqa: E402

app = App(HERE / "main.py", routes=downloads.ROUTES)
