"""A text in pieces, and what comes out of a window for them."""

from hypothesis import strategies as st

from apps.service.generation.scheduler import Forbidden


def cut(text: str, places: list[int]) -> list[str]:
    """The text in pieces, cut at these places."""
    at = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in zip(at, at[1:], strict=False)]


places = st.lists(st.integers(0, 10_000), max_size=12)


def streamed(window, pieces, seen=None) -> tuple[str, str]:
    """What left, and the rule that stopped it, or "". `seen(fed, left)` is called after each piece."""
    fed = left = ""
    try:
        for piece in pieces:
            fed += piece
            left += window.add(piece)
            if seen:
                seen(fed, left)
        left += window.end()
    except Forbidden as forbidden:
        return left + forbidden.before, forbidden.rule
    return left, ""


def ignored(rule: str) -> None:
    """For what a window has found."""
