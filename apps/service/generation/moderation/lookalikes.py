"""What a character may be read as: the letters that it is, and those that it looks like.

Looks are those of Unicode's table of confusables (https://www.unicode.org/reports/tr39/), as the package
confusable-homoglyphs has it, as far as they are one letter or digit of ASCII, and the few below."""

import re
import unicodedata
from functools import cache, lru_cache
from typing import NamedTuple

# What people write for letters on purpose, and Cyrillic small letters that look like small capitals.
WRITTEN_FOR = {
    **{"0": "o", "1": "il", "3": "e", "@": "a", "$": "s", "!": "i", "|": "il", "I": "l"},
    **dict(zip("вкмнт", "bkmht", strict=True)),
}
# 🅱, ʙ, ɓ, 🇧: Unicode has no decomposition of them, and their names tell.
NAMED = re.compile(
    r"LATIN (?:SMALL LETTER|CAPITAL LETTER|LETTER SMALL CAPITAL) ([A-Z])(?: WITH .*)?$"
    r"|REGIONAL INDICATOR SYMBOL LETTER ([A-Z])$"
)
FILLERS = "\u115f\u1160\u3164\uffa0"  # letters, says Unicode, and nothing to see


class Reading(NamedTuple):
    """Of one character."""

    letters: tuple[str, ...]  # what it may stand for, in lower case, what it is first
    is_word: bool  # whether it is a part of words
    is_hidden: bool  # whether nobody sees it beside others: marks, joiners, format characters


@cache
def confusables() -> dict[str, set[str]]:
    from confusable_homoglyphs.confusables import confusables_data

    found: dict[str, set[str]] = {}
    for written, looks in confusables_data.items():
        character = bare(written)
        letters = {bare(look["c"]).lower() for look in looks}
        letters = {letter for letter in letters if len(letter) == 1 and letter.isascii() and letter.isalnum()}
        if len(character) == 1 and not character.isascii() and letters:
            found[character] = letters
    return found


def bare(text: str) -> str:
    """Decomposed, without its marks and format characters."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if unicodedata.category(part) not in ("Mn", "Me", "Cf"))


@lru_cache(maxsize=1 << 16)
def reading(character: str) -> Reading:
    category = unicodedata.category(character)
    if category in ("Mn", "Me", "Cf", "Cs") or character in FILLERS:
        return Reading((), False, True)
    if category == "Cc":
        return Reading((), False, character not in "\t\n\r\f\v")
    own = "".join(part for part in bare(character).casefold() if part.isalnum())
    looks: set[str] = set()
    for form in (character, character.casefold(), own):
        looks |= confusables().get(form, set()) | set(WRITTEN_FOR.get(form, ""))
    if named := NAMED.search(unicodedata.name(character, "")):
        looks.add((named[1] or named[2]).lower())
    if "l" in looks:
        looks.add("i")  # they look alike, and each like 1 and |
    others = sorted(looks - {own})
    return Reading(tuple(filter(None, (own, *others))), bool(own) or category == "Mc", False)


def plain(text: str) -> str:
    """As it reads: look-alikes of ASCII's letters as these, in lower case."""
    return text.lower() if text.isascii() else "".join(map(plain_character, text))


@lru_cache(maxsize=1 << 16)
def plain_character(character: str) -> str:
    found = reading(character)
    if found.is_hidden:
        return ""
    return next((letters for letters in found.letters if letters.isascii()), character.lower())
