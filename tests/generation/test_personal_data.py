"""Addresses and numbers are replaced, whatever the pieces; everything else leaves as it came."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pieces import cut, places, streamed

from apps.service.generation.moderation.personal_data import MOST_HELD, PersonalData

# What payment systems give for tests, and IBANs that the registry of SWIFT shows.
CARDS = ["4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "4222222222222"]
IBANS = [
    "DE89370400440532013000",
    "GB82WEST12345698765432",
    "NO9386011117947",
    "MT84MALT011000012345MTLCAST001S",
]
EMAILS = ["alice@example.com", "a.b+c_d@mail.example.co.uk", "O'Neil@EXAMPLE.org", "x@müller.example"]
PHONES = ["+49 89 1234567", "+1 (555) 123-4567", "(555) 123-4567", "555-123-4567", "+442071838750"]
GAPS = ["", " ", "-", "\u00a0", "\u200b"]


def replaced(text: str) -> tuple[str, list[str]]:
    found: list[str] = []
    left, _ = streamed(PersonalData().window(found.append), [text])
    return left, found


def grouped(number: str) -> st.SearchStrategy[str]:
    return st.sampled_from(GAPS).map(lambda gap: gap.join(re.findall(".{1,4}", number)))


secrets = st.one_of(st.sampled_from(CARDS + IBANS).flatmap(grouped), st.sampled_from(EMAILS + PHONES))
words = st.sampled_from(
    ["my", " ", "\n", " is ", ", ", ". ", "ß", "12", " 2026 ", "AB12 ", "@", "+", "(", "-", "at"]
)
noise = st.text(st.sampled_from("aZß0419 .,-+()@_/\n\u200b漢"), max_size=8)
texts = st.lists(st.one_of(secrets, words, noise), max_size=8).map("".join)


@given(texts, places)
@example("4111 1111 1111 1111 22", [])
@example("alice@example.com.", [])
def test_the_pieces_make_no_difference_at_any_moment(text, where):
    by_character = {}

    def note(fed, left):
        by_character[len(fed)] = left

    def compare(fed, left):
        assert by_character[len(fed)] == left

    data = PersonalData()
    whole = replaced(text)
    found: list[str] = []
    assert streamed(data.window(found.append), list(text), note) == (whole[0], "")
    assert found == whole[1]
    assert streamed(data.window(found.append), cut(text, where), compare) == (whole[0], "")


plain = st.text(st.characters(exclude_categories=["Nd", "Cs"], exclude_characters="@\uff20\ufe6b"))


@given(plain, places)
def test_a_text_without_numbers_and_addresses_leaves_as_it_came(text, where):
    assert streamed(PersonalData().window(pytest.fail), cut(text, where)) == (text, "")


@given(st.text(), places)
def test_never_more_than_so_much_is_held_back(text, where):
    found: list[str] = []

    def seen(fed, left):
        assert found or (fed.startswith(left) and len(fed) - len(left) <= MOST_HELD)

    streamed(PersonalData().window(found.append), cut(text, where), seen)


around = st.sampled_from(["", " ", "my card: ", "(", ", ", "Call ", "\n", "ü", "漢"])


@given(around, secrets, around, places)
def test_none_leaves_whatever_stands_around_it_and_however_it_is_cut(before, secret, after, where):
    if after[:1].isalpha() and not secret[0].isdecimal():
        after = " " + after  # that would be another address
    text = before + secret + after
    found: list[str] = []
    left, _ = streamed(PersonalData().window(found.append), cut(text, where))
    assert len(found) == 1 and f"[{found[0]}]" in left
    assert not re.search(r"\d{3}|@", left)


@pytest.mark.parametrize("number", CARDS)
def test_cards_by_their_checksum(number):
    assert replaced(f"It is {number}.") == ("It is [card].", ["card"])
    for digit in range(9):
        wrong = number[:-1] + str((int(number[-1]) + 1 + digit) % 10)
        assert replaced(f"It is {wrong}.") == (f"It is {wrong}.", [])


@pytest.mark.parametrize("number", IBANS)
def test_ibans_by_their_checksum(number):
    spaced = " ".join(re.findall(".{1,4}", number))
    assert replaced(f"To {number}, please") == ("To [iban], please", ["iban"])
    assert replaced(f"To {spaced} this week") == ("To [iban] this week", ["iban"])
    wrong = f"{number[:2]}{(int(number[2:4]) + 1) % 100:02}{number[4:]}"
    assert "iban" not in replaced(f"To {wrong}, please")[1]


@pytest.mark.parametrize("address", EMAILS)
def test_addresses(address):
    assert replaced(f"Write to {address}. Or not") == ("Write to [email]. Or not", ["email"])
    assert replaced(f"<{address}>,") == ("<[email]>,", ["email"])


@pytest.mark.parametrize("number", PHONES)
def test_phone_numbers(number):
    assert replaced(f"Call {number}, or not") == ("Call [phone], or not", ["phone"])


@pytest.mark.parametrize(
    "text",
    [
        "In 1969, 12 men; 3.14159265358979 and 2026-11-28 10:59:01.123456",
        "print(x@y) and user@localhost and @alice, a@b",
        "127.0.0.1:8000, 10.0.0.0/8 and 2001:db8::1",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
        "SE35 and no12 with some more here text",
        "1234567890 31415926535897932384626433832795028841971693993751",
        "+1, +2 and 5+49",
    ],
)
def test_numbers_that_are_nobodys(text):
    assert replaced(text) == (text, [])


def test_a_word_leaves_when_the_next_begins():
    window = PersonalData().window(pytest.fail)
    assert [window.add(token) for token in ["The", " capital", " of", " France", "."]] == [
        "",
        "The ",
        "capital ",
        "of ",
        "",
    ]
    assert window.add("\n") == "France.\n"
    assert window.end() == ""
