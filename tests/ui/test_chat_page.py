"""The page Chat against both servers: with the kit's tiny model, and with one that says what it is told."""

import json
import re
import time
from collections.abc import Callable, Iterator

import pytest
from credentials import PASSWORD, accounts_in, eventually
from language_doors import Door, doors_with
from scripted import press, said
from streamlit.testing.v1 import AppTest
from talkative import talkative

from tests.generation.openai_like import OpenAILike
from tests.waiting import PATIENCE
from ui import answering, chat_figures
from ui.chat import Chat, Reply, Settings
from ui.language_model import Chunk
from ui.notices import plain_lines
from ui.servers import servers

CAUGHT = "4111 1111 1111 1111"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Iterator[list[Door]]:
    folder = str(tmp_path_factory.mktemp("tiny"))
    with doors_with({"GENERATION_MODEL": "tiny", "GENERATION_FOLDER": folder}) as found:
        yield found


@pytest.fixture(scope="module")
def further() -> Iterator[OpenAILike]:
    with talkative() as found:
        yield found


@pytest.fixture(scope="module")
def told(further, tmp_path_factory) -> Iterator[list[Door]]:
    """Servers with one place, in which nobody waits."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "words.txt").write_text("blocked", encoding="utf-8")
    env = {"GENERATION_URL": f"{further.url}/v1", "GENERATION_BLOCKED_WORDS": str(folder / "words.txt")}
    env |= {"GENERATION_SLOTS": "1", "GENERATION_QUEUE": "0", "GENERATION_CLASSIFIER": "off"}
    with doors_with(env | {"GENERATION_FOLDER": str(folder)}) as found:
        yield found


@pytest.fixture
def chat(page, told) -> AppTest:
    return page("chat", told[0].url, told[1].url)


def ask(app: AppTest, prompt: str, server: str = "") -> AppTest:
    if server:
        app.segmented_control[0].set_value(server).run()
    return app.chat_input[0].set_value(prompt).run()


def until(app: AppTest, true: Callable[[str], bool]) -> str:
    """What the page says once that is so; it looks at itself now and then, as a browser would have it."""
    end = time.monotonic() + PATIENCE
    while not true(text := said(app)):
        assert time.monotonic() < end, text
        time.sleep(0.05)
        app.run()
    assert not app.exception
    return text


def answered(app: AppTest, prompt: str, server: str = "") -> str:
    ask(app, prompt, server)
    return until(app, lambda _: "Send it again" in [button.label for button in app.button])


def asked_for(further: OpenAILike) -> list[tuple[str, str]]:
    """The messages that the model has got last."""
    return [(one["role"], one["content"]) for one in further.asked[-1][2]["messages"]]


def test_both_answer_one_prompt_side_by_side_with_what_it_took(page, tiny):
    app = page("chat", tiny[0].url, tiny[1].url)
    assert "FastAPI: tiny · today, for all who use it: nothing" in said(app)
    for label, value in (("max_tokens", 60), ("seed", 7)):
        next(one for one in app.number_input if one.label == label).set_value(value).run()
    text = answered(app, "Once upon a time", "Both")
    assert "● FastAPI · tiny" in text.replace(":blue[●]", "●") and "Flask · tiny" in text
    assert "Both answered alike, character for character." in text
    figures = app.table[0].value.set_index("figure")
    assert list(figures.loc["tokens of the answer"]) == ["60", "60"]
    assert all(value.endswith(" ms") for value in figures.loc["first token after"])
    assert list(figures.loc["cost"]) == ["0.0000000069 USD"] * 2  # 17 and 60 tokens, 0.00009 USD a million
    assert "So far, 2 answers for 0.000000014 USD: 34 tokens of prompts, 120 of answers." in text
    assert "It is cut off: max_tokens was reached" in text
    text = answered(press(app, "New chat"), "Once upon a time")
    found = re.search(r"FastAPI: tiny · today, for all who use it: (\d+) tokens, 0\.0000000\d\d USD", text)
    assert found and 2 * 77 <= int(found[1]) <= 4 * 77  # what Flask did in this second may be written later


def test_a_chat_goes_on_with_what_was_said_and_with_another_server(chat, further):
    chat.text_area[0].set_value("Be brief.").run()
    assert "Well, one" in answered(chat, "one", "FastAPI")
    assert asked_for(further) == [("system", "Be brief."), ("user", "one")]
    assert "Well, two" in answered(chat, "two", "Flask")
    before = [("system", "Be brief."), ("user", "one"), ("assistant", "Well, one")]
    assert asked_for(further) == [*before, ("user", "two")]
    press(chat, "Send it again")
    until(chat, lambda _: "Send it again" in [button.label for button in chat.button])
    assert asked_for(further) == [*before, ("user", "two")]  # in the place of the last
    press(chat, "New chat")
    assert "Well, one" not in said(chat) and "So far, 3 answers" in said(chat)
    answered(chat, "three")
    assert asked_for(further) == [("system", "Be brief."), ("user", "three")]


def test_settings_reach_the_model_and_each_is_explained(chat, further):
    numbers = {"max_tokens": 12, "temperature": 0.3, "top_p": 0.5, "repetition_penalty": 1.2, "seed": 5}
    for label, value in numbers.items():
        next(one for one in chat.number_input if one.label == label).set_value(value)
    chat.text_area[1].set_value("END\nor this").run()
    answered(chat, "hello")
    sent = further.asked[-1][2]
    assert {name: sent[name] for name in numbers} == numbers and sent["stop"] == ["END", "or this"]
    captions = " ".join(caption.value for caption in chat.caption)
    for words in ("after so many tokens", "likeliest next token", "share of the probability", "in circles"):
        assert words in captions
    code = next(code.value for code in chat.code if code.value.startswith("curl"))
    body = json.loads(code.partition("-d '")[2].rstrip("'"))
    assert body["messages"] == [{"role": "user", "content": "hello"}] and body["seed"] == 5


def test_what_is_stopped_is_kept_and_its_place_is_free(chat, told):
    for server, door in zip(("FastAPI", "Flask"), told, strict=True):
        ask(chat, "slowly now", server)
        until(chat, lambda text: "step 3," in text)
        assert chat.chat_input[0].disabled and all(one.disabled for one in chat.number_input)
        assert door.running == 1
        press(chat, "Stop")
        text = until(chat, lambda text: "Stopped by you." in text and "Send it again" in labels(chat))
        assert "step 3," in text and not chat.chat_input[0].disabled
        assert eventually(lambda door=door: door.running == 0)
        assert "Well, again" in answered(chat, "again")
        press(chat, "New chat")
    assert "2 answers that were not whole: those tokens only the server has counted." in said(chat)


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def test_what_nobody_looks_at_any_more_ends(chat, told, monkeypatch):
    ask(chat, "slowly now", "FastAPI")
    until(chat, lambda text: "step 3," in text)
    monkeypatch.setattr(answering, "UNSEEN_SECONDS", 0.2)
    assert eventually(lambda: told[0].running == 0)
    text = said(chat.run())
    assert "Ended, since nobody looked at this page" in text and "step 3," in text


def test_a_full_server_says_when_to_try_again(chat, told):
    with told[0].client.stream("POST", "/v1/chat/completions", json=slow()) as other:
        parts = other.iter_bytes()
        next(parts)
        text = answered(chat, "hello", "FastAPI")
    assert "has as many prompts waiting for its language model as it takes." in text
    assert "Try again in" in text
    assert eventually(lambda: told[0].running == 0)
    press(chat, "Send it again")
    assert "Well, hello" in until(chat, lambda text: "Well, hello" in text)


def slow() -> dict:
    return {"messages": [{"role": "user", "content": "slowly"}], "stream": True}


def test_an_answer_that_fails_midway_stays_with_the_reason(chat):
    text = answered(chat, "break it", "Both")
    assert text.count("It begins,") == 2
    assert text.count("has a language model that has failed.") == 2
    assert text.count("It is not whole: what stands above is what had come by then.") == 2


def test_what_the_filters_did(chat, further):
    text = answered(chat, f"mail my card {CAUGHT} to them", "Both")
    assert text.count("In what you sent, the filter `card` replaced something") == 2
    assert text.count("In the answer, the filter `email` replaced something") == 2
    assert text.count("Write to [email] today.") == 2
    assert CAUGHT not in json.dumps(asked_for(further))
    text = answered(chat, "word of the day", "FastAPI")
    assert "The answer was ended by the filter `blocked-words`." in text and "It is " in text
    assert "A filter ended it here, and kept back what would have followed" in text
    text = answered(chat, "something blocked")
    assert "FastAPI has a filter that did not let the model see this" in text and "blocked-words" in text
    answered(chat, "and now")
    assert "something" not in json.dumps(asked_for(further))  # else each later prompt would be refused


def test_where_there_is_no_model_the_page_says_how_to_get_one(page, pair, nobody):
    app = page("chat", pair[0].url, nobody)
    assert "FastAPI has no language model: generation is off." in said(app)
    assert "GENERATION=on" in said(app) and "apps.fastapi_app" in said(app)
    assert not app.chat_input
    text = said(app.segmented_control[0].set_value("Flask").run())
    assert "Flask is not running" in text and not app.exception
    assert any(code.value.startswith("GENERATION=on") and "flask_app" in code.value for code in app.code)


def test_who_may_not_is_told_and_tokens_that_are_spent_come_back_at_a_time(page, tmp_path, nobody):
    accounts_in(tmp_path).close()
    env = {"ACCESS": "on", "ACCESS_PATH": str(tmp_path), "GENERATION_MODEL": "tiny"}
    env |= {"GENERATION_CALLER_TOKENS": "60/day", "GENERATION_FOLDER": str(tmp_path)}
    door = Door("fastapi", env)
    try:
        door.wait()
        app = page("chat", door.url, nobody)
        assert "FastAPI has access on, and does not know who asks." in said(app)
        sign_in(app, "only-predict")
        assert "FastAPI knows who asks, and does not let them do that" in said(app)
        app.switch_page("views/access.py").run()
        press(app, "Sign out")
        sign_in(app, "alice")
        assert "FastAPI: tiny · today, for your tenant: nothing" in said(app)
        answered(app, "A first prompt of mine")
        text = answered(press(app, "New chat"), "A second prompt of mine")
        assert (
            "takes no more requests from here for now" in text and "tokens of one caller in one day" in text
        )
        assert "minutes, at " in text or "seconds, at " in text
        assert "$SERVELAB_TOKEN" in text
        app.switch_page("views/access.py").run()
        press(app, "Sign out")
        app.switch_page("views/chat.py").run()
        assert "first prompt" not in said(app) and not app.exception
    finally:
        door.stop()


def sign_in(app: AppTest, name: str) -> None:
    app.switch_page("views/access.py").run()
    for label, value in (("Name", name), ("Password", PASSWORD)):
        next(one for one in app.text_input if one.label == label).set_value(value)
    press(app, "Sign in")
    app.switch_page("views/chat.py").run()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
PIECE = b'data: {"model": "m", "choices": [{"delta": {"content": "Half"}}]}\n\n'


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (HEAD, "The connection to FastAPI broke before its answer was complete."),
        (HEAD + PIECE, "FastAPI went away in the middle of its answer."),
        (HEAD + PIECE + b"data: [1, 2]\n\n", "sent an event that is none of an answer's"),
        (HEAD + PIECE + b"data: {no json\n\n", "sent an event that is none of an answer's"),
        (HEAD + PIECE + b'data: {"choices": 7}\n\n', "sent an event that is none of an answer's"),
        (HEAD + PIECE + b"event: error\ndata: what\n\n", "sent an event that is none of an answer's"),
        (
            HEAD + PIECE + b'event: error\ndata: {"error": {"code": "draining", "message": "m"}}\n\n',
            "FastAPI is shutting down, and could not finish its answer.",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "answered, and not with a stream of events"),
        (b"HTTP/1.1 418 Teapot\r\nContent-Length: 2\r\n\r\n{}", "answered with status 418"),
    ],
)
def test_whatever_a_stream_is_the_page_says_it_and_keeps_what_came(page, answering, nobody, stream, says):
    models = json.dumps({"data": [{"id": "m"}]}).encode()
    model = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(models), models)
    told = []

    def behave(connection):
        told.append(connection)
        connection.sendall(model if len(told) < 3 else stream)

    app = page("chat", answering(behave), nobody)
    text = answered(app, "hello")
    assert says in text and ("Half" in text) == (PIECE in stream)


def test_amounts_of_money_have_two_digits_that_say_something():
    for amount, text in ((0, "0.00 USD"), (3.44e-07, "0.00000034 USD"), (0.0042, "0.0042 USD")):
        assert chat_figures.money(amount, "USD") == text
    assert chat_figures.money(12.345, "EUR") == "12.35 EUR"


def test_tokens_a_second_count_from_the_first_piece():
    reply = Reply(servers()[0], asked=10.0)
    for at, text in ((10.5, "a"), (10.75, "b"), (11.5, "c")):
        reply.take(Chunk("m", text, "", None), at)
    assert (reply.first_ms, reply.per_second, reply.tokens, reply.text) == (500, 2, 3, "abc")


def test_a_turn_without_an_answer_is_not_sent_again():
    chat, (one, other) = Chat(), servers()
    turn, (body,) = chat.begin("first", Settings(), [one])
    assert json.loads(body)["messages"] == [{"role": "user", "content": "first"}]
    chat.begin("second", Settings(), [one])
    assert chat.messages(one, "third") == [{"role": "user", "content": "third"}]
    turn.replies[0].text = "Answer"
    assert [message["content"] for message in chat.messages(other, "third")] == ["first", "Answer", "third"]


def test_a_model_s_text_is_shown_as_it_is_and_loads_nothing():
    shown = plain_lines("# One\n\n![](http://x.example/?q=1) <b>two</b>\n1. three")
    assert shown.split("  \n") == [
        "\\# One",
        "&nbsp;",
        "!\\[\\](http\\://x.example/?q=1) \\<b\\>two\\</b\\>",
        "1\\. three",
    ]
