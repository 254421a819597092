"""A language model further on, which says what its prompt asks for; and servers that pass it on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.generation.openai_like import DONE, Answer, OpenAILike, chunk, openai_like

ENDLESS = 2000  # pieces, one each
PACE = 0.1  # seconds


def said(text: str, finish_reason: str | None = None) -> str:
    return chunk(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}])


@contextmanager
def talkative() -> Iterator[OpenAILike]:
    """By the first word of the last message: `slowly` never comes to an end, `break` breaks off, `mail` and
    `word` say what filters find, and all else is answered with "Well, " and the message."""
    with openai_like() as found:

        def completes(answer: Answer) -> None:
            asked = found.asked[-1][2]["messages"][-1]["content"]
            first = asked.split()[0].lower()
            answer.begin()
            if first == "slowly":
                with suppress(OSError):
                    for number in range(ENDLESS):
                        answer.send(said(f"step {number}, "))
                        time.sleep(PACE)
            elif first == "break":
                answer.send(said("It begins, "), said("and "))
            else:
                pieces = {
                    "mail": ["Write", " to", " a@example", ".org", " today."],
                    "word": ["It", " is", " blo", "cked", " now."],
                }.get(first, ["Well, ", *asked])
                answer.send(*map(said, pieces), said("", "stop"), DONE)

        found.completes = completes
        yield found
