"""Each page as a learner meets it, run without a browser: with both servers, and with what can go wrong."""

import pytest
from streamlit.testing.v1 import AppTest

PAGES = ("predict", "compare", "health")


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def said(app: AppTest) -> str:
    """All the text of a page, as Markdown without its escapes."""
    kinds = (
        app.title,
        app.header,
        app.subheader,
        app.markdown,
        app.caption,
        app.warning,
        app.success,
        app.code,
    )
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "")


def test_predict_with_each_server(page, both):
    fastapi, flask = both.values()
    app = page("predict", fastapi.url, flask.url)
    assert [field.value for field in app.number_input] == [5.1, 3.5, 1.4, 0.2]
    assert [field.max for field in app.number_input] == [11.5, 6.8, 12.8, 4.9]
    app = press(press(app, "virginica"), "Predict")
    assert app.subheader[0].value.startswith("virginica, ")
    assert f'"{fastapi.url}/predict?probabilities=true"' in said(app)
    app = app.button_group[0].set_value("Flask").run()
    assert not app.subheader
    app = press(app, "Predict")
    assert app.subheader[0].value.startswith("virginica, ")
    assert "server: waitress" in said(app) and "[6.3, 3.3, 6.0, 2.5]" in said(app)
    assert [list(row) for row in app.table[0].value.itertuples(index=False)][2][0] == "virginica"
    assert not app.exception


def test_a_random_row_is_sent_as_it_stands(page, both):
    app = press(page("predict", both["fastapi"].url, both["flask"].url), "Random row")
    row = [field.value for field in app.number_input]
    app = press(app, "Predict")
    assert str(row) in said(app) and app.subheader


@pytest.mark.parametrize(
    ("model", "features", "words"),
    [("breast_cancer", 30, "malignant, over 99 %"), ("diabetes", 10, "71.56 points"), ("bare", 4, "")],
)
def test_any_model_makes_its_own_page(page, models, model, features, words):
    from classroom.servers import serve

    with serve("fastapi", env={"MODEL_PATH": str(models(model))}) as server:
        app = press(page("predict", server.url, server.url), "Predict")
        assert len(app.number_input) == features
        assert words in said(app) and len(app.subheader) == 1
        app = press(page("compare", server.url, server.url), "Send to both")
        assert "Both answer alike" in said(app)
        assert not app.exception


def test_what_is_entered_stays_from_page_to_page(page, both):
    app = press(page("predict", both["fastapi"].url, both["flask"].url), "versicolor")
    app.number_input[0].set_value(6.6)  # in a form: it is sent with the button
    press(app, "Predict")
    app.switch_page("pages/compare.py").run()
    assert [field.value for field in app.number_input] == [6.6, 3.2, 4.7, 1.4]


def test_compare_once_many_times_and_with_a_mistake(page, both):
    app = press(page("compare", both["fastapi"].url, both["flask"].url), "Send to both")
    assert "Both answer alike: setosa, 98 %. Same status, same JSON." in said(app)
    assert "server" in list(app.table[0].value["header"])
    app = press(app, "Measure")
    assert "requests" in list(app.table[1].value["figure"]) and "One client" not in said(app)
    assert "one request at a time" in said(app)
    for mistake in ("NaN", "an empty body"):
        app = app.selectbox[0].set_value(mistake).run()
        app = press(app, "Send it to both")
        assert "Both refuse it alike: status 400 and the same JSON." in said(app)
    assert not app.exception


def test_health_says_who_is_up_and_what_to_do_for_the_other(page, both, nobody):
    app = page("health", both["fastapi"].url, nobody)
    assert "FastAPI" in said(app) and "iris" in str(app.table[0].value)
    assert "Flask is not running" in said(app)
    assert "python -m apps.minimal.flask_api_example" in said(app)


@pytest.mark.parametrize("name", PAGES)
def test_with_both_servers_down_every_page_says_how_to_start_them(page, nobody, name):
    app = page(name, nobody, nobody)
    assert not app.exception
    for framework in ("fastapi", "flask"):
        assert f"python -m apps.minimal.{framework}_api_example" in said(app)


def test_with_one_down_the_fields_come_from_the_other(page, both, nobody):
    app = press(page("predict", nobody, both["flask"].url), "Predict")
    assert "FastAPI is not running" in said(app) and "from Flask's model card" in said(app)
    assert len(app.number_input) == 4 and not app.exception
    app = press(page("compare", nobody, both["flask"].url), "Send to both")
    assert "Nothing to compare: FastAPI is not running" in said(app)
    app = press(press(app, "Measure"), "Send it to both")
    assert not app.exception


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("body", [b"<h1>Hi</h1>", b'{"features": {"$x$": 1}}', b"\xff\xfe", b""])
def test_rubbish_never_becomes_a_traceback(page, answering, name, body):
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    url = answering(lambda connection: connection.sendall(answer))
    app = page(name, url, url)
    assert not app.exception
    assert "Something at" in said(app) and "Another program may hold that port" in said(app)


def test_text_from_a_server_is_shown_as_it_is(page, answering):
    card = b'{"features": ["![x](http://192.0.2.1/x.png) **b** $a$ <b>", ":red[y]"], "presets": 7}'
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(card)
    url = answering(lambda connection: connection.sendall(head + card))
    app = press(page("predict", url, url), "Predict")
    assert app.number_input[0].label == r"!\[x\](http\://192.0.2.1/x.png) \*\*b\*\* \$a\$ \<b\>"
    assert app.number_input[1].label == r"\:red\[y\]"
    assert "JSON that is not a prediction" in said(app)
