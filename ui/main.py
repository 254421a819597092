"""What every page has around it, and which of them is shown; app.py starts it."""

import sys
from pathlib import Path

import streamlit as st

# Altair imports jsonschema, which for the formats of addresses would build a grammar: a second, for nothing.
sys.modules.setdefault("rfc3987_syntax", None)

from ui import history, page, visit  # noqa: E402
from ui.servers import servers  # noqa: E402

HERE = Path(__file__).resolve().parent

# The pages' folder is not named pages: Streamlit would run its files by themselves for whoever comes first.
pages = [
    st.Page(HERE / "views" / "predict.py", title="Predict", default=True),
    st.Page(HERE / "views" / "batch.py", title="Batch"),
    st.Page(HERE / "views" / "compare.py", title="Compare"),
    st.Page(HERE / "views" / "models.py", title="Models"),
    st.Page(HERE / "views" / "chat.py", title="Chat"),
    st.Page(HERE / "views" / "follow.py", title="Follow"),
    st.Page(HERE / "views" / "load.py", title="Load"),
    st.Page(HERE / "views" / "health.py", title="Health"),
    st.Page(HERE / "views" / "monitor.py", title="Monitor"),
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
page.prepare()
chosen.run()
page.end()
