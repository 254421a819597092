"""Each page as a learner meets it, run without a browser: with both servers, and with what can go wrong."""

import re
import time

import pandas as pd
import pytest
from classroom.servers import Server, free_port, serve
from scripted import press, said
from streamlit.testing.v1 import AppTest

from tests.waiting import PATIENCE

PAGES = ("predict", "batch", "compare", "follow", "load", "health", "access")


def test_predict_with_each_server(page, pair):
    fastapi, flask = pair
    app = page("predict", fastapi.url, flask.url)
    assert [field.value for field in app.number_input] == [5.1, 3.5, 1.4, 0.2]
    assert "training 4.3 to 7.9  \naccepted 0.7 to 11.5" in said(app)
    app = press(press(app, "virginica"), "Predict")
    assert app.subheader[0].value.startswith("virginica, ")
    assert f'"{fastapi.url}/predict"' in said(app)
    app = app.button_group[0].set_value("Flask").run()
    assert not app.subheader
    app = press(app, "Predict")
    assert app.subheader[0].value.startswith("virginica, ")
    assert "Flask answered in" in said(app) and "[6.3, 3.3, 6.0, 2.5]" in said(app)
    assert [list(row) for row in app.table[0].value.itertuples(index=False)][2][0] == "virginica"
    assert not app.exception


def test_a_random_row_is_sent_as_it_stands(page, full):
    app = press(page("predict", full["fastapi"].url, full["flask"].url), "Random row")
    row = [field.value for field in app.number_input]
    app = press(app, "Predict")
    assert str(row) in said(app) and app.subheader


@pytest.mark.parametrize(
    ("kind", "model", "features", "words"),
    [
        ("fastapi", "breast_cancer", 30, "malignant, 100 %"),  # in ONNX's single precision it is 1.0
        ("minimal_fastapi", "breast_cancer", 30, "malignant, over 99 %"),
        ("flask", "diabetes", 10, "71.56 points"),
        ("minimal_flask", "diabetes", 10, "71.56 points"),
        ("minimal_fastapi", "bare", 4, ""),
    ],
)
def test_any_model_makes_its_own_page(page, models, kind, model, features, words):
    with serve(kind, env={"MODEL_PATH": str(models(model)), "METRICS_PORT": "0"}) as server:
        app = press(page("predict", server.url, server.url), "Predict")
        assert len(app.number_input) == features
        assert words in said(app) and len(app.subheader) == 1
        app = press(page("compare", server.url, server.url), "Send to both")
        assert "Both answer alike" in said(app)
        assert not app.exception


@pytest.mark.parametrize(
    ("name", "features", "labels"),
    [
        ("cultivar", 13, ["Barolo", "Grignolino", "Barbera"]),
        ("progression", 10, None),
        ("logarithms", 13, ["False", "True"]),
    ],
)
def test_models_that_nobody_trained_into_the_kit(page, adopted, name, features, labels):
    """Shown, predicted from and compared on both servers, with what scikit-learn answers, and no code."""
    model = adopted(name)
    names = getattr(model.model, "feature_names_in_", None)
    expected = model.model.predict(model.rows if names is None else pd.DataFrame(model.rows, columns=names))
    env = {"MODEL_PATH": str(model.folder), "METRICS_PORT": "0"}
    with serve("fastapi", env=env) as fastapi, serve("flask", env=env) as flask:
        for server in ("FastAPI", "Flask"):
            app = page("predict", fastapi.url, flask.url).button_group[0].set_value(server).run()
            assert len(app.number_input) == features
            for field, value in zip(app.number_input, model.rows[0], strict=True):
                field.set_value(value)
            app = press(app, "Predict")
            word = app.subheader[0].value.split(",")[0]
            assert not app.exception
            if labels:
                assert word == str(expected[0])
                assert list(app.table[0].value["class"]) == sorted(labels)
            else:
                assert float(word) == pytest.approx(expected[0], rel=1e-3)
                assert not app.table
            app = page("batch", fastapi.url, flask.url).button_group[0].set_value(server).run()
            app.text_area[0].set_value("\n".join(",".join(map(str, row)) for row in model.rows))
            app = press(app, "Predict all")
            found = list(app.dataframe[0].value["prediction"])
            if labels:
                assert found == [str(answer) for answer in expected]
            else:
                assert list(map(float, found)) == pytest.approx(list(expected), rel=1e-3)
        app = press(page("compare", fastapi.url, flask.url), "Send to both")
        assert "Both answer alike" in said(app) and not app.exception


def test_what_is_entered_stays_from_page_to_page(page, full):
    app = press(page("predict", full["fastapi"].url, full["flask"].url), "versicolor")
    app.number_input[0].set_value(6.6)  # in a form: it is sent with the button
    press(app, "Predict")
    app.switch_page("views/compare.py").run()
    assert [field.value for field in app.number_input] == [6.6, 3.2, 4.7, 1.4]
    app.switch_page("views/batch.py").run()
    app.text_area[0].set_value("5,3,1,0.1\nfive,3,1,0.1")
    press(app, "Predict all").switch_page("views/health.py").run()
    app.switch_page("views/batch.py").run()
    assert app.text_area[0].value == "5,3,1,0.1\nfive,3,1,0.1" and "1 of 2 rows predicted" in said(app)


def test_compare_once_many_times_and_with_a_mistake(page, pair):
    app = press(page("compare", pair[0].url, pair[1].url), "Send to both")
    assert "Both answer alike: setosa, 98 %. Same status, same JSON." in said(app)
    app = press(app, "Measure")
    table = next(table.value for table in app.table if "figure" in table.value)
    assert "requests" in list(table["figure"]) and "one request at a time" in said(app)
    for mistake in ("NaN", "an empty body"):
        app = app.selectbox[0].set_value(mistake).run()
        app = press(app, "Send it to both")
        assert "Both refuse it alike: status 400 and the same JSON." in said(app)
    assert not app.exception


def test_a_problem_is_shown_with_its_title_detail_page_and_request_id(page, full):
    urls = [server.url for server in full.values()]
    app = page("compare", *urls).selectbox[0].set_value("one number too few").run()
    text = said(press(app, "Send it to both"))
    for url in urls:
        assert f"[400 Invalid input]({url}/problems/invalid-input): expected 4 features" in text
    assert text.count("Request id, for the server's operator: ") == 2


def test_with_a_book_the_notices_lead_into_it(page, full, nobody):
    book = "http://127.0.0.1:9/book"
    app = page("predict", full["fastapi"].url, nobody, book=book)
    app.number_input[0].set_value(99)
    text = said(press(app, "Predict"))
    assert f"[400 Feature out of range]({book}/reference/problems.html#out-of-range)" in text
    assert f"[The book of Servelab]({book}/) has the lessons" in text
    text = said(app.button_group[0].set_value("Flask").run())
    assert "Flask is not running" in text and f"({book}/troubleshooting.html)" in text


def test_what_the_server_refuses_is_sent_and_explained(page, pair):
    app = press(page("predict", pair[0].url, pair[1].url), "Predict")
    assert "answered in" in said(app)
    app.number_input[2].set_value(99)
    app = press(app, "Predict")
    assert "FastAPI refused the input: " in said(app) and "answered in" not in said(app)
    assert '{"features": [5.1, 3.5, 99.0, 0.2]}' in said(app) and "HTTP/1.1 400" in said(app)
    assert not app.subheader and not app.exception


def test_an_answer_to_other_values_is_marked(page, full):
    app = press(page("predict", full["fastapi"].url, full["flask"].url), "Predict")
    assert "to 5.1, 3.5, 1.4, 0.2" in said(app) and "earlier values" not in said(app)
    app.switch_page("views/compare.py").run()
    app = press(app, "Send to both")
    app = app.number_input[0].set_value(6.0).run()
    assert said(app).count("This answers the earlier values.") == 1
    app.switch_page("views/predict.py").run()
    assert said(app).count("This answers the earlier values.") == 1
    assert "earlier values" not in said(press(app, "Predict"))


def test_what_if_follows_the_row_that_was_sent(page, pair):
    app = page("predict", pair[0].url, pair[1].url)
    vary = next(box for box in app.selectbox if box.label == "Vary")
    app = vary.set_value(2).run()
    assert "setosa up to" in said(app) and "then virginica" in said(app)
    assert "Shaded: the training, 1 to 6.9 cm." in said(app)
    assert "The dotted upright line is at 1.4," in said(app)
    app = press(app, "virginica")
    assert "The dotted upright line is at 6," in said(app) and not app.exception
    outside = app.table[-1].value
    assert list(outside["training"])[0] == "outside" and list(outside["training"])[4] == ""
    app.number_input[0].set_value(99)
    app = press(app, "Predict")
    assert len(app.warning) == 1 and "Nothing to draw: FastAPI gives no answer to this row" in said(app)


def test_recent_requests_are_looked_at_and_sent_again(page, full):
    app = press(page("predict", full["fastapi"].url, full["flask"].url), "Predict")
    app.number_input[0].set_value(99)
    app = press(app, "Predict")
    app.switch_page("views/compare.py").run()
    press(app, "Send to both").switch_page("views/predict.py").run()
    recent = app.selectbox[-1]
    assert [option.split(" · ", 1)[1] for option in recent.options] == [
        "Flask · /predict · 400 · Feature out of range",
        "FastAPI · /predict · 400 · Feature out of range",
        "FastAPI · /predict · 400 · Feature out of range",
        "FastAPI · /predict · 200 · setosa, 98 %",
    ]
    app = press(recent.set_value(recent.options[3]).run(), "Send it again")
    assert app.selectbox[-1].value.exchange.status == 200 and len(app.selectbox[-1].options) == 5
    assert not app.exception


def test_health_says_who_is_up_and_what_to_do_for_the_other(page, pair, nobody):
    app = page("health", pair[0].url, nobody)
    assert "FastAPI" in said(app) and "iris" in str(app.table[0].value)
    assert "Flask is not running" in said(app)
    assert "python -m apps.flask_app" in said(app)


def test_health_without_metrics_says_why(page, full, both, nobody):
    app = page("health", full["fastapi"].url, both["flask"].url, nobody, nobody)
    assert f"FastAPI's metrics cannot be read at {nobody}: no answer came." in said(app)
    assert "set FASTAPI_METRICS_URL to their address" in said(app)
    assert "What answers for Flask is a minimal server, which counts nothing." in said(app)
    assert not app.exception


def test_health_draws_what_a_server_counts(page, models, nobody):
    port = free_port()
    with serve("flask", env={"MODEL_PATH": str(models("iris")), "METRICS_PORT": str(port)}) as flask:
        send(flask)  # before anybody looked
        app = page("health", nobody, flask.url, nobody, f"http://127.0.0.1:{port}/metrics")
        totals = totals_of_flask(app)
        # 5, and perhaps already the card that Predict, where the page begins, asked for
        assert totals["requests"] in ("5", "6") and totals["refused, status 4xx"] == "0"
        assert float(totals["latency p95, ms"]) > 0
        app.switch_page("views/predict.py").run()
        send(flask)  # while another page is looked at
        deadline = time.monotonic() + PATIENCE
        while totals_of_flask(app).get("requests") != "12" or "Flask: not known" in said(app):
            assert time.monotonic() < deadline, said(app)
            time.sleep(0.5)
            app.switch_page("views/health.py").run()
        for heading in ("Requests a second", "Error ratio", "Latency p50", "Latency p95"):
            assert heading in said(app)
        assert "FastAPI: not known" in said(app) and re.search("Flask: .* now, at most 0 %", said(app))
        assert not app.exception


def totals_of_flask(app: AppTest) -> dict[str, str]:
    """What Health says of the time since its start; empty where it says nothing."""
    found = [table.value for table in app.table if "figure" in table.value]
    return dict(found[0].set_index("figure")[":orange[■] Flask"]) if found else {}


def send(server: Server) -> None:
    for _ in range(5):
        assert server.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]}).status_code == 200


@pytest.mark.parametrize("name", PAGES)
def test_with_both_servers_down_every_page_says_how_to_start_them(page, nobody, name):
    app = page(name, nobody, nobody)
    assert not app.exception
    for framework in ("fastapi", "flask"):
        assert f"python -m apps.{framework}_app" in said(app)


def test_with_one_down_the_fields_come_from_the_other(page, full, nobody):
    app = press(page("predict", nobody, full["flask"].url), "Predict")
    assert "FastAPI is not running" in said(app) and "from Flask's model card" in said(app)
    assert len(app.number_input) == 4 and not app.exception
    app = press(page("compare", nobody, full["flask"].url), "Send to both")
    assert "Nothing to compare: FastAPI gave no answer that can be used." in said(app)
    assert said(app).count("FastAPI is not running") == 1
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
