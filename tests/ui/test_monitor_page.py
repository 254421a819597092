"""Monitor, and *Was it right?* on Predict, against both servers with a log of predictions, and without."""

import re
from collections.abc import Iterator

import looks
import numpy as np
import pytest
from classroom.servers import Server, serve
from looks import fits
from pairs import pair
from scripted import press, said
from sklearn.datasets import load_iris
from streamlit.testing.v1 import AppTest

IRIS = load_iris()


@pytest.fixture(scope="module")
def logged(iris_root, tmp_path_factory) -> Iterator[dict[str, Server]]:
    """Both, which share a log. To one came rows as they were in training, with sepals wider by a centimetre;
    of ten of them the truth is known."""
    env = {"MODEL_PATH": str(iris_root / "models" / "iris"), "PREDICTION_LOG": "on"}
    with pair(env | {"PREDICTION_LOG_FOLDER": str(tmp_path_factory.mktemp("predictions"))}) as found:
        places = np.random.default_rng(0).integers(0, 150, 500)
        sent = {"instances": (IRIS.data[places] + [0, 1, 0, 0]).tolist()}
        id = found["flask"].post("/predict/batch", json=sent).json()["request_id"]
        for row in range(10):
            truth = str(IRIS.target_names[IRIS.target[places[row]]])
            told = {"request_id": id, "row": row, "label": truth}
            assert found["flask"].post("/feedback", json=told).status_code == 200
        yield found


def urls(found: dict[str, Server]) -> tuple[str, str]:
    return found["fastapi"].url, found["flask"].url


def column(app: AppTest, table: int, name: str) -> list:
    return [*app.table[table].value[name]]


def test_accuracy_and_drift_are_the_same_at_the_server_that_did_not_predict(page, logged):
    app = page("monitor", *urls(logged))
    assert "Of version" in said(app) and "from 500 rows" in said(app)
    figures = dict(zip(column(app, 0, "version"), app.table[0].value.iloc[:, 1], strict=True))
    assert (figures["predictions"], figures["truth known"]) == ("500", "10")
    assert re.fullmatch(r"\d+\.\d %", figures["accuracy"]) and " and " in figures["lies between"]
    drift = dict(zip(column(app, 2, "feature"), column(app, 2, "drift"), strict=True))
    assert drift["sepal width (cm)"] == "large" and drift["petal length (cm)"] != "large"
    assert app.selectbox[0].options[0] == "sepal width (cm)"  # the largest first
    assert not app.exception


def test_another_feature_and_another_time_may_be_chosen(page, logged):
    app = page("monitor", *urls(logged))
    before = said(app)
    app.selectbox[0].set_value(0).run()  # the card's first
    assert app.selectbox[0].value == 0 and "PSI over time" in said(app) and said(app) != before
    app.button_group[1].set_value("30 days").run()
    assert "from 500 rows" in said(app) and not app.exception


def test_without_a_log_it_says_how_to_begin_one(page, full):
    app = page("monitor", *urls(full))
    assert "keeps no log" in said(app) and not app.table
    assert any(
        code.value.startswith("PREDICTION_LOG=on") and "fastapi_app" in code.value for code in app.code
    )
    assert any(code.value.startswith("$env:PREDICTION_LOG") for code in app.code)


def test_with_minimal_servers_too(page, both):
    app = page("monitor", *urls(both))
    assert "keeps no log" in said(app) and not app.exception


def test_without_servers_it_says_what_to_start(page, nobody):
    app = page("monitor", nobody, nobody)
    assert "is not running" in said(app) and not app.exception


def test_the_truth_is_told_below_an_answer(page, logged):
    def known() -> int:
        return logged["flask"].get("/models/iris/quality").json()["versions"][0]["truths"]

    before = known()
    app = press(press(page("predict", *urls(logged)), "virginica"), "Predict")
    place = next(place for place, one in enumerate(app.button_group) if "Was it right" in one.label)
    assert app.button_group[place].options == ["setosa", "versicolor", "virginica"]
    app.button_group[place].set_value("versicolor").run()
    assert "Noted: it was wrong" in said(app)
    app.button_group[place].set_value("virginica").run()
    assert "Noted: it was right" in said(app)
    app.run()
    assert known() == before + 1


def test_nobody_is_asked_for_it_where_there_is_no_log(page, full):
    app = press(page("predict", *urls(full)), "Predict")
    assert app.subheader and all("Was it right" not in one.label for one in app.button_group)


def test_the_value_of_a_regression_is_typed(page, models, tmp_path):
    env = {"MODEL_PATH": str(models("diabetes")), "PREDICTION_LOG": "on"}
    with serve("fastapi", env=env | {"PREDICTION_LOG_FOLDER": str(tmp_path), "METRICS_PORT": "0"}) as server:
        app = press(page("predict", server.url, server.url), "Predict")
        field = next(field for field in app.number_input if "Was it right" in field.label)
        field.set_value(1000.0).run()
        assert "too low. Monitor counts it" in said(app)
        assert "mean absolute error" in column(page("monitor", server.url, server.url), 0, "version")


@pytest.mark.parametrize(
    ("viewport", "scheme"),
    [(looks.LAPTOP, "light"), (looks.PHONE, "dark")],
    ids=["laptop", "phone"],
)
def test_it_fits_and_axe_finds_nothing(browser, logged, monitored, viewport, scheme):
    from playwright.sync_api import expect

    page = browser.new_context(viewport=viewport, color_scheme=scheme, base_url=monitored).new_page()
    page.goto("/monitor")
    expect(page.get_by_role("heading", name="One feature, then and now")).to_be_visible()
    expect(page.get_by_text("PSI over time")).to_be_visible()
    fits(page)
    page.goto("/")
    page.get_by_role("button", name="Predict", exact=True).click()
    page.locator("[class*=st-key-truth-]").get_by_text("versicolor").click()
    expect(page.get_by_text("Noted: it was")).to_be_visible()
    fits(page)
    page.context.close()


@pytest.fixture(scope="module")
def monitored(logged) -> Iterator[str]:
    fastapi, flask = urls(logged)
    env = {"FASTAPI_URL": fastapi, "FLASK_URL": flask}
    with serve("ui", env=env) as found:
        yield found.url
