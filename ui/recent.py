"""The requests of this browser, to look at and to send again."""

import streamlit as st

from ui import client, visit, wire
from ui.notices import show


def show_recent() -> None:
    """The requests of this browser, the bytes that went and came, and each to be sent again."""
    kept = list(visit.current().requests)
    if not kept:
        return
    with st.container(key="panel-recent"):
        st.header("Recent requests", anchor=False)
        one = st.selectbox(
            f"The last {len(kept)} of this browser, from Predict and Compare"
            if len(kept) > 1
            else "The last one",
            kept,
            format_func=lambda recent: recent.label,
            key=f"recent {kept[0].at}",  # the latest is shown when it comes
        )
        again, switch = st.columns([1, 1], vertical_alignment="center")
        if again.button("Send it again", icon=":material/replay:"):
            answer = client.send_again(one.exchange)
            if isinstance(answer, client.Failure):
                show(answer)
            else:
                words = one.words if answer.text == one.exchange.text else ""
                visit.current().remember(answer, words)
                st.rerun()
        with switch:
            raw = wire.raw_switch("recent")
        request, response = st.columns(2, gap="medium")
        with request:
            st.header("Request", anchor=False)
            wire.request(one.exchange, raw)
        with response:
            st.header("Response", anchor=False)
            wire.response(one.exchange, raw)
