"""Follow: one request through a server or through both, step by step, and what it leaves behind."""

import json
from dataclasses import dataclass
from secrets import token_hex

import pandas as pd
import streamlit as st

from ui import book, client, inputs, page, trail, waterfall
from ui.card import Card
from ui.choice import about
from ui.notices import plain, show
from ui.prediction import Prediction
from ui.servers import Server, servers
from ui.waterfall import ANSWERED, BACK, CONNECTED, SENT, Clock, Step

BOTH = "Both"
# Of each step: what it is; FastAPI's file that does it and Flask's; lesson and section that explain it.
STEPS = {
    CONNECTED: (
        "The page had no open connection to the server and made one.",
        ("ui/client.py", "ui/client.py"),
        (8, "Whoever measures a server must not wait for it"),
    ),
    SENT: (
        "The page wrote the request to the connection. The server begins to read before that is done.",
        ("ui/client.py", "ui/client.py"),
        (5, "A contract is what a client may rely on"),
    ),
    "received": (
        "From the request's first byte to its last: a large body or a slow network makes this long.",
        ("apps/servers/http_parser.py", "apps/servers/http_parser.py"),
        (6, "A limit is a decision so it is a setting"),
    ),
    "taken up": (
        "The request was there, and waited for the event loop (FastAPI) or a thread (Flask) to have time.",
        ("apps/frameworks/asgi.py", "apps/frameworks/wsgi.py"),
        (8, "An async function that computes stops everybody"),
    ),
    "validated": (
        "The view was found, its JSON read, and the features held against the model's card.",
        ("apps/service/bodies.py", "apps/service/bodies.py"),
        (6, "A guess at what was meant becomes a prediction"),
    ),
    "waited": (
        "For the model to be free, and for its answer to come back. ONNX answers at once; a scikit-learn "
        "model has a thread of its own, where a request waits for those before it.",
        ("apps/service/batching.py", "apps/service/batching.py"),
        (8, "What waits together can be computed together"),
    ),
    "predicted": (
        "The model computed. Everything else on this page is there to bring features here and answers back.",
        ("apps/service/model.py", "apps/service/model.py"),
        (8, "A faster model is worth what it has of the whole"),
    ),
    "encoded": (
        "The answer was put together and written as JSON.",
        ("apps/frameworks/fastapi_views.py", "apps/frameworks/flask_views.py"),
        (8, "What is left is the framework, and a view can be compiled"),
    ),
    ANSWERED: (
        "What the server did in this time it does not tell.",
        ("apps/service/requests.py", "apps/service/requests.py"),
        (7, "A trace shows where the time of one request went"),
    ),
    BACK: (
        "The answer went to the connection, and the page read it to its last byte.",
        ("apps/frameworks/asgi.py", "apps/frameworks/wsgi.py"),
        (7, "A log line is for a machine"),
    ),
}


@dataclass(frozen=True)
class Followed:
    """A request that was sent to a server, with all that was found out about it."""

    server: Server
    answer: tuple[Prediction, client.Exchange] | client.Failure
    request_id: str
    steps: list[Step]
    line: str | None
    moved: list[trail.Moved] | client.Failure | None  # None: a minimal server, which counts nothing

    @property
    def exchange(self) -> client.Exchange | None:
        return self.answer.exchange if isinstance(self.answer, client.Failure) else self.answer[1]


def main() -> None:
    page.begin(
        "Follow a request",
        "Send one request and see where its time goes, and what it leaves behind in the server.",
        {7: " reads logs, metrics and traces"},
    )
    pair = servers()
    names = [*(server.name for server in pair), BOTH]
    marks = {server.name: server.mark for server in pair}
    chosen = st.segmented_control(
        "Server",
        names,
        default=st.session_state.get("followed server", BOTH),
        required=True,
        format_func=lambda name: f"{marks.get(name, '')} {name}".strip(),
    )
    st.session_state["followed server"] = chosen
    asked = [server for server in pair if chosen in (server.name, BOTH)]
    card, failures = client.first_card([*asked, *(server for server in pair if server not in asked)])
    if card is None:
        for failure in failures:
            show(failure)
        st.button("Try again", icon=":material/refresh:")
        return
    about(card)
    with st.container(key="panel-input"):
        st.header("Input", anchor=False)
        inputs.examples(card)
        with st.expander("Values"):
            row = inputs.fields(card, "follow")
        kept = {"on_click": inputs.keep, "args": (card, "follow")}
        if st.button("Follow it", type="primary", icon=":material/send:", **kept):
            st.session_state["followed"] = card.key, row, [follow(server, row, card) for server in asked]
    key, sent, found = st.session_state.get("followed", ("", [], []))
    if key != card.key or [one.server for one in found] != asked:
        st.caption("Nothing sent yet. Choose an example or type values, then press Follow it.")
        return
    if sent != row:
        st.caption("What follows is the way of the request before: the values have changed since.")
    draw(found)
    for column, one in zip(st.columns(len(found), gap="medium"), found, strict=True):
        with column, st.container(key=f"panel-left-{one.server.name.lower()}"):
            left_behind(one)
    if shown := [name for name in STEPS if any(step.name == name for one in found for step in one.steps)]:
        with st.container(key="panel-steps"):
            explain(shown, [one.server for one in found])


def follow(server: Server, row: list[float], card: Card) -> Followed:
    """Send the row, and look for what it left behind. A question for the server's health goes before, so that
    the connection is open: to open one belongs to no request in particular."""
    request_id, clock = token_hex(16), Clock()
    health = client.health(server)
    if isinstance(health, client.Failure):
        return Followed(server, health, request_id, [], None, health)
    before = None if health.minimal else trail.series(server)
    answer = client.predict(server, row, card, request_id=request_id, trace=clock)
    exchange = answer.exchange if isinstance(answer, client.Failure) else answer[1]
    if exchange is None:
        return Followed(server, answer, request_id, [], None, answer)
    log = trail.log_of(server)
    return Followed(
        server,
        answer,
        request_id,
        waterfall.steps(clock, exchange.headers, server),
        trail.log_line(log, request_id) if log and not health.minimal else None,
        trail.moved(before, server) if isinstance(before, dict) else before,
    )


def draw(found: list[Followed]) -> None:
    """The way through each server, on one scale."""
    ends = [one.steps[-1].end for one in found if one.steps]
    for column, one in zip(st.columns(len(found), gap="medium"), found, strict=True):
        with column, st.container(key=f"panel-way-{one.server.name.lower()}", height="stretch"):
            st.header(f"{one.server.mark} {one.server.name}", anchor=False)
            if isinstance(one.answer, client.Failure):
                show(one.answer)
            if not one.steps:
                continue
            words = "" if isinstance(one.answer, client.Failure) else f"{plain(one.answer[0].words)} · "
            st.caption(f"{words}status {one.exchange.status}, {one.steps[-1].end:.2f} ms in all")
            st.altair_chart(
                waterfall.chart(one.steps, one.server, max(ends)),
                width="stretch",
                alt="A bar for each step, from its start to its end, as in the table below.",
            )
            figures = waterfall.figure
            rows = [(step.name, figures(step.start), figures(step.milliseconds)) for step in one.steps]
            frame = pd.DataFrame(rows, columns=["step", "begins at, ms", "takes, ms"])
            st.table(frame, hide_index=True, border="horizontal", alt="The steps of the request")
            if not waterfall.timing(one.exchange.headers):
                untold(one.server)
    if any(waterfall.timing(one.exchange.headers) for one in found if one.exchange):
        st.caption(
            "Filled bars are the server's own times, from its header Server-Timing; hollow ones the page has "
            "measured. The last one, pale, belongs to both. Two processes have two clocks: of the time on "
            "the way, half is taken to have passed before the server began and half after it ended. One "
            "request says little about speed: send it again, and see how much changes."
        )


def untold(server: Server) -> None:
    st.caption(
        f"{server.name} does not tell what it did in between. The full servers do with SERVER_TIMING=1, "
        "which `python kit.py up` sets. To start this one so:"
    )
    for command in timed(server):
        st.code(command, language=None, wrap_lines=True)


def timed(server: Server) -> tuple[str, ...]:
    """What starts the server so that it tells its times, in bash and in PowerShell."""
    port = "" if server.port in (None, server.default_port) else server.port
    bash = f"SERVER_TIMING=1 {f'PORT={port} ' if port else ''}python -m {server.module}"
    shell = f'$env:SERVER_TIMING = "1"; {f"$env:PORT = {chr(34)}{port}{chr(34)}; " if port else ""}'
    return bash, f"{shell}python -m {server.module}"


def left_behind(one: Followed) -> None:
    """Its ids, its line in the log, and the metrics that it moved."""
    st.header(f"What it left behind in {one.server.name}", anchor=False)
    if one.exchange is None:
        st.caption("Nothing: no answer came.")
        return
    told = one.exchange.headers.get("x-request-id")
    if told == one.request_id:
        st.markdown(f"**Request id** `{one.request_id}`")
        st.caption("The page made it up and sent it along; the answer and the log carry it.")
    if trace := trail.trace_id(one.exchange):
        st.markdown(f"**Trace id** `{trace}`")
        st.caption(
            "Every service that this request passes through writes the same one; where traces are collected, "
            f"the steps stand under it. {book.lesson(7, 'A trace shows where the time of one request went')}"
        )
    st.markdown("**Log line**")
    if one.line:
        st.code(indented(one.line), language="json", wrap_lines=True)
        st.caption(
            "In the file it is one line. `ms` is how long the server was busy with it, from the moment in "
            "which it took it up. There are no features in it: a log is read by many. "
            f"{book.lesson(7, 'A log line is for a machine')}"
        )
    elif told == one.request_id:
        st.caption(
            "The page cannot see this server's log. Look for the request's id where the server writes it, "
            "in its terminal or in a file:"
        )
        st.code(f"grep {one.request_id} .kit/logs/*.log", language=None, wrap_lines=True)
        st.code(f"Select-String {one.request_id} .kit/logs/*.log", language=None, wrap_lines=True)
    else:
        st.caption("A minimal server gives its requests no id, and logs none.")
    st.markdown("**Metrics that moved**")
    counted(one.moved)


def indented(line: str) -> str:
    """A line of JSON with a member to a line; one of LOG_FORMAT=text as it is."""
    try:
        return json.dumps(json.loads(line), indent=2)
    except ValueError:
        return line


def counted(moved: list[trail.Moved] | client.Failure | None) -> None:
    if moved is None:
        st.caption("What answers here is a minimal server, which counts nothing.")
        return
    if isinstance(moved, client.Failure):
        st.caption(plain(f"{moved.sentence} {moved.remedy}"))
        return
    if not moved:
        st.caption("None yet: several workers bring their counts together once a second.")
        return
    names = [f"{one.name} ({one.labels})" if one.labels else one.name for one in moved]
    rows = [(plain(f"{one.meaning}: {name}"), change(one)) for name, one in zip(names, moved, strict=True)]
    frame = pd.DataFrame(rows, columns=["metric", "moved by"])
    st.table(frame, hide_index=True, border="horizontal", alt="What changed between two looks at the metrics")
    st.caption(
        "The difference between a look before and one after; what others asked in between is in it too. "
        + book.lesson(7, "A counter only goes up, a rate is its slope")
    )


def change(one: trail.Moved) -> str:
    by = one.after - one.before
    return f"{by:+.0f}" if by == int(by) else f"{by:+.6f}"


def explain(names: list[str], pair: list[Server]) -> None:
    """What each step is, which file does it, and which lesson explains it."""
    st.header("What each step is", anchor=False)
    for name in names:
        what, files, (number, section) = STEPS[name]
        used = {server.name: files[server.name == "Flask"] for server in pair}
        if len({*used.values()}) == 1:
            where = book.file(next(iter(used.values())))
        else:
            where = ", ".join(f"{framework}: {book.file(file)}" for framework, file in used.items())
        st.markdown(f"**{name}**: {what}  \n{where}. {book.lesson(number, section)}.")


main()
