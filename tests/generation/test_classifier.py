"""The trained classifier, where it is installed: what it refuses never leaves, in whatever pieces."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pieces import cut, ignored, places, streamed

from apps.service.generation.moderation.classifier import Classifier, classifier_of
from apps.service.generation.moderation.sentences import MOST_HELD, end_of
from apps.service.settings import SettingsError

pytest.importorskip("profanity_check", reason="needs alt-profanity-check")
OFFENSIVE, ODD = "You are a stupid idiot.", "How do I kill a child process?"


@pytest.fixture(scope="module")
def classifier():
    return Classifier(0.9)


def test_whole_sentences_are_judged(classifier):
    assert streamed(classifier.window(ignored), f"Hello there. {OFFENSIVE} Bye.") == (
        "Hello there. You are a ",
        "classifier",
    )
    text = f"{ODD} It was killed. Hell has nine circles in this old Italian poem.\nWhat now"
    assert streamed(classifier.window(ignored), text) == (text, "")


def test_the_threshold(classifier):
    assert streamed(Classifier(0.5).window(ignored), ODD)[1] == "classifier"
    assert streamed(Classifier(1.0).window(ignored), "Shut up.") == ("Shut up.", "")


def test_look_alikes(classifier):
    assert streamed(classifier.window(ignored), "You are a stup\u0456d \u0456d\u0456ot.")[1] == "classifier"


def test_what_is_harmless_is_not_held_back(classifier):
    window = classifier.window(ignored)
    assert [window.add(token) for token in ["The", " capital", " of", " idiots"]] == [
        "",
        "The ",
        "capital ",
        "of ",
    ]


sentences = st.lists(
    st.one_of(
        st.sampled_from([OFFENSIVE, ODD, "Shut up", "stupid ", "idiot", "! ", ".\n", "? ", "a" * 299]),
        st.text(max_size=5),
    ),
    max_size=6,
).map("".join)


@given(text=sentences, where=places)
def test_the_pieces_make_no_difference_at_any_moment(classifier, text, where):
    by_character = {}

    def note(fed, left):
        by_character[len(fed)] = left
        assert len(fed) - len(left) <= MOST_HELD + 1

    def compare(fed, left):
        assert by_character[len(fed)] == left

    whole = streamed(classifier.window(ignored), [text])
    assert streamed(classifier.window(ignored), list(text), note) == whole
    assert streamed(classifier.window(ignored), cut(text, where), compare) == whole
    assert text.startswith(whole[0]) and (whole[1] or whole[0] == text)
    rest = whole[0]
    while rest and not whole[1]:
        end = end_of(rest) or len(rest)
        suspicious = classifier.suspicious & set(re.findall(r"\w+", rest[:end].lower()))
        assert not (suspicious and classifier.is_offensive(rest[:end]))
        rest = rest[end:]


def test_off_and_not_installed(monkeypatch):
    assert classifier_of("off", 0.9) is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="GENERATION_CLASSIFIER: alt-profanity-check is not installed"):
        classifier_of("on", 0.9)
