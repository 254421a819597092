"""What is blocked never leaves, whatever the pieces; what is not leaves as it came, and soon."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pieces import cut, ignored, places, streamed

from apps.service.generation.moderation.blocked_words import MOST_HELD, BlockedWords, words_of
from apps.service.settings import SettingsError

# By hand, to compare with: what each letter of the words below may look like, among the characters drawn.
LOOKS = {
    **{"b": "bBЬв🅱", "l": "lL1I|", "o": "oOо0ö", "c": "cCс", "k": "kKк", "e": "eE3е", "d": "dD𝐝"},
    **{"a": "aA@а", "s": "sS$ѕ", "y": "yYу", "u": "uU", "t": "tT", "p": "pP"},
}
SIGNS = "!$@|🅱"  # read as letters, and between words as well
HIDDEN, SEPARATORS, OTHERS = "\u200b\u0301\u00ad", " \n.-_*🙂" + SIGNS, "xzж漢9"
CHARACTERS = "".join(LOOKS.values()) + HIDDEN + SEPARATORS + OTHERS
WORDS = ["blocked", "bad*", "*duck*", "let us"]


def words(*entries: str) -> BlockedWords:
    found = BlockedWords()
    for entry in entries:
        found.add(entry)
    return found


def pattern(entry: str) -> str:
    """The rule as a regular expression."""
    hidden, word = f"[{HIDDEN}]*", "[^\\W_]"
    letters = [" " if one == " " else f"[{re.escape(LOOKS[one])}]" for one in entry.strip("*")]
    between = f"(?:{hidden}(?!{word})[^{HIDDEN}]){{1,3}}{hidden}"
    joined = "".join(f"{between}" if one == " " else f"{one}{hidden}" for one in letters)
    spelled = between.join(one for one in letters if one != " ")
    before = "" if entry.startswith("*") else f"(?<!{word})(?<!{word}[{HIDDEN}])(?<!{word}[{HIDDEN}]{{2}})"
    after = "" if entry.endswith("*") else f"(?:(?<=[{SIGNS}])|(?!{hidden}{word}))"
    return f"(?:{before}{joined}|(?<!{word})(?<!{word}[{HIDDEN}])(?<!{word}[{HIDDEN}]{{2}}){spelled}){after}"


PATTERNS = [re.compile(pattern(entry)) for entry in WORDS]


def is_letter(character: str) -> bool:
    return character.isalpha() or character == "🅱"


def is_blocked(text: str) -> bool:
    return any(
        any(map(is_letter, found[1]))
        for one in PATTERNS
        for found in re.finditer(f"(?=({one.pattern}))", text)
    )


def likeness(word: str) -> st.SearchStrategy[str]:
    """Ways to write a word, some of them in vain."""
    letters = [st.sampled_from(LOOKS.get(one, one)) for one in word]
    between = st.sampled_from(["", "", "", " ", "  ", ". ", "\u200b", "\u0301\u0301"])
    parts = [part for letter in letters for part in (letter, between)][:-1]
    spelled = st.tuples(st.sampled_from([" ", "-", "  ", "\n.\n"]), st.tuples(*letters))
    return st.one_of(
        st.tuples(*letters).map("".join),
        st.tuples(*parts).map("".join),
        spelled.map(lambda drawn: drawn[0].join(drawn[1])),
    )


noise = st.text(st.sampled_from(CHARACTERS), max_size=6)
likenesses = st.one_of(*(likeness(word.strip("*")) for word in WORDS))
# No longer runs of hidden characters than two, which is all that the comparison looks back over.
texts = st.lists(st.one_of(noise, likenesses, st.sampled_from([" ", "ed", "s"])), max_size=8).map("".join)
texts = texts.filter(lambda text: not re.search(f"[{HIDDEN}]{{3}}", text))


@given(texts, places)
@example("a blocked word", [])
@example("b l o c k e d", [])
@example("unblocked blockeds blocked-", [])
@example("I bet us, let\nus go", [])
@example("1ET_U$B@D", [])
@example("blockedduck", [])
@example("blockedduo blockedducky", [])
def test_what_is_blocked_never_leaves_and_the_rest_leaves_as_it_came(text, where):
    def seen(fed, left):
        assert fed.startswith(left)
        assert not is_blocked(left)
        assert len(fed) - len(left) <= MOST_HELD

    left, rule = streamed(words(*WORDS).window(ignored), cut(text, where), seen)
    assert rule == ("blocked-words" if is_blocked(text) else "")
    assert text.startswith(left) and not is_blocked(left)
    assert rule or left == text


@given(texts, places)
def test_the_pieces_make_no_difference_at_any_moment(text, where):
    blocked = words(*WORDS)
    by_character = {}

    def note(fed, left):
        by_character[len(fed)] = left

    whole = streamed(blocked.window(ignored), [text])
    assert streamed(blocked.window(ignored), list(text), note) == whole
    streamed(
        blocked.window(ignored), cut(text, where), lambda fed, left: by_character[len(fed)] == left or 1 / 0
    )
    assert streamed(blocked.window(ignored), cut(text, where)) == whole


@given(st.text(), places)
def test_any_text_leaves_unchanged_or_not_at_all(text, where):
    left, rule = streamed(words(*WORDS).window(ignored), cut(text, where))
    assert left == text if not rule else text.startswith(left)


@pytest.mark.parametrize(
    "text",
    [
        "blocked",
        "This is BLOCKED.",
        "bl\u043ecked",
        "ｂｌｏｃｋｅｄ",
        "𝐛𝐥𝐨𝐜𝐤𝐞𝐝",
        "bl0cked",
        "bIocked",
        "b l o c k e d",
        "b.l.o.c.k.e.d",
        "b\nl\no\nc\nk\ne\nd",
        "blo\u200bcked",
        "blo\u00adcked",
        "blóckéd",
        "b\u0336l\u0336o\u0336c\u0336k\u0336e\u0336d\u0336",
        "🅱locked",
        "🇧 🇱 🇴 🇨 🇰 🇪 🇩",
        "ⓑⓛⓞⓒⓚⓔⓓ",
        "_blocked_",
        "blocked's",
        "b" + "\u200b" * 40 + "locked",
    ],
)
def test_ways_to_write_a_word_that_are_found(text):
    left, rule = streamed(words("blocked").window(ignored), text)
    assert rule in ("blocked-words", "hidden-characters")
    assert left in ("", "This is ", "_")


@pytest.mark.parametrize(
    "text",
    ["unblocked", "blockeds", "block ed", "blo cked", "bl-ocked", "b    l    o    c    k    e    d", "block"],
)
def test_other_words_pass(text):
    assert streamed(words("blocked").window(ignored), text) == (text, "")


def test_digits_alone_are_no_word():
    assert streamed(words("lol").window(ignored), "It costs 101 euros, 1 0 1.") == (
        "It costs 101 euros, 1 0 1.",
        "",
    )
    assert streamed(words("lol").window(ignored), "l0l")[1] == "blocked-words"
    assert streamed(words("1488").window(ignored), "in 1488 it")[1] == "blocked-words"


def test_an_answer_is_held_back_only_where_a_word_may_have_begun():
    window = words("blocked").window(ignored)
    assert window.add("The capital") == "The capital"
    assert window.add(" of b") == " of "
    assert window.add("l") == ""
    assert window.add("ue is") == "blue is"
    assert window.end() == ""


def test_of_two_rules_of_one_text_the_first_counts():
    left, rule = streamed(words("blocked", "good day").window(ignored), "A good day, blocked")
    assert (left, rule) == ("A ", "blocked-words")


def test_the_words_of_a_file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# ours\n\nblocked\n  Zwölf*  \n", encoding="utf-8")
    for text in ("blocked", "Zwölftonmusik", "zwolf"):
        assert streamed(words_of(path).window(ignored), text)[1] == "blocked-words"
    assert streamed(words_of(path).window(ignored), "fuck") == ("fuck", "")  # in place of our own


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"blocked\n!!!\n", b"a" * 65, None])
def test_a_file_that_cannot_be_used_ends_the_start(tmp_path, content):
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match="^GENERATION_BLOCKED_WORDS: ") as raised:
        words_of(path)
    assert ("line 2" in str(raised.value)) == (content == b"blocked\n!!!\n")


def test_our_own_words():
    own = words_of(None)
    for text in ("What the FUCK?", "s h i t", "You motherfucker", "kill yourself"):
        assert streamed(own.window(ignored), text)[1] == "blocked-words"
    for text in ("Scunthorpe has a therapist.", "kill the process", "a classic cockpit", "Niger, snigger"):
        assert streamed(own.window(ignored), text) == (text, "")
