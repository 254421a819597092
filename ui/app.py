"""The Streamlit page: python -m streamlit run ui/app.py, in the project's folder.

FASTAPI_URL and FLASK_URL say where the servers are (http://127.0.0.1:8000 and http://127.0.0.1:5000),
FASTAPI_METRICS_URL and FLASK_METRICS_URL where their metrics are (the same host, port + 100, /metrics),
FASTAPI_PUBLIC_URL and FLASK_PUBLIC_URL where a browser finds them, if elsewhere, FASTAPI_LOG and FLASK_LOG
their logs, and BOOK_URL where the book can be read, if it can.
"""

import sys
from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:  # Streamlit puts the script's folder on the path, not the project's
    sys.path.insert(0, str(HERE.parent))

from ui import history, page, visit  # noqa: E402
from ui.servers import servers  # noqa: E402

# The pages' folder is not named pages: Streamlit would run its files by themselves for whoever comes first.
pages = [
    st.Page(HERE / "views" / "predict.py", title="Predict", default=True),
    st.Page(HERE / "views" / "batch.py", title="Batch"),
    st.Page(HERE / "views" / "compare.py", title="Compare"),
    st.Page(HERE / "views" / "follow.py", title="Follow"),
    st.Page(HERE / "views" / "load.py", title="Load"),
    st.Page(HERE / "views" / "health.py", title="Health"),
    st.Page(HERE / "views" / "access.py", title="Access"),
]
chosen = st.navigation(pages, position="hidden")
st.set_page_config(page_title=f"{chosen.title} · Servelab", page_icon=str(HERE / "mark.svg"), layout="wide")
st.html(HERE / "style.css")
visit.keep()
history.watch(servers())
with st.container(key="top", horizontal=True, gap="small"):  # Streamlit's own bar folds away on a phone
    for link in pages:
        st.page_link(link, width="content")
if chosen.title != "Access":
    st.session_state.pop("new key", None)  # it was shown once
page.mark_changes()
chosen.run()
page.end()
