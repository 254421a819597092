"""What a prompt's characters are made into before anything else looks at them: NFKC
(https://www.unicode.org/reports/tr15/), and nothing that nobody sees.

Control characters other than the ends of lines and tabs go, and so do invisible ones, which can carry orders
to a model that its user does not see, and those that turn the direction of a text around."""

import unicodedata
from functools import lru_cache

# Join and shape letters of some scripts, and emoji: they stay behind such a one, two of them at most.
JOINERS = "\u200c\u200d\ufe0e\ufe0f"
MOST_JOINERS = 2
BLANKS = (
    "\u115f\u1160\u2800\u3164\uffa0"  # seen by nobody, though Unicode says that they are letters, or a sign
)
SELECTORS = range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0), range(0x180B, 0x1810)


@lru_cache(maxsize=1 << 16)
def is_hidden(character: str) -> bool:
    if character in "\n\t":
        return False
    category = unicodedata.category(character)
    return (
        category in ("Cc", "Cf", "Cs")
        or character in BLANKS
        or any(ord(character) in selectors for selectors in SELECTORS)
    )


def cleaned(text: str) -> tuple[str, bool]:
    """The text, and whether anything had to be taken out of it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text, False
    kept, joined = [], MOST_JOINERS
    for character in text:
        if not is_hidden(character):
            joined = MOST_JOINERS if character.isascii() else 0
        elif character in JOINERS and joined < MOST_JOINERS:
            joined += 1
        else:
            continue
        kept.append(character)
    return unicodedata.normalize("NFKC", "".join(kept)), len(kept) < len(text)
