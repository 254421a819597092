"""The checks of lesson 06."""

import json
import re
import tempfile
from pathlib import Path
from types import SimpleNamespace

import httpx
from pydantic import ValidationError

from ..exercises import NotYet, exercise, shown
from ..servers import Server

USE, CHANGE, WAIT, TELL = "use it", "change the request", "wait and send it again", "tell the operator"
SECOND = {"Retry-After": "1"}
# Status, headers, the right word, and what to ask who gives another.
ANSWERS = (
    (200, {}, USE, "What does the table say of 2xx?"),
    (400, {}, CHANGE, "Whose turn is it after a 4xx?"),
    (404, {}, CHANGE, "Whose turn is it after a 4xx?"),
    (422, {}, CHANGE, "Do you look at one status, or at its first digit?"),
    (500, {}, TELL, "Can the client mend a 5xx?"),
    (502, {}, TELL, "Do you look at one status, or at its first digit?"),
    (503, SECOND, WAIT, "What does the header Retry-After promise?"),
    (429, {"Retry-After": "30"}, WAIT, "Which comes first, the digit or the header?"),
    (503, {}, TELL, "Nobody said when. How long would you wait?"),
    (503, {"Retry-After": "0"}, WAIT, "Is the header there?"),
    (200, SECOND, USE, "Is that an error?"),
    (201, {}, USE, "Is 200 the only status that begins with a 2?"),
    (204, {}, USE, "Is 200 the only status that begins with a 2?"),
)


@exercise(
    "6.1",
    hints=(
        "An answer of httpx has `status_code` and `headers`. Which of the two cuts across the other?",
        "Once the successes are out of the way: if you ask for the header next, how few comparisons of the "
        "status are left?",
        "`answer.status_code // 100` is the first digit. Which digit says that nothing is wrong?",
    ),
)
def whose_turn(answers):
    next_step = answers.function("next_step")
    for status, headers, expected, question in ANSWERS:
        said = next_step(httpx.Response(status, headers=headers))
        if said is None:
            raise NotYet("expected a text, got None. Does every way through end in a `return`?")
        if said not in (USE, CHANGE, WAIT, TELL):
            raise NotYet(
                f'expected one of the four texts, got {shown(said)}. Is it "{expected}", to the letter?'
            )
        if said != expected:
            when = f" with Retry-After: {headers['Retry-After']}" if headers else ""
            raise NotYet(f'after a {status}{when} expected "{expected}", got "{said}". {question}')
    return f"{len(ANSWERS)} answers, and each time the right person."


CANARY, CARD = "hunter2", 4111111111111111
# The body, what the sentence must hold (a place, a thing expected), and what to ask where it does not.
BODIES = (
    (f'{{"features": ["{CANARY}", 3.5]}}', ("features", "0", "number"), "What are `loc` and `msg` here?"),
    ('{"features": [5.1, 3.5, NaN]}', ("features", "2", "finite"), "What are `loc` and `msg` here?"),
    ('{"features": [1.0, "a", "b"]}', ("1", "number"), "Which of the errors is the first?"),
    ("{}", ("features", "required"), "What are `loc` and `msg` here?"),
    (f'{{"features": {CARD}}}', ("features", "array|list"), "What are `loc` and `msg` here?"),
    (
        f'{{"features": [1.0], "{CANARY}": 1}}',
        (r"\S",),
        "Who chose the name in `loc`, and what is `type` then?",
    ),
    (f'{{"features": [1.0], "a": "{CANARY}"}}', (r"\S",), "Who wrote the text in `input`?"),
    (f'["{CANARY}"]', (r"object|valid",), "What is `loc` where the whole body is wrong?"),
    (f'{{"features": [5.1, "{CANARY}', ("JSON",), "What does `msg` say of a body that is cut off?"),
)


@exercise(
    "6.2",
    hints=(
        "`error.errors()[0]` is the first of them. Which two of its four entries did pydantic write, and not "
        "the client?",
        "`loc` is a tuple such as `('features', 0)`. How do you join texts and numbers with dots?",
        "Where the `type` is `extra_forbidden`, the last part of `loc` is a name that the client made up. "
        "What can your sentence say in its place?",
    ),
)
def say_no_without_repeating(answers):
    detail_of, flower = answers.function("detail_of"), answers["StrictFlower"]
    for body, wanted, question in BODIES:
        try:
            flower.model_validate_json(body)
        except ValidationError as error:
            said = detail_of(error)
        else:
            raise NotYet(f"`StrictFlower` takes {body}, expected a refusal. Have you changed it?")
        if not isinstance(said, str):
            raise NotYet(f"for {body} expected a sentence, got {shown(said)}. Is a text what you return?")
        for secret, what in ((CANARY, "the client's own word"), (str(CARD), "the client's own number")):
            if secret in said:
                raise NotYet(
                    f"for {body} the sentence holds {what}: expected none of it, got {shown(said)}. "
                    f"{question}"
                )
        missing = [each for each in wanted if not re.search(each, said, re.IGNORECASE)]
        if missing:
            asked = " and ".join(f"'{each.replace('|', ' or ')}'" for each in missing if each != r"\S")
            asked = asked or "a sentence"
            raise NotYet(f"for {body} expected {asked} in it, got {shown(said)}. {question}")
    return f"{len(BODIES)} refusals that help, and none that tells tales."


def entry(event: str, id: str, **fields) -> str:
    return json.dumps(
        {"timestamp": "2026-01-01T00:00:00Z", "level": "info", "event": event, "request_id": id, **fields}
    )


LOG = "\n".join(
    (
        "a library says hello, and not in JSON",
        entry("model loaded", "none"),
        entry("request", "ticket-4710", status=400, problem="invalid-json"),
        entry("prediction failed", "ticket-47", error="ValueError"),
        entry("request", "ticket-47", status=400, problem="prediction-failed"),
        entry("answer logged elsewhere", "ticket-47"),
        json.dumps({"event": "stopped"}),
        "{ also not JSON: ticket-4711",
        entry("request", "ticket-9", status=200, trace_id="ticket-4799"),
        "",
    )
)


@exercise(
    "6.3",
    hints=(
        '`server.log.read_text(encoding="utf-8").splitlines()` are the lines. What does `json.loads` do with '
        "one that is not JSON?",
        "`ticket-47` is a part of `ticket-4710`. What do you have to compare, the line or one of its values?",
        'Not every event has an id. What do `line.get("request_id")` and `line["request_id"]` do then?',
    ),
    seconds=20,
)
def the_line_of_one_request(answers):
    line_of = answers.function("line_of")
    with tempfile.TemporaryDirectory() as folder:
        server = SimpleNamespace(log=Path(folder) / "server.log")
        server.log.write_text(LOG, encoding="utf-8")
        found = a_line(line_of(server, "ticket-47"), "ticket-47")
        if found["request_id"] != "ticket-47":
            raise NotYet(
                f"asked for ticket-47, expected its line, got the one of {found['request_id']}. What is "
                "ticket-47 a part of?"
            )
        if found.get("event") != "request":
            raise NotYet(
                f'asked for ticket-47, expected the event "request", got {shown(found.get("event"))}. Which '
                "of the events with that id is written when the answer has gone out?"
            )
        for id, where in (("ticket-4711", "a line that is no JSON"), ("ticket-4799", "a trace_id")):
            if (found := line_of(server, id)) is not None:
                raise NotYet(
                    f"{id} stands only in {where}: expected None, got {shown(found)}. What do you compare?"
                )
        server.log.write_text("", encoding="utf-8")
        if (found := line_of(server, "ticket-47")) is not None:
            raise NotYet(f"the log is empty: expected None, got {shown(found)}. Where does it come from?")
    for server in running(answers):
        answer = server.get("/nowhere", headers={"X-Request-ID": "check-6.3"})
        server.get("/health/live")  # once this is answered, the line before it has been written
        found = a_line(line_of(server, "check-6.3"), "check-6.3")
        if found.get("status") != answer.status_code:
            raise NotYet(
                f"your {server.name} server answered {answer.status_code} to check-6.3, and the line says "
                f"{shown(found.get('status'))}. Which line is it?"
            )
    return "found by its id, and by nothing else."


def a_line(found, id: str) -> dict:
    if found is None:
        raise NotYet(
            f"asked for {id}, which is in the log: expected its line, got None. Where does it get lost?"
        )
    if isinstance(found, str):
        raise NotYet(
            f"asked for {id}, expected a dictionary, got the text. What makes a dictionary of a line?"
        )
    if not isinstance(found, dict) or "request_id" not in found:
        raise NotYet(
            f"asked for {id}, expected the line as a dictionary, got {shown(found)}. What do you return?"
        )
    return found


def running(answers) -> list[Server]:
    try:
        servers = list(answers["servers"].values())
    except Exception:
        return []
    return [server for server in servers if isinstance(server, Server) and server.alive]


# What the server answers, one after the other (the last one for ever), the budget, the pauses that are right,
# the status in the end, and what to ask. A number is a status with Retry-After, a text one without.
SCRIPTS = (
    ("a prediction at once", ("200",), 10, [], 200, "Is there anything to wait for?"),
    ("a 400", ("400",), 10, [], 400, "Will the same bytes be right a second later?"),
    ("a 500", ("500",), 10, [], 500, "Did anybody say when?"),
    ("one 503 that says 1 s, then a prediction", ((503, 1), "200"), 10, [1], 200, "How long did it say?"),
    ("one 503 that says 3 s, then a prediction", ((503, 3), "200"), 10, [3], 200, "How long did it say?"),
    ("a 429 that says 2 s, then a prediction", ((429, 2), "200"), 10, [2], 200, "What carries Retry-After?"),
    ("a 503 that says 1 s, then a 400", ((503, 1), "400"), 10, [1], 400, "Is every answer looked at?"),
    ("three times a 503 that says 1 s, then a prediction", ((503, 1),) * 3 + ("200",), 10, [1, 2, 4], 200,
     "What is each later pause, compared with the one before?"),
    ("a 503 that says 1 s, one that says 5 s, a prediction", ((503, 1), (503, 5), "200"), 10, [1, 5], 200,
     "Which is more, twice the last pause or what the header says?"),
    ("a 503 that says 1 s, for ever", ((503, 1),), 10, [1, 2, 4], 503, "What would the next add up to?"),
    ("a 503 that says 60 s", ((503, 60),), 10, [], 503, "Does that pause fit into the budget?"),
    ("a 503 that says 1 s, for ever", ((503, 1),), 7, [1, 2, 4], 503, "Is 7 longer than 7?"),
)  # fmt: skip


class Endless(Exception):
    """The client goes on where it should have ended."""


@exercise(
    "6.4",
    hints=(
        "Which single question about the answer decides whether you send again?",
        "You need to remember one number from pause to pause. Which `max(…, …)` gives the next one?",
        "Keep what is left of the budget. When do you hold the next pause against it: before you sleep or "
        "after?",
    ),
)
def patience_with_an_end(answers):
    ask_patiently = answers.function("ask_patiently")
    if {"sleep", "time", "asyncio"} & set(
        getattr(answers["ask_patiently"], "__code__", entry.__code__).co_names
    ):
        raise NotYet(
            "your function waits with a `sleep` of its own, expected the argument `sleep`: `sleep(seconds)`. "
            "How else could the check see how long you wait, without waiting?"
        )
    for what, script, budget, pauses, status, question in SCRIPTS:
        slept, sent = [], []

        def send(script=script, sent=sent):
            step = script[min(len(sent), len(script) - 1)]
            sent.append(step)
            if len(sent) > 40:
                raise Endless("sent 40 times")
            code, seconds = step if isinstance(step, tuple) else (int(step), None)
            return httpx.Response(code, headers={} if seconds is None else {"Retry-After": str(seconds)})

        said = f"the server answers with {what}, and the budget is {budget} s"
        try:
            answer = ask_patiently(send, slept.append, budget)
        except NotYet as raised:
            if isinstance(raised.__cause__, Endless):
                raise NotYet(
                    f"{said}: expected pauses of {pauses} s and an end, and it was sent 40 times, with "
                    f"pauses of {slept[:4]} s and so on. {question}"
                ) from None
            raise
        if slept and not all(isinstance(pause, int | float) for pause in slept):
            raise NotYet(
                f"{said}: expected to sleep for numbers, got {shown(slept[0])}. What is a header's type?"
            )
        if pauses and not slept and len(sent) > 1:
            raise NotYet(
                f"{said}: expected pauses of {pauses} s, and it was sent {len(sent)} times with no pause. "
                "What is the argument `sleep` for?"
            )
        if slept != pauses:
            raise NotYet(f"{said}: expected pauses of {pauses} s, got {slept}. {question}")
        if getattr(answer, "status_code", None) != status:
            got = getattr(answer, "status_code", None) or shown(answer)
            raise NotYet(
                f"{said}: expected to get the {status} back, got {got}. What do you return, and when?"
            )
        if len(sent) != len(pauses) + 1:
            raise NotYet(
                f"{said}: expected {len(pauses) + 1} requests, got {len(sent)}. What follows a pause?"
            )
    return f"{len(SCRIPTS)} servers asked: as often as it helps, and not once more."
