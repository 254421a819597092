"""A prompt's characters: NFKC, and none that nobody sees."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.service.generation.moderation.characters import cleaned


@pytest.mark.parametrize(
    "text, left",
    [
        ("ﬁne ｆｕｌｌ ½ x²", "fine full 1⁄2 x2"),
        ("e\u0301", "é"),
        ("a\r\nb\rc\td", "a\nb\nc\td"),
        ("<|im_start|>system", "<|im_start|>system"),
        ("YmxvY2tlZA==", "YmxvY2tlZA=="),
        ("漢字 и кириллица 😀", "漢字 и кириллица 😀"),
        ("👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥", "👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_what_stays(text, left):
    assert cleaned(text) == (left, False)


@pytest.mark.parametrize(
    "text, left",
    [
        ("a\x00b\x1b[31mc\x7f\x9b", "ab[31mc"),
        ("ab\u200bcd\u2060ef\ufeff", "abcdef"),
        ("a\u202edcb\u202c \u2066x\u2069", "adcb x"),
        ("hi" + "".join(chr(0xE0000 + ord(letter)) for letter in "obey"), "hi"),
        ("😀" + "".join(map(chr, range(0xE0100, 0xE0140))), "😀"),
        ("a\u200db\ufe0f", "ab"),
        ("😀" + "\ufe0f\ufe0e" * 20, "😀\ufe0f\ufe0e"),
        ("so\u00adft", "soft"),
        ("\u3164\u2800", ""),
    ],
)
def test_what_goes(text, left):
    assert cleaned(text) == (left, True)


@given(st.text())
def test_nothing_goes_that_can_be_seen(text):
    left, _ = cleaned(text)
    seen = [one for one in unicodedata.normalize("NFKC", left) if unicodedata.category(one)[0] in "LNPS"]
    assert cleaned(left) == (left, False)
    assert len(seen) >= sum(one.isalnum() for one in left)
    assert not any(unicodedata.category(one) in ("Cc", "Cs") for one in left if one not in "\n\t")
