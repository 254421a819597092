"""Addresses and numbers that belong to somebody, replaced by what they are: [email], [card], [iban], [phone].

Found by their form, and where there is one by their checksum: cards by Luhn's (ISO/IEC 7812-1), IBANs by
their remainder modulo 97 (ISO 13616)."""

import re
from collections.abc import Callable

from apps.service.generation.moderation.window import Found

GAP = r"[ \-\u00a0\u00ad\u2000-\u200d\u2010-\u2015\u202f\u2060\ufeff]{0,2}"
SIGNS = GAP.replace("[ ", "[ ()./")  # what stands in phone numbers
LOCAL, AT, DOMAIN = r"[A-Za-z0-9._%+\-']{1,64}", "[@\uff20\ufe6b]", r"[\w.\-]"
EMAIL = re.compile(rf"{LOCAL}{AT}{DOMAIN}{{4,253}}(?!{DOMAIN})")
CARD = re.compile(rf"(?<!\d)\d(?:{GAP}\d){{12,18}}")
IBAN = re.compile(
    rf"(?<![A-Za-z0-9])[A-Za-z]{{2}}\d\d(?:{GAP}[A-Za-z0-9]{{4}}){{2,7}}(?:{GAP}[A-Za-z0-9]{{1,3}})?"
)
PHONE = re.compile(
    rf"(?<![A-Za-z0-9_+])(?:\+{GAP}\d(?:{SIGNS}\d){{7,14}}"
    rf"|\(\d{{3}}\){GAP}\d{{3}}{SIGNS}\d{{4}}|\d{{3}}[-. ]\d{{3}}[-. ]\d{{4}})(?!\d)"
)
HOST = re.compile(r"(?:[^\W_](?:[\w\-]{0,61}[^\W_])?\.)+[^\W\d_]{2,63}")
# Whatever any of them may begin with, up to the end of the text.
BEGUN = re.compile(
    rf"(?:{LOCAL}(?:{AT}{DOMAIN}{{0,253}})?"
    rf"|(?<![A-Za-z0-9])[A-Za-z]{{2}}\d\d(?:{GAP}[A-Za-z0-9]{{4}}){{0,7}}{GAP}[A-Za-z0-9]{{0,4}}"
    rf"|(?<!\d)(?:\+{GAP}|\()?\d(?:{SIGNS}\d){{0,18}}{SIGNS}"
    rf"|\+{GAP}|\()\Z"
)
MOST_HELD = 64 + 1 + 253
FIRST = range(2, 7)  # digits of cards
DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # a digit, and the sum of the result's
AT_SIGN, DIGIT = re.compile(AT), re.compile(r"\d")


def luhn(digits: str) -> bool:
    """Whether the last digit is the check of the others."""
    doubled = (DOUBLED[int(digit)] for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def is_card(text: str) -> bool:
    """In one piece, in groups of three digits and more, or digit by digit: a list of numbers is none."""
    digits = "".join(filter(str.isdecimal, text))
    if not 13 <= len(digits) <= 19 or int(digits[0]) not in FIRST or not luhn(digits):
        return False
    *groups, last = map(len, re.findall(r"\d+", text))
    return not groups or min(groups) >= 3 or max(*groups, last) == 1


def is_iban(text: str) -> bool:
    if len(text) < 15:
        return False
    letters = "".join(character for character in text if character.isalnum()).upper()
    if not letters.isascii() or not 15 <= len(letters) <= 34:
        return False
    return int("".join(str(int(letter, 36)) for letter in letters[4:] + letters[:4])) % 97 == 1


def is_email(text: str) -> bool:
    host = AT_SIGN.split(text)[-1]
    return len(host) < len(text) and HOST.fullmatch(host) is not None


KINDS = (("email", EMAIL, is_email), ("iban", IBAN, is_iban), ("card", CARD, is_card), ("phone", PHONE, bool))


class PersonalData:
    def window(self, found: Found) -> "PersonalDataWindow":
        return PersonalDataWindow(found)


class PersonalDataWindow:
    def __init__(self, found: Found) -> None:
        self._found = found
        self._text = "\n"  # the last character that went, and what is held

    def add(self, text: str) -> str:
        self._text += text
        return self._replaced(ended=False)

    def end(self) -> str:
        return self._replaced(ended=True)

    def _replaced(self, ended: bool) -> str:
        text, at, parts = self._text, 1, []
        while True:
            held = len(text) if ended else begun(text, at)
            start, end, kind = first(text, at, held)
            parts.append(text[at:start])
            at = end
            if not kind:
                break
            parts.append(f"[{kind}]")
            self._found(kind)
        self._text = text[at - 1 :]
        return "".join(parts)


def begun(text: str, at: int) -> int:
    """From where on something may go on in what comes next."""
    found = BEGUN.search(text, max(at, len(text) - MOST_HELD))
    return found.start() if found else len(text)


def first(text: str, at: int, until: int) -> tuple[int, int, str]:
    """Beginning, end and kind of the first thing that begins from `at` on and before `until`; both are
    `until`, and the kind is "", where there is none."""
    best = until, until, ""
    kinds = ()
    if DIGIT.search(text, at):
        kinds = KINDS if AT_SIGN.search(text, at) else KINDS[1:]
    elif AT_SIGN.search(text, at):
        kinds = KINDS[:1]
    for kind, pattern, is_one in kinds:
        here = at
        while (found := pattern.search(text, here)) and found.start() < best[0]:
            if end := longest(found, is_one):
                best = found.start(), end, kind
                break
            here = found.start() + 1
    return best


def longest(found: re.Match, is_one: Callable[[str], bool]) -> int:
    """Where the longest one ends that begins as `found` does; 0 where none does. No number and no name goes
    on there."""
    text, start = found.string, found.start()
    for end in range(found.end(), start, -1):
        last, following = text[end - 1], text[end : end + 1]
        whole = not following.isalnum() or (last.isdecimal() and not following.isdecimal())
        if last.isalnum() and whole and is_one(text[start:end]):
            return end
    return 0
