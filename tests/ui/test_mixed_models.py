"""The page with models that take categories and missing values, that answer for several targets, and that
find outliers."""

import json
import re
import time
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from adopted import adopt_model
from classroom.servers import serve
from looks import KINDS, choose, fits
from playwright.sync_api import Browser, Page, Route, TimeoutError, expect
from scripted import press, said
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from streamlit.testing.v1 import AppTest

from model_training import datasets
from model_training import rows as training_rows
from ui import inputs, mistakes, rows, snippets, what_if
from ui.card import Card, read_card
from ui.prediction import read_predictions

PENGUINS = datasets.load("penguins")
WHOLE = PENGUINS.features.dropna()
NUMBERS = ["bill length", "bill depth", "flipper length", "body mass"]
BIRD = ["Torgersen", "male", 39.1, 18.7, 181.0, 3750.0]


@pytest.fixture(scope="module")
def servers(models):
    env = {"MODEL_PATH": str(models("penguins")), "METRICS_PORT": "0", "EXPLAIN": "on"}
    with serve("fastapi", env=env) as fastapi, serve("flask", env=env) as flask:
        yield fastapi, flask


@pytest.fixture(scope="module")
def card(models) -> Card:
    return read_card(json.loads((models("penguins").parent / "card.json").read_text(encoding="utf-8")))


def box(app: AppTest, label: str):
    return next(one for one in app.selectbox if one.label == label)


def pick(app: AppTest, label: str, option: str) -> None:
    one = box(app, label)
    one.set_value(one.options.index(option))


def picked(app: AppTest, label: str) -> str:
    one = box(app, label)
    return one.options[one.value]


def row_in(app: AppTest) -> str:
    """What is sent, as it stands in the call to copy."""
    return re.search(r'"features": (\[.*?\])', said(app))[1]


# --- the form, and what is asked with it


def test_a_category_is_chosen_and_a_value_may_be_missing(page, servers):
    app = page("predict", *(server.url for server in servers))
    assert box(app, "island").options == ["Biscoe", "Dream", "Torgersen"]
    assert picked(app, "island") == "Torgersen"
    assert box(app, "sex").options == ["female", "male", "missing (null)"]
    assert [field.value for field in app.number_input] == BIRD[2:]
    assert "training 49 % Biscoe" in said(app) and "may be left empty" in said(app)
    app = press(app, "Predict")
    assert app.subheader[0].value.startswith("Adelie, ")
    for server in ("FastAPI", "Flask"):
        app = app.button_group[0].set_value(server).run()
        pick(app, "island", "Dream")
        pick(app, "sex", "missing (null)")
        app.number_input[0].set_value(None)
        app = press(app, "Predict")
        assert "to Dream, missing, missing, 18.7, 181, 3750" in said(app)
        assert json.loads(row_in(app)) == ["Dream", None, None, *BIRD[3:]]
        assert app.subheader[0].value.split(",")[0] in PENGUINS.classes and not app.exception
    app = press(app, "Gentoo")
    assert (picked(app, "island"), picked(app, "sex")) == ("Biscoe", "female")
    assert app.number_input[0].value == 46.1


def test_a_random_row_has_categories_and_is_answered(page, servers, card):
    app = press(press(page("predict", *(server.url for server in servers)), "Random row"), "Predict")
    row = json.loads(row_in(app))
    assert row[0] in card.features[0].categories and row[1] in card.features[1].categories
    assert app.subheader and not app.exception
    drawn = {card.random_row()[0] for _ in range(200)}
    assert drawn == set(card.features[0].categories)


def test_what_is_missing_stays_missing_from_page_to_page(page, servers):
    app = page("predict", *(server.url for server in servers))
    pick(app, "sex", "missing (null)")
    app.number_input[3].set_value(None)
    app = press(app, "Predict").switch_page("views/compare.py").run()
    assert picked(app, "sex") == "missing (null)" and app.number_input[3].value is None
    app = press(app, "Send to both")
    assert "Both answer alike: Adelie" in said(app) and "null" in said(app)
    for mistake in ("a category that there is not", "null for a category", "a word for a number"):
        wrong = next(one for one in app.selectbox if mistake in one.options)
        app = press(wrong.set_value(mistake).run(), "Send it to both")
        assert "Both refuse it alike: status 400" in said(app), mistake
    assert not app.exception


def test_what_if_goes_over_categories_and_over_a_gap(page, servers):
    app = page("predict", *(server.url for server in servers))
    app = press(app, "Predict")
    app = box(app, "Vary").set_value(0).run()
    assert "Biscoe: Adelie, Dream: Adelie, Torgersen: Adelie" in said(app)
    assert "Torgersen is what was sent last." in said(app)
    assert len(app.table[-1].value) == 3
    app = box(app, "Vary").set_value(1).run()
    assert "female: Adelie, male: Adelie, missing: Adelie" in said(app)
    app = box(app, "Vary").set_value(2).run()
    assert "Where it is missing: Adelie, " in said(app) and "at 39.1, the value" in said(app)
    app.number_input[0].set_value(None)
    app = press(app, "Predict")
    assert "Where it is missing: " in said(app) and "upright line" not in said(app)
    assert not app.exception


def test_why_tells_what_a_category_and_a_gap_did(page, servers):
    app = page("predict", *(server.url for server in servers))
    pick(app, "sex", "missing (null)")
    app = press(press(app, "Predict"), "Why?")
    assert {"island Torgersen", "sex missing"} <= set(app.table[-1].value["value"])


# --- tables


def test_a_table_with_categories_is_sent_and_each_mistake_is_told_at_its_line(page, servers):
    app = page("batch", *(server.url for server in servers))
    assert "island is one of Biscoe, Dream, Torgersen; sex is one of female, male." in said(app)
    assert "Empty where a value is missing, which it may be in sex, bill length," in said(app)
    assert app.text_area[0].value.splitlines()[1] == "Torgersen,male,39.1,18.7,181,3750"
    lines = [
        "sex,island,bill length,bill depth,flipper length,body mass",
        "male,Torgersen,39.1,18.7,181,3750",
        ",Dream,,17.9,NA,3500",
        "male,Torgerson,39.1,18.7,181,3750",
        "male,,39.1,18.7,181,3750",
        "male,Dream,long,18.7,181,3750",
        "male,Dream,390,18.7,181,3750",
    ]
    app.text_area[0].set_value("\n".join(lines))
    app = press(app, "Predict all")
    assert "2 of 6 rows predicted" in said(app)
    faults = dict(app.table[0].value.itertuples(index=False))
    assert faults[4] == "island is none of Biscoe, Dream, Torgersen" and faults[5] == "island is missing"
    assert faults[6] == "bill length is not a number" and "expected bill length from" in faults[7]
    answers = app.dataframe[0].value
    assert list(answers["line"]) == [2, 3] and list(answers["sex"])[0] == "male"
    assert answers["bill length"].isna().tolist() == [False, True] and not app.exception


@pytest.mark.parametrize(
    ("text", "named", "first"),
    [
        ("Torgersen,male,39.1,18.7,181,3750", 0, BIRD),
        ("Dream,,,,,", 0, ["Dream", None, None, None, None, None]),
        (
            "body mass;island;sex;bill depth;bill length;flipper length\n3750;Torgersen;male;18,7;39,1;181",
            1,
            BIRD,
        ),
        ("Torgerson,male,39.1,18.7,181,3750\nDream,male,39.1,18.7,181,3750", 0, None),
    ],
)
def test_names_are_told_from_rows(card, text, named, first):
    sample = rows.read_sample(text.encode(), card)
    assert sample.dialect.named == named
    assert sample.table.rows[0].features == (None if first is None else tuple(first))


def test_a_decimal_comma_leaves_categories_as_they_are():
    card = read_card(
        {
            "features": [
                {"name": "size"},
                {"name": "town", "kind": "category", "categories": ["Bern, CH", "Ulm"]},
            ]
        }
    )
    text = b'size;town\n1,5;"Bern, CH"\n2;Ulm\n'
    sample = rows.read_sample(text, card)
    assert [row.features for row in sample.table.rows] == [(1.5, "Bern, CH"), (2.0, "Ulm")]
    plain = b"".join(rows.plain_lines(text, sample.dialect, card)).decode()
    assert (
        rows.read_rows(plain, card).rows
        == rows.read_rows(rows.write_rows(card, [(1.5, "Bern, CH"), (2, "Ulm")]), card).rows
    )


def test_missing_is_written_as_the_servers_read_it(card):
    assert rows.MISSING == training_rows.MISSING
    for word in rows.MISSING:
        [row] = rows.read_rows(f"Dream,{word},39,{word},181,3750", card).rows
        assert row.features == ("Dream", None, 39.0, None, 181.0, 3750.0)
    [row] = rows.read_rows("NA,male,39,18,181,3750\n", card).rows
    assert row.fault.startswith("island is none of")


# --- the card, calls, mistakes


def test_a_card_of_categories_is_read_with_what_it_says(card):
    island, sex, bill, *_ = card.features
    assert (island.start, sex.may_be_missing, bill.may_be_missing) == ("Biscoe", True, True)
    assert card.presets[0].features == tuple(BIRD) and card.ranged and card.takes_categories
    assert inputs.caution(card, ["Dream", None, None, 18.7, 181.0, 9000.0]).startswith(
        "**Outside its training: body"
    )
    assert what_if.grid(sex, "male") == ["female", "male", None]
    odd = {"name": "x", "kind": "category", "categories": ["a"], "shares": ["many"]}
    preset = {"label": "p", "features": ["b"]}
    found = read_card({"features": [odd], "presets": [preset]})
    assert found.features[0].shares == () and found.presets == () and found.random_row() == ["a"]


def test_the_calls_to_copy_are_in_their_own_language():
    found = snippets.snippets("http://127.0.0.1:1/predict", {"features": ["O'Hara", None, 1.5]})
    assert "null" in found["curl"][0] and "'O" not in found["curl"][0].replace("-d '", "")
    sent = re.search(r"json=(\{.*\})", found["httpx"][0])[1]
    assert eval(sent) == {"features": ["O'Hara", None, 1.5]}


def test_every_mistake_is_one(servers, card, full_pair):

    pair = [replace(server, url=one.url) for server, one in zip(full_pair, servers, strict=True)]
    found = mistakes.mistakes(card, BIRD)
    assert len({one.name for one in found}) == len(found)
    for one in found:
        alike, words = mistakes.verdict(*(one.send(server, "an-id") for server in pair))
        assert alike, (one.name, words)


# --- several targets, outliers


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A classifier of two targets and a regression of two, adopted."""
    table = WHOLE[["island", *NUMBERS]]
    columns = ColumnTransformer([("texts", OneHotEncoder(), ["island"]), ("numbers", "passthrough", NUMBERS)])
    species = np.array(PENGUINS.classes)[PENGUINS.target[WHOLE.index].to_numpy().astype(int)]
    classes = make_pipeline(columns, RandomForestClassifier(8, random_state=0))
    classes.fit(table, np.column_stack([species, WHOLE["sex"]]))
    values = LinearRegression().fit(WHOLE[NUMBERS[:2]], WHOLE[NUMBERS[2:]])
    found = {
        "classes": adopt_model("classes", classes, tmp_path_factory.mktemp("classes"), table),
        "values": adopt_model("values", values, tmp_path_factory.mktemp("values"), WHOLE[NUMBERS[:2]]),
        "outliers": adopt_model(
            "outliers",
            IsolationForest(n_estimators=8, random_state=0).fit(WHOLE[NUMBERS]),
            tmp_path_factory.mktemp("o"),
            WHOLE[NUMBERS],
        ),
    }
    return found.__getitem__


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_several_targets_are_told_side_by_side(page, several, kind):
    with serve("fastapi", env={"MODEL_PATH": str(several(kind)), "METRICS_PORT": "0"}) as server:
        app = press(page("predict", server.url, server.url), "Predict")
        table = app.table[0].value
        assert list(table["target"]) == [target["name"] for target in server.get("/model").json()["targets"]]
        assert app.subheader[0].value.replace("\\", "") == ", ".join(table["answer"])
        assert ("probability" in table) == (kind == "classes")
        assert not any(button.label == "Why?" for button in app.button)
        app = box(app, "Vary").set_value(len(app.number_input) - 1).run()
        assert len(app.table[1].value) == 9 and not app.exception
        app = press(page("batch", server.url, server.url), "Predict all")
        assert all("," in found for found in app.dataframe[0].value["prediction"])
        app = press(page("compare", server.url, server.url), "Send to both")
        assert "Both answer alike" in said(app) and not app.exception


def test_an_outlier_is_told_as_one(page, several):
    with serve("flask", env={"MODEL_PATH": str(several("outliers")), "METRICS_PORT": "0"}) as server:
        app = press(page("predict", server.url, server.url), "Predict")
        assert app.subheader[0].value in ("inlier", "outlier")
        assert "inlier: like the rows that the model learned from" in said(app)
        for field, value in zip(app.number_input, (87.0, 29.0, 114.0, 9800.0), strict=True):
            field.set_value(value)
        assert press(app, "Predict").subheader[0].value == "outlier" and not app.exception


def test_answers_that_are_not_of_the_card_s_targets_are_told(card):
    several = read_card({"features": ["x"], "targets": [{"name": "a", "classes": ["n", "y"]}, {"name": "b"}]})
    [found] = read_predictions({"prediction": [[1, 2.5]], "label": {"a": "y"}}, several)
    assert [(name, part.label) for name, part in found.parts] == [("a", "y"), ("b", "2.5")]
    for wrong in ([1], [[1]], [[1, 2, 3]]):
        with pytest.raises(ValueError, match="expected a prediction for each of 2 targets"):
            read_predictions({"prediction": wrong}, several)


# --- in a browser


@pytest.fixture(scope="module")
def address(servers):
    env = {"FASTAPI_URL": servers[0].url, "FLASK_URL": servers[1].url}
    with serve("ui", env=env) as ui:
        yield ui.url


@pytest.fixture(params=list(KINDS))
def window(request: pytest.FixtureRequest, browser: Browser, address: str):
    page = browser.new_context(**KINDS[request.param], base_url=address).new_page()
    yield page
    page.context.close()


MARK = """() => {
    const answers = [...document.querySelectorAll('[class*="st-key-answer-"]')]
    return answers.length === 1 && getComputedStyle(answers[0], '::before').display !== 'none'
}"""


@pytest.mark.parametrize("window", ["laptop"], indirect=True)
@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_who_is_quicker_than_the_browser_loses_no_value(window: Page, way: str):
    """It loads fields for numbers after buttons; here much later."""

    def late(route: Route) -> None:
        time.sleep(2)
        route.continue_()

    window.route(re.compile("NumberInput"), late)
    window.goto("/")
    button = window.get_by_role("button", name="Predict", exact=True)
    if way == "mouse":
        button.click()
    else:
        button.press("Enter")
    expect(window.get_by_role("heading", name="Adelie, over 99 %")).to_be_visible()
    for name, value in zip(NUMBERS, ("39.1", "18.7", "181", "3750"), strict=True):
        expect(window.get_by_label(re.compile(f"^{name}"))).to_have_value(value)


def test_predicting_with_categories_in_a_browser(window: Page):
    window.goto("/")
    window.get_by_role("button", name="Predict", exact=True).click()
    expect(window.get_by_role("heading", name=re.compile("^Adelie, "))).to_be_in_viewport()
    field = window.get_by_label("bill length (mm)", exact=True)
    field.fill("")
    choose(window, "sex", "missing")
    window.wait_for_function(MARK)
    window.get_by_role("button", name="Predict", exact=True).click()
    expect(window.get_by_text("to Torgersen, missing, missing, 18.7, 181, 3750")).to_be_visible()
    expect(field).to_have_value("")
    choose(window, "Vary", "island")
    expect(window.get_by_text(re.compile("^Biscoe: .*, Dream: .*, Torgersen: "))).to_be_visible()
    expect(
        window.locator(".st-key-panel-whatif").get_by_test_id("stVegaLiteChart").locator("canvas, svg")
    ).to_have_count(1)
    fits(window)
    window.get_by_role("link", name="Batch").click()
    window.get_by_role("button", name="Predict all").click()
    expect(window.get_by_role("heading", name="3 of 3 rows predicted")).to_be_visible()
    fits(window)


@pytest.mark.parametrize("window", ["laptop"], indirect=True)
def test_a_choice_from_a_list_marks_the_answer(window: Page):
    window.goto("/")
    window.get_by_role("button", name="Predict", exact=True).click()
    expect(window.get_by_role("heading", name=re.compile("^Adelie, "))).to_be_in_viewport()
    option = window.get_by_role("option", name="Dream")
    for _ in range(4):  # a list closes when the page is drawn anew
        window.get_by_role("combobox", name="island").click()
        with suppress(TimeoutError):
            option.click(timeout=5_000)
            break
    window.wait_for_function(MARK)
