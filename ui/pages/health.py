"""Health: how both servers are, asked anew every few seconds."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import streamlit as st

from ui import client
from ui.notices import show
from ui.servers import Server, servers

EVERY = 3  # seconds


@st.fragment(run_every=EVERY)
def states() -> None:
    """Both servers side by side. Only this part of the page is drawn again."""
    pair = servers()
    with ThreadPoolExecutor(len(pair)) as pool:  # so that a slow one does not delay the other
        found = list(pool.map(client.health, pair))
    for column, server, health in zip(st.columns(2, gap="medium"), pair, found, strict=True):
        with column, st.container(key=f"panel-{server.name.lower()}"):
            state(server, health)
    st.caption(f"Asked at {datetime.now():%H:%M:%S}; asked again every {EVERY} seconds.")


def state(server: Server, health: client.Health | client.Failure) -> None:
    st.header(f"{server.mark} {server.name}", anchor=False)
    if isinstance(health, client.Failure):
        st.badge("Not available", icon=":material/cancel:", color="red")
        show(health)
        return
    if health.ready:
        st.badge("Ready", icon=":material/check_circle:", color="green")
    else:
        st.badge("Running, without a model", icon=":material/warning:", color="orange")
    facts = {
        "Model": health.model,
        "Version": health.version,
        "Up for": None if health.uptime_seconds is None else duration(health.uptime_seconds),
        "Answered in": f"{health.exchange.milliseconds:.1f} ms",
        "Address": server.url,
        "Program": health.app,
    }
    st.table(
        {"": {name: value for name, value in facts.items() if value}}, border="horizontal", hide_header=True
    )
    if not health.ready:
        because = f": {health.reason}" if health.reason else "."
        show(
            client.Failure(
                server,
                f"{server.name} cannot predict{because}",
                "Train a model; the server takes it up by itself, and this page shows it.",
                client.TRAIN,
            )
        )


def duration(seconds: float) -> str:
    """For example "42 s", "3 min 5 s", "2 h 10 min", "4 d 3 h"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


st.title("Health", anchor=False)
st.markdown("Whether each server is up, and which model it serves.")
states()
