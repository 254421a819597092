"""The texts at which a generation stops, looked for in a text that comes in pieces."""


class Stops:
    """Holds back what could be the beginning of one of them."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held = ""
        self.found = False

    def add(self, piece: str) -> str:
        """What may go out now. With `found`, the text ends with it: a stop came next."""
        text = self._held + piece
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self._held, self.found = "", True
            return text[: min(places)]
        begun = max((begun_by(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - begun :]
        return text[: len(text) - begun]

    def rest(self) -> str:
        """What was held back, and at the end was no stop."""
        held, self._held = self._held, ""
        return held


def begun_by(text: str, stop: str) -> int:
    """How many characters at the text's end are the beginning of `stop`."""
    sizes = range(min(len(stop) - 1, len(text)), 0, -1)
    return next((size for size in sizes if text.endswith(stop[:size])), 0)
