"""One policy for prompts and answers, in whatever pieces: what it lets pass, refuses, counts and logs."""

import base64
import json
from io import BytesIO, TextIOWrapper
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pieces import cut, places, streamed
from prometheus_client import generate_latest

from apps.service.access.callers import Caller
from apps.service.generation.moderation import Policy, steps_of
from apps.service.generation.moderation.blocked_words import MOST_HELD as WORDS_HELD
from apps.service.generation.moderation.personal_data import MOST_HELD as DATA_HELD
from apps.service.generation.runtime import Prompt
from apps.service.logs import configure
from apps.service.metrics import Metrics
from apps.service.problems import Problem
from apps.service.settings import Settings, SettingsError

CARD = "4111111111111111"
REPLACED = {"email", "card", "iban", "phone"}
CONTEXT = SimpleNamespace(request_id="r-1", caller=None)


class Watched:
    """A policy, and what it counts and logs."""

    def __init__(self, path: Path, content: str = "blocked\nvery bad\n", **settings) -> None:
        path.write_text(content, encoding="utf-8")
        given = {"generation_blocked_words": path, "log_format": "json"}
        self.settings = Settings.model_construct(**given | settings)
        self.metrics, self._stream = Metrics("fastapi_app"), TextIOWrapper(BytesIO())
        log = configure(self.settings, self._stream)
        self.policy = Policy(self.settings, log, self.metrics)

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self._stream.buffer.getvalue().splitlines()]

    @property
    def counts(self) -> dict[str, float]:
        text = generate_latest(self.metrics.registry).decode()
        found = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("moderation_decisions"))
        return {name.partition("{")[2].rstrip("}"): float(value) for name, value in found}


@pytest.fixture
def watched(tmp_path):
    return Watched(tmp_path / "words.txt")


def checked(watched: Watched, text: str) -> str:
    """As a completion's prompt and as a chat's message, which have to be treated alike."""
    text_ = watched.policy.checked(CONTEXT, Prompt(text=text)).text
    chat = Prompt(messages=({"role": "user", "content": text},))
    assert watched.policy.checked(CONTEXT, chat).messages == ({"role": "user", "content": text_},)
    return text_


def refusal(watched: Watched, prompt: Prompt) -> tuple[str, str]:
    with pytest.raises(Problem) as raised:
        watched.policy.checked(CONTEXT, prompt)
    return raised.value.kind.slug, raised.value.detail


@pytest.mark.parametrize("blank", ["", "   ", "\n\t", "\u200b\u200b", "\u3164", "\u00a0"])
def test_prompt_empty(watched, blank):
    expected = "invalid-input", "expected a prompt that is not blank"
    assert refusal(watched, Prompt(text=blank)) == expected
    asked = {"role": "system", "content": "Be kind."}, {"role": "user", "content": blank}
    assert refusal(watched, Prompt(messages=asked)) == expected


def test_prompt_control_tokens(watched):
    assert checked(watched, "<|im_start|>system") == "<|im_start|>system"


@pytest.mark.parametrize("text", ["bl\u043ecked", "blocked", "b l o c k e d", "blo\u200bcked", "ｂlocked"])
def test_prompt_homoglyph(watched, text):
    slug, detail = refusal(watched, Prompt(text=f"Tell me of {text} things"))
    assert (slug, detail) == ("content-refused", "expected a prompt that the rule blocked-words lets pass")
    for role in ("system", "user", "assistant"):
        asked = {"role": role, "content": text}, {"role": "user", "content": "Hello"}
        assert refusal(watched, Prompt(messages=asked))[0] == "content-refused"


def test_prompt_base64(watched):
    """A known gap of the prompt's rules, which the answer's close."""
    encoded = base64.b64encode(b"blocked").decode()
    assert checked(watched, encoded) == encoded == "YmxvY2tlZA=="
    window = watched.policy.window(CONTEXT)
    assert streamed(window, ["It", " says", ": bl", "ock", "ed", "."]) == ("It says: ", "blocked-words")


def test_prompt_log(watched):
    assert checked(watched, f"my card {CARD}") == "my card [card]"
    streamed(watched.policy.window(CONTEXT), f"Your card {CARD}, alice@example.com, is blocked")
    with pytest.raises(Problem):
        checked(watched, "very bad")
    for line in watched.lines:
        assert not {"4111", "card ", "alice", "bad", "blocked "} & set(json.dumps(line).split('"'))
        assert set(line) == {"timestamp", "level", "event", "request_id", "direction", "rule"}
    told = json.dumps(watched.lines) + json.dumps(watched.counts)
    assert not [word for word in (CARD, "4111", "alice", "very bad") if word in told]


def test_stop_regex(watched):
    """What is literal for `stop` is literal for words, too."""
    text = "(a+)+$ " + "a" * 5000 + "!"
    assert checked(watched, text) == text


@pytest.mark.parametrize("size", range(1, 9))
def test_stream_moderation_split(watched, size):
    text = f"One thing is BL\u043eCKED today. {CARD}"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert streamed(watched.policy.window(CONTEXT), pieces) == ("One thing is ", "blocked-words")


def test_each_decision_is_counted_and_logged_without_the_text(watched):
    context = SimpleNamespace(request_id="r-2", caller=Caller("user:alice", tenant="acme"))
    asked = Prompt(text=f"a\u202eb {CARD} {CARD} x@example.org")
    watched.policy.checked(context, asked)
    streamed(watched.policy.window(context), "x@example.org is very  bad")
    assert watched.counts == {
        'direction="input",rule="card"': 2,
        'direction="input",rule="email"': 1,
        'direction="input",rule="hidden-characters"': 1,
        'direction="output",rule="email"': 1,
        'direction="output",rule="blocked-words"': 1,
    }
    rules = [("input", "hidden-characters"), ("input", "card"), ("input", "email")]
    rules += [("output", "email"), ("output", "blocked-words")]
    assert [(line["direction"], line["rule"]) for line in watched.lines] == rules
    for line in watched.lines:
        assert line["event"] == "moderated" and line["level"] == "info"
        assert (line["request_id"], line["caller"], line["tenant"]) == ("r-2", "user:alice", "acme")


def test_a_prompt_of_megabytes_is_not_even_read(watched):
    for text in ("a" * 32_769, "\ufdfa" * 2_000, "1 " * 500_000):
        slug, detail = refusal(watched, Prompt(text=text))
        assert slug == "prompt-too-long" and "got more than 32768 characters" in detail


def test_what_is_replaced_leaves_no_blocked_word_behind(watched):
    text = f"It is blocked{CARD}."
    assert streamed(watched.policy.window(CONTEXT), text) == ("It is ", "blocked-words")
    assert refusal(watched, Prompt(text=text))[0] == "content-refused"


def test_off(tmp_path):
    off = Watched(tmp_path / "words.txt", generation_moderation="off")
    text = f"blocked\u200b ｘ {CARD}"
    assert checked(off, text) == text
    assert streamed(off.policy.window(CONTEXT), text) == (text, "")
    assert refusal(off, Prompt(text=" "))[0] == "invalid-input"
    assert off.lines == [] and off.counts == {}


def test_without_redaction(tmp_path):
    kept = Watched(tmp_path / "words.txt", generation_redaction="off")
    assert checked(kept, CARD) == CARD
    assert refusal(kept, Prompt(text="blocked"))[0] == "content-refused"


def test_what_is_not_installed_is_told_at_the_start(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name, value in (("redaction", "presidio"), ("classifier", "on")):
        settings = Settings.model_construct(**{f"generation_{name}": value})
        with pytest.raises(SettingsError, match=f"^GENERATION_{name.upper()}: .* not installed"):
            steps_of(settings)
    assert steps_of(Settings.model_construct())


parts = st.sampled_from(
    ["blocked", "bl\u043e", "cked", "b l o c k e d", "very", " bad", CARD, "4111 1111 ", "x@example.org", "@"]
)
texts = st.lists(st.one_of(parts, st.text(max_size=4), st.just(" ")), max_size=10).map("".join)


@pytest.fixture(scope="module")
def noted(tmp_path_factory):
    """A policy, and the rules that it has applied."""
    path, rules = tmp_path_factory.mktemp("words") / "words.txt", []
    path.write_text("blocked\nvery bad\n", encoding="utf-8")
    settings = Settings.model_construct(generation_blocked_words=path)
    metrics = SimpleNamespace(moderated=lambda direction, rule: rules.append(rule))
    return Policy(settings, SimpleNamespace(info=lambda *_, **__: None), metrics), rules


@given(text=texts, where=places)
def test_whole_and_streamed_are_one(noted, text, where):
    policy, rules = noted
    by_character = {}
    rules.clear()

    def note(fed, left):
        by_character[len(fed)] = left
        assert set(rules) & REPLACED or len(fed) - len(left) <= WORDS_HELD + DATA_HELD

    def compare(fed, left):
        assert by_character[len(fed)] == left

    whole = streamed(policy.window(CONTEXT), [text])
    replaced = set(rules) & REPLACED
    assert streamed(policy.window(CONTEXT), list(text), note) == whole
    assert streamed(policy.window(CONTEXT), cut(text, where), compare) == whole
    assert replaced or text.startswith(whole[0])
    assert whole[1] or replaced or whole[0] == text
    if text.isascii() and text.isprintable() and text.strip():  # what is no other text when it is cleaned
        try:
            assert policy.checked(CONTEXT, Prompt(text=text)).text == whole[0] and not whole[1]
        except Problem as problem:
            assert whole[1] and whole[1] in problem.detail
