"""The log of predictions in a real database: SQLite, and PostgreSQL where there is one."""

import gc
import json
import os
import subprocess
import sys
import time
import weakref
from math import isnan
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from classroom.servers import ROOT
from postgres import postgres
from sklearn.ensemble import RandomForestRegressor
from sqlalchemy import event, select

from apps.service.access.callers import Caller
from apps.service.batching import Outcome
from apps.service.feedback import feedback_of, prediction_log
from apps.service.feedback.counted import FeedbackMetrics
from apps.service.feedback.feedback import FeedbackRequest
from apps.service.feedback.records import ModelRecord, PredictionRecord, WindowRecord
from apps.service.metrics import Metrics
from apps.service.model import Serving
from apps.service.problems import Problem
from apps.service.settings import Settings, SettingsError
from model_training.adopt import adopt
from model_training.artifact import load_path
from tests.waiting import PATIENCE

ROW = [5.1, 3.5, 1.4, 0.2]
OTHER = [6.3, 3.3, 6.0, 2.5]


@pytest.fixture(scope="module")
def running():
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request) -> str | None:
    """Of an empty database."""
    if request.param == "sqlite":
        return None
    return request.getfixturevalue("running").database()


@pytest.fixture(scope="module")
def serving(iris_root) -> Serving:
    return served(iris_root / "models" / "iris")


def served(folder: Path) -> Serving:
    return Serving(load_path(folder), folder)


class Told(list):
    """What went into the log."""

    def error(self, event, **fields) -> None:
        self.append(f"{event} {fields}")

    warning = info = error


class Site:
    """What one process has."""

    def __init__(self, folder: Path, url: str | None, serving: Serving | None, **options) -> None:
        settings = Settings(
            prediction_log="on", prediction_log_folder=folder / "predictions", database_url=url, **options
        )
        self.log, self.metrics, self.serving = Told(), Metrics("fastapi_app"), serving
        model = SimpleNamespace(serving=serving)
        self.feedback = feedback_of("fastapi_app", settings, self.log, self.metrics, model)
        self.written = self.feedback._log

    def predict(self, id: str, *rows: list[float], caller: Caller | None = None) -> Outcome:
        outcome = self.serving.predict([*rows])
        context = SimpleNamespace(caller=caller, request_id=id)
        self.feedback.predicted(context, self.serving, [*rows], outcome, 0.0)
        return outcome

    def give(self, id: str, label: str | None = None, caller: Caller | None = None, **more):
        return self.feedback.give(caller, FeedbackRequest(request_id=id, label=label, **more))

    def records(self) -> list[PredictionRecord]:
        self.written.flush()
        with self.feedback._database.session() as session:
            return [*session.scalars(select(PredictionRecord).order_by(PredictionRecord.id))]

    def rows(self, result: str) -> float:
        return self.metrics.registry.get_sample_value("prediction_log_rows_total", {"result": result})


@pytest.fixture
def site(tmp_path, url, serving):
    found = Site(tmp_path, url, serving)
    yield found
    found.feedback.close()


def slug(call) -> str:
    with pytest.raises(Problem) as refused:
        call()
    return refused.value.kind.slug


def test_a_row_for_each_row_without_its_features(site, serving):
    site.predict("a", ROW)
    site.predict("b", ROW, OTHER)
    found = site.records()
    told = [(one.request_id, one.number, one.label, one.model, one.version, one.app) for one in found]
    same = ("iris", serving.version, "fastapi_app")
    assert told == [("a", 0, "setosa", *same), ("b", 0, "setosa", *same), ("b", 1, "virginica", *same)]
    assert all(one.features is None and 0.5 < one.probability <= 1 for one in found)
    assert all(abs(one.at - time.time()) < 60 and one.truth_at is None for one in found)
    assert site.rows("written") == 3 and site.rows("dropped") == 0


def test_features_are_there_when_the_operator_says_so(tmp_path, url, serving):
    site = Site(tmp_path, url, serving, prediction_log_features="on")
    site.predict("a", ROW, OTHER)
    assert [json.loads(one.features) for one in site.records()] == [ROW, OTHER]
    site.feedback.close()


def test_two_processes_add_up(tmp_path, url, serving, site):
    other = Site(tmp_path, url, serving)
    for number in range(5):
        for one in (site, other):
            one.predict(f"{number}-{id(one)}", *[ROW, OTHER] * 50)
            one.written.flush()
    report = site.feedback.reports.drift(None, "iris", None, 1)
    assert report.rows == 1000 and [feature.rows for feature in report.features] == [1000] * 4
    assert sum(window.rows for window in report.windows) == 1000
    assert other.feedback.reports.drift(None, "iris", None, 1).features == report.features
    assert site.feedback.reports.quality(None, "iris", 1).versions[0].predictions == 1000
    other.feedback.close()


def test_the_truth_is_taken_in_before_the_prediction_is_written_and_the_last_one_counts(site):
    site.predict("a", ROW)
    assert site.give("a", "setosa").correct
    assert site.give("a", "setosa").correct
    assert not site.give("a", "virginica").correct
    [version] = site.feedback.reports.quality(None, "iris", 24).versions
    assert (version.truths, version.correct, version.accuracy) == (1, 0, 0.0)
    assert version.confusion.counts == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_what_is_no_truth_is_refused_with_the_classes_and_without_what_came(site):
    site.predict("a", ROW)
    site.predict("b", ROW, OTHER)
    for more in ({"label": "hunter2"}, {"value": 1.5}, {}, {"label": "setosa", "value": 1.0}):
        with pytest.raises(Problem) as refused:
            site.give("a", **more)
        assert refused.value.detail == "expected a label among setosa, versicolor, virginica"
    assert slug(lambda: site.give("b", "setosa")) == "invalid-input"  # which row?
    assert not site.give("b", "setosa", row=1).correct
    assert slug(lambda: site.give("b", "setosa", row=2)) == "unknown-prediction"
    assert slug(lambda: site.give("nobody", "setosa")) == "unknown-prediction"


def test_of_an_id_that_came_twice_the_newest_prediction_is_meant(site):
    site.predict("a", ROW)
    site.predict("a", OTHER)
    assert site.give("a", "virginica").correct
    first, second = site.records()
    assert (first.truth_label, second.truth_label) == (None, "virginica")


def test_a_tenant_has_its_own_and_an_admin_sees_all(tmp_path, url, serving):
    site = Site(tmp_path, url, serving, access="on")
    alice, bob = (Caller(name, frozenset({"predict"}), tenant=name) for name in ("a", "b"))
    admin = Caller("root", frozenset({"predict", "admin"}), tenant="c")
    site.predict("x", *[ROW] * 300, caller=alice)
    site.predict("y", *[OTHER] * 200, caller=bob)
    for other in (bob, admin):
        assert slug(lambda other=other: site.give("x", "setosa", other, row=0)) == "unknown-prediction"
    assert site.give("x", "setosa", alice, row=0).correct
    reports = site.feedback.reports
    assert [reports.drift(one, "iris", None, 1).rows for one in (alice, bob, admin)] == [300, 200, 500]
    seen = [reports.quality(one, "iris", 1).versions[0] for one in (alice, bob, admin)]
    assert [(one.predictions, one.truths) for one in seen] == [(300, 1), (200, 0), (500, 1)]
    site.feedback.close()


def test_a_regressor_has_a_mean_absolute_error(tmp_path, url, adopted):
    found = adopted("progression")
    site = Site(tmp_path, url, served(found.folder))
    predictions = site.predict("a", *found.rows[:4]).predictions
    for number, prediction in enumerate(predictions[:2]):
        given = site.give("a", row=number, value=prediction + 10 * (1 + number))
        assert given.error == pytest.approx(10 * (1 + number)) and given.correct is None
    [version] = site.feedback.reports.quality(None, "progression", 1).versions
    assert (version.truths, version.accuracy) == (2, None)
    assert version.mean_absolute_error == pytest.approx(15)
    with pytest.raises(Problem, match="expected value"):
        site.give("a", "high", row=0)
    report = site.feedback.reports.drift(None, "progression", None, 1)
    assert {feature.verdict for feature in report.features} == {"unknown"}  # adopted without data
    site.feedback.close()


def test_of_several_outputs_rows_and_drift_are_there_and_the_truth_is_refused(tmp_path, url):
    rows = np.random.default_rng(0).normal(size=(300, 2))
    model = RandomForestRegressor(n_estimators=2, random_state=0).fit(rows, rows)
    joblib.dump(model, tmp_path / "two.pkl")
    adopt(tmp_path / "two.pkl", "two", None, tmp_path)
    site = Site(tmp_path, url, served(tmp_path / "models" / "two"))
    site.predict("a", *rows.tolist())
    assert [(one.label, one.value) for one in site.records()] == [(None, None)] * 300
    with pytest.raises(Problem, match="a model with one output"):
        site.give("a", row=0, value=1.0)
    assert site.feedback.reports.drift(None, "two", None, 1).rows == 300
    assert site.feedback.reports.quality(None, "two", 1).versions[0].truths == 0
    site.feedback.close()


def test_what_is_older_than_it_is_kept_is_deleted(tmp_path, url, serving, monkeypatch):
    site = Site(tmp_path, url, serving, prediction_log_keep_seconds=3600)
    monkeypatch.setattr(prediction_log, "AT_ONCE", 2)
    now = time.time()
    for hours, id in ((3, "a"), (2, "b"), (0, "c")):
        monkeypatch.setattr(
            prediction_log, "time", SimpleNamespace(time=lambda hours=hours: now - hours * 3600)
        )
        site.predict(id, ROW, ROW)
        site.written.flush()
    site.written.sweep()
    assert {one.request_id for one in site.records()} == {"c"}
    with site.feedback._database.session() as session:
        assert len([*session.scalars(select(WindowRecord))]) == 1
    site.feedback.close()


def test_a_version_that_is_gone_is_still_known(tmp_path, url, serving, site):
    site.predict("a", ROW)
    site.written.flush()
    later = Site(tmp_path, url, None)
    with later.feedback._database.session() as session:
        assert session.scalar(select(ModelRecord.version)) == serving.version
    assert later.give("a", "setosa").correct
    later.feedback.close()


def test_what_does_not_fit_is_dropped_counted_and_told_once(tmp_path, serving, monkeypatch):
    monkeypatch.setattr(prediction_log, "MOST_WAITING", 5)
    site = Site(tmp_path, None, serving)
    for number in range(4):
        site.predict(str(number), ROW, ROW)
    assert (site.rows("dropped"), len(site.log)) == (4, 1) and "not logged" in site.log[0]
    assert len(site.records()) == 4
    site.predict("again", ROW)
    assert len(site.records()) == 5
    site.feedback.close()


def test_a_full_disk_fails_no_prediction_and_what_waits_is_written_when_there_is_room(tmp_path, serving):
    site = Site(tmp_path, None, serving)
    site.predict("before", ROW)
    assert len(site.records()) == 1
    engine = site.feedback._database._engine
    pages = []

    def limit(connection, _, __=None) -> None:  # SQLite's own: the error is that of a disk without room
        pages.append(connection.execute("PRAGMA page_count").fetchone()[0])
        connection.execute(f"PRAGMA max_page_count = {pages[-1] if len(pages) == 1 else 100_000}")

    engine.dispose()
    event.listen(engine, "connect", limit)
    for number in range(40):
        site.predict(f"during-{number}", *[ROW] * 100)
    assert slug(site.written.flush) == "feedback-unavailable"
    assert [line for line in site.log if "does not answer" in line] == [site.log[0]]
    assert "full" not in site.log[0] and "INSERT" not in site.log[0] and "5.1" not in site.log[0]
    engine.dispose()  # the next connection has room
    assert len(site.records()) == 4001 and site.rows("dropped") == 0
    assert site.feedback.reports.drift(None, "iris", None, 1).rows == 4001  # counted once
    site.feedback.close()


def test_a_database_that_is_away_at_the_start_is_waited_for(tmp_path, running, serving):
    running.stop()
    try:
        site = Site(tmp_path, running.url, serving)
        site.predict("a", ROW)
        assert slug(lambda: site.give("a", "setosa")) == "feedback-unavailable"
    finally:
        running.start()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            assert site.give("a", "setosa").correct
            break
        except Problem:
            time.sleep(0.2)
    assert [one.request_id for one in site.records()] == ["a"]
    assert sum("does not answer" in line for line in site.log) == 1
    site.feedback.close()


def test_a_url_that_is_none_ends_the_start(tmp_path, serving):
    with pytest.raises(SettingsError, match="DATABASE_URL: expected a URL"):
        Site(tmp_path, "nonsense", serving)
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="PREDICTION_LOG_FOLDER: .* cannot be used"):
        Site(tmp_path / "file", None, serving)


def test_the_gauges_are_of_the_models_that_predict(tmp_path, serving):
    site = Site(tmp_path, None, serving)
    site.predict("a", *[[value + 1 for value in ROW]] * 400)
    assert site.give("a", "setosa", row=0).model_dump()["correct"] in (True, False)
    site.written.flush()
    counted: FeedbackMetrics = site.written._metrics
    counted.measured(site.feedback.reports.gauges())
    value = site.metrics.registry.get_sample_value
    labels = {"model": "iris", "version": serving.version}
    psi = value("model_feature_psi", labels | {"feature": "sepal width"})
    [drift] = [
        one.psi
        for one in site.feedback.reports.drift(None, "iris", None, 1).features
        if one.name == "sepal width"
    ]
    assert psi == pytest.approx(drift) and psi > 0.25
    assert value("model_live_accuracy", labels) in (0, 1) and value("model_live_truths", labels) == 1
    assert value("model_test_accuracy", labels) == serving.card.metrics["accuracy"].test
    counted.measured([])
    assert isnan(value("model_live_accuracy", labels)) and site.log == []
    site.feedback.close()


def test_nothing_of_it_is_imported_when_it_is_off_and_scipy_only_for_drift(tmp_path, iris_root):
    code = """
import os, sys
from apps import fastapi_app, flask_app
from apps.service import build
def imported(*names):
    return [name for name in names if name in sys.modules]
fastapi_app.create_app(build("fastapi_app", 8000))
print(imported("apps.service.feedback", "sqlalchemy", "scipy"))
os.environ["PREDICTION_LOG"] = "on"
service = build("fastapi_app", 8000)
fastapi_app.create_app(service)
service.model.start(30)
serving = service.model.serving
from types import SimpleNamespace
rows = [[5.1, 3.5, 1.4, 0.2]] * 300
context = SimpleNamespace(caller=None, request_id="a")
service.feedback.predicted(context, serving, rows, serving.predict(rows), 0)
service.feedback.reports.quality(None, "iris", 1)
service.feedback.reports.gauges()
print(imported("apps.service.feedback", "scipy"))
service.feedback.reports.drift(None, "iris", None, 1)
print(imported("scipy"))
"""
    env = {"MODEL_PATH": str(iris_root / "models" / "iris"), "PREDICTION_LOG_FOLDER": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | env | {"LOG_LEVEL": "error"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.stdout.splitlines() == ["[]", "['apps.service.feedback']", "['scipy']"], done.stderr


def test_a_model_that_was_replaced_is_not_held(tmp_path, iris_root):
    site = Site(tmp_path, None, served(iris_root / "models" / "iris"))
    site.predict("a", ROW)
    site.written.flush()
    held = weakref.ref(site.serving)
    site.serving = site.feedback.reports._model.serving = None
    gc.collect()
    assert held() is None
    site.feedback.close()
