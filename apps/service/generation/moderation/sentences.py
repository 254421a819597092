"""A text sentence by sentence, for rules that need a whole one to judge."""

import re
from abc import ABC, abstractmethod

from apps.service.generation.scheduler import Forbidden

END = re.compile(r"[.!?…]+(?=\s)|\n")
MOST_HELD = 300  # characters: a longer sentence is taken for two


class SentenceWindow(ABC):
    """Holds sentences back until they have been judged."""

    def __init__(self) -> None:
        self._sentence = ""  # so far
        self._gone = 0  # so many of its characters have gone already
        self._parts: list[str] = []

    @abstractmethod
    def judged(self, sentence: str) -> str:
        """What may go of a whole one, with what of it has gone already. Raises Forbidden, which ends the text
        before it."""

    def harmless(self, sentence: str) -> int:
        """So many characters of one that has not ended may go, whatever comes."""
        return 0

    def add(self, text: str) -> str:
        self._sentence += text
        while end := end_of(self._sentence):
            self._judge(end)
        harmless = self.harmless(self._sentence)
        if harmless > self._gone:
            self._parts.append(self._sentence[self._gone : harmless])
            self._gone = harmless
        return self._taken()

    def end(self) -> str:
        self._judge(len(self._sentence))
        return self._taken()

    def _judge(self, end: int) -> None:
        sentence, gone = self._sentence[:end], self._gone
        try:
            self._parts.append(self.judged(sentence)[gone:])
        except Forbidden as error:
            raise Forbidden(error.rule, self._taken() + error.before) from None
        self._sentence, self._gone = self._sentence[end:], 0

    def _taken(self) -> str:
        text, self._parts = "".join(self._parts), []
        return text


def end_of(text: str) -> int:
    """Where its first sentence ends; 0 where it may go on."""
    found = END.search(text)
    if found and found.end() <= MOST_HELD:
        return found.end()
    return MOST_HELD if len(text) > MOST_HELD else 0
