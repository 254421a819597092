"""The checks of lesson 13. No check measures time."""

import json

import httpx
from httpx_sse import EventSource

from ..exercises import NotYet, exercise, shown
from .attended import ATTENDED, cancelled_itself, left_first, work_first

# --- 13.1

TEXTS = (
    ("The", "Where do you make JSON of it?"),
    (" the", "What does a reader take away after the colon?"),
    ("Roses are red.\n\nViolets are blue.", "What ends an event?"),
    ("one\rtwo\r\nthree", "Which other characters end a line?"),
    ("ok\n\nevent: error\ndata: call 555-0100", "Who may write a line of its own?"),
    ("", "What is sent of an empty text?"),
    ("für 5 € \u2028 \U0001f600", "What does JSON make of them?"),
    ({"choices": [{"delta": {"content": 'a "b"\n'}}]}, "Which kinds of data does your frame take?"),
    (None, "Which kinds of data does your frame take?"),
)


def events_in(text: str) -> list[tuple[str, str]]:
    """Name and data of each event, as a browser would read them."""
    answer = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=text.encode())
    return [(event.event, event.data) for event in EventSource(answer).iter_sse()]


def framed(frame, data, event: str, question: str) -> None:
    made = frame(data, event) if event else frame(data)
    call = f"frame({shown(data)}{f', {event!r}' if event else ''})"
    if not isinstance(made, str):
        raise NotYet(f"{call} gave {shown(made)}, expected a text. What does your function return?")
    found = events_in(made)
    if len(found) != 1:
        raise NotYet(
            f"{call} arrived as {len(found)} events, expected 1. {question}"
            if made.endswith("\n\n")
            else f"{call} does not end with an empty line, so that it is no event yet. What ends one?"
        )
    name, text = found[0]
    if name != (event or "message"):
        raise NotYet(
            f"{call} arrived with the name {name!r}, expected {event or 'message'!r}. In which line is the "
            "name, and before which other one?"
        )
    try:
        read = json.loads(text)
    except ValueError:
        raise NotYet(f"the data of {call} arrived as {shown(text)}, which is no JSON. {question}") from None
    if read != data:
        raise NotYet(f"the data of {call} arrived as {shown(read)}, expected {shown(data)}. {question}")


@exercise(
    "13.1",
    hints=(
        "Which function of `json` makes one line of any data, whatever is in it?",
        "An event is its lines and an empty one. How many newlines come after the last line?",
        "Where does the line with the name stand, and what happens to it where there is no name?",
    ),
)
def a_frame(answers):
    frame = answers.function("frame")
    for data, question in TEXTS:
        framed(frame, data, "", question)
        framed(frame, data, "error", question)
    return "one event for each, whatever is in it, and its reader has back what you sent."


# --- 13.2


def chunk(**delta) -> tuple[str, str]:
    return "message", json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


USAGE = ("message", json.dumps({"choices": [], "usage": {"completion_tokens": 3}}))
FIRST, SECOND = chunk(role="assistant", content="The "), chunk(content="sea")
ROLE, LAST, DONE = chunk(role="assistant"), chunk(), ("message", "[DONE]")
FAILED = ("error", json.dumps({"error": {"message": "the model has failed", "code": "generation-failed"}}))
LATER = ("speed", "42 tokens a second")

STREAMS = (
    ([FIRST, SECOND, LAST, DONE], ("The sea", "whole"), "a whole answer", "What does `[DONE]` say?"),
    (
        [FIRST, SECOND],
        ("The sea", "cut"),
        "a stream that ends without `[DONE]`",
        "Who says that it is whole?",
    ),
    ([FIRST, FAILED], ("The ", "failed"), "a stream with an error", "Which name does the event have?"),
    ([FAILED], ("", "failed"), "an error before the first token", "What was the text until then?"),
    ([], ("", "cut"), "a stream without events", "Who says that it is whole?"),
    ([ROLE, FIRST, USAGE, DONE], ("The ", "whole"), "a chunk without content", "What is not in every chunk?"),
    ([FIRST, LATER, SECOND, DONE], ("The sea", "whole"), "an event named speed", "Which names do you know?"),
    (
        [FIRST, httpx.RemoteProtocolError("peer closed connection"), SECOND, DONE],
        ("The ", "cut"),
        "a line that breaks (RemoteProtocolError)",
        "What does `events` raise then?",
    ),
    (
        [FIRST, httpx.ReadTimeout("timed out")],
        ("The ", "cut"),
        "a line that falls silent (ReadTimeout)",
        "What do all these errors have in common?",
    ),
    ([chunk(content="[DONE]"), DONE], ("[DONE]", "whole"), "a model that says [DONE]", "Is it an end?"),
)


class Stream:
    """Yields its events, and raises the errors among them; `past` is what was asked for after the end."""

    def __init__(self, events) -> None:
        self._events, self._ended, self.past = iter(events), False, 0

    def __iter__(self) -> "Stream":
        return self

    def __repr__(self) -> str:
        return "events"

    def __next__(self):
        if self._ended:
            self.past += 1
            raise StopIteration
        event = next(self._events)
        if isinstance(event, Exception):
            raise event
        self._ended = event in (DONE, FAILED)
        return event


@exercise(
    "13.2",
    hints=(
        "Go through the pairs with a `for`. Which names do you know, and what do you do with the rest?",
        "`chunk['choices']` may be empty, and a `delta` without content has no such key. What does `.get` "
        "give you in its place?",
        "There are three ways out: at `[DONE]`, at an error, and when the loop is over or its line broke. "
        "Which of them needs an `except`?",
    ),
)
def whole_failed_or_cut(answers):
    read, past = answers.function("read"), 0
    for events, expected, what, question in STREAMS:
        stream = Stream(events)
        said = read(stream)
        if not isinstance(said, tuple) or len(said) != 2:
            raise NotYet(f"read(…) gave {shown(said)}, expected a text and a word. What do you return?")
        if said != expected:
            raise NotYet(f"of {what} read(…) made {shown(said)}, expected {expected}. {question}")
        past += stream.past
    if past:
        raise NotYet(
            "read(…) asked for more events after the end, expected it to stop there: the line may stay open. "
            "When do you return?"
        )
    return "whole, failed or cut, and nothing is taken for an answer that is none."


# --- 13.3


@exercise(
    "13.3",
    hints=(
        "Which function of asyncio makes a task of a coroutine, and which waits until the first of several "
        "has ended?",
        "`task.cancel()` asks a task to end. What tells you that it has?",
        "In which block does that stand, so that it happens too where `work` raises, and where somebody "
        "cancels `attended` in its `await`?",
    ),
    seconds=30,
)
def the_first_of_two(answers):
    answers.not_tried_if_cell_is(ATTENDED)
    answers.function("attended")
    attended, gone = answers["attended"], answers["Gone"]
    work_first(attended)
    left_first(attended, gone)
    cancelled_itself(attended)
    return "the first of the two counts, and neither goes on."


# --- 13.4


class Reader:
    """A reader and a model, with a box between, at times that are told."""

    def __init__(self, put, take) -> None:
        self.box, self._put, self._take = {}, put, take
        self.happened: list[str] = []

    def put(self, now: float, expected: bool, question: str) -> None:
        said = self._put(self.box, f"piece {now:g}", now)
        self.happened.append(f"put at {now:g}")
        if said is not expected:
            raise NotYet(
                f"after {', '.join(self.happened[-4:-1]) or 'nothing'}: put at {now:g} gave {shown(said)}, "
                f"expected {expected}. {question}"
            )

    def take(self, now: float, expected: list[float], question: str) -> None:
        said = self._take(self.box, now)
        self.happened.append(f"take at {now:g}")
        pieces = [f"piece {at:g}" for at in expected]
        if said != pieces:
            raise NotYet(
                f"after {', '.join(self.happened[-4:-1])}: take at {now:g} gave {shown(said)}, expected "
                f"{pieces}. {question}"
            )


@exercise(
    "13.4",
    hints=(
        "From when on has the reader taken nothing that it could have taken? Where do you note it, and who "
        "changes it?",
        "A piece comes into an empty box. What does the time in which nobody took anything, before that, say "
        "of the reader?",
        "What does `put` do where the limit is over, this time and ever after?",
    ),
)
def a_reader_with_a_limit(answers):
    put, take = answers.function("put"), answers.function("take")
    reader = Reader(put, take)
    for now in (0.0, 1.0, 2.0):
        reader.put(now, True, "Who is cut off before ten seconds?")
    reader.take(3.0, [0, 1, 2], "What waits, and in which order?")
    reader.take(4.0, [], "What is left when all was taken?")
    reader.put(50.0, True, "Nothing waited from 3 to 50. Was the reader slow, or the model?")
    reader.put(59.9, True, "Since when has something waited?")
    reader.put(60.0, False, "How long has the piece of 50 waited?")
    reader.put(61.0, False, "What becomes of one who was cut off?")
    reader.take(62.0, [], "What is kept for one who was cut off?")
    reader.put(63.0, False, "What becomes of one who was cut off?")
    steady = Reader(put, take)
    for now in range(0, 60, 5):
        steady.put(float(now), True, "It took something five seconds ago. Does it read?")
        steady.put(now + 1.0, True, "It took something five seconds ago. Does it read?")
        steady.take(now + 2.0, [now, now + 1], "What waits, and in which order?")
    quick = Reader(put, take)
    for number in range(2000):
        quick.put(number / 1000, True, "How long has it waited? Is there any other bound?")
    quick.put(10.0, False, "How long has the piece of 0 waited?")
    drip = Reader(put, take)
    for now in range(10):
        drip.put(float(now), True, "How long has the piece of 0 waited?")
    drip.put(10.0, False, "Does the time begin anew with each piece that comes?")
    return "the model never waits, who reads is left in peace, and who does not is cut off."
