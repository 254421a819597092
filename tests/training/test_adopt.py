"""Models that nobody here trained: each is served as scikit-learn answers, or refused with a reason."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_wine
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.neighbors import RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import LabelPropagation
from sklearn.svm import LinearSVC

from model_training.adopt import AdoptionError, adopt, main
from model_training.artifact import load, load_path

WINE, CULTIVARS = load_wine(return_X_y=True, as_frame=True)
NAMES = np.array(["Barolo", "Grignolino", "Barbera"])[CULTIVARS]
ROWS = WINE.to_numpy()
DIABETES = load_diabetes(return_X_y=True)

MODELS = {
    "scaled gradient boosting": lambda: make_pipeline(
        StandardScaler(), GradientBoostingClassifier(n_estimators=10)
    ).fit(ROWS, CULTIVARS.to_numpy()),
    "a forest that is no pipeline": lambda: RandomForestClassifier(5).fit(ROWS, NAMES),
    "a regressor": lambda: RandomForestRegressor(5).fit(*DIABETES),
    "one that ONNX refuses": lambda: make_pipeline(
        FunctionTransformer(np.log1p), StandardScaler(), LogisticRegression()
    ).fit(ROWS, NAMES),
    "no probabilities": lambda: make_pipeline(StandardScaler(), LinearSVC()).fit(ROWS, NAMES),
    "fitted on named columns": lambda: make_pipeline(StandardScaler(), RadiusNeighborsClassifier(100.0)).fit(
        WINE, NAMES
    ),
    "columns chosen by name": lambda: make_pipeline(
        ColumnTransformer([("scaled", StandardScaler(), ["alcohol", "ash"])]), RandomForestClassifier(5)
    ).fit(WINE, NAMES),
    "labels true and false": lambda: RandomForestClassifier(5).fit(ROWS, NAMES == "Barolo"),
    "labels from -1": lambda: LogisticRegression(max_iter=10_000).fit(ROWS / 100, CULTIVARS.to_numpy() - 1),
}

WITHOUT_DATA = {  # what rows made up anywhere would drive to infinity, or to no number
    "Poisson's": lambda: PoissonRegressor(max_iter=1000).fit(*DIABETES),
    "a target through a logarithm": lambda: TransformedTargetRegressor(
        Ridge(), func=np.log1p, inverse_func=np.expm1
    ).fit(ROWS, ROWS[:, 0]),
    "labels that spread": lambda: LabelPropagation().fit(ROWS, CULTIVARS.to_numpy()),
    "one feature": lambda: IsotonicRegression().fit(ROWS[:, 0], ROWS[:, 1]),
    "a target that is a column": lambda: LinearRegression().fit(ROWS, ROWS[:, :1]),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", WITHOUT_DATA)
def test_without_data_rows_are_found_that_the_model_can_answer(kind, tmp_path, capfd):
    model = WITHOUT_DATA[kind]()
    joblib.dump(model, tmp_path / "mine.pkl")
    card, refused = adopt(tmp_path / "mine.pkl", "mine", None, tmp_path)
    rows = DIABETES[0][:20] if kind == "Poisson's" else ROWS[:20, :1] if kind == "one feature" else ROWS[:20]
    for format in card.files:
        predictions, _ = load(tmp_path / "models" / "mine", format).predict(rows)
        assert np.allclose(predictions, np.ravel(model.predict(rows)), rtol=1e-3)
    assert "nothing was written" not in (refused or "")
    assert capfd.readouterr().err == ""


@pytest.fixture
def wine_csv(tmp_path):
    path = tmp_path / "wine.csv"
    WINE.assign(cultivar=NAMES).to_csv(path, index=False)
    return path


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", MODELS)
def test_an_adopted_model_answers_as_scikit_learn_does_in_every_format(kind, tmp_path, wine_csv):
    model = MODELS[kind]()
    path = tmp_path / "mine.pkl"
    joblib.dump(model, path)
    regressor = kind == "a regressor"

    card, refused = adopt(path, "mine", None if regressor else wine_csv, tmp_path)

    assert ("onnx" in card.files) == (refused is None)
    if kind in ("one that ONNX refuses", "columns chosen by name"):
        assert refused
    if kind in ("scaled gradient boosting", "a regressor"):
        assert refused is None
    frame = DIABETES[0][:40] if regressor else WINE.iloc[::5]
    rows = np.asarray(frame)
    expected = model.predict(frame if hasattr(model, "feature_names_in_") else rows)
    for format in card.files:
        predictions, shares = load(tmp_path / "models" / "mine", format).predict(rows)
        if regressor:
            assert np.allclose(predictions, expected, rtol=1e-3)
        else:
            assert predictions.tolist() == expected.tolist()
            assert [type(p) for p in predictions.tolist()] == [type(p) for p in expected.tolist()]
        assert (shares is None) == (not hasattr(model, "predict_proba"))
    assert load_path(tmp_path / "model.pkl").card == card
    assert (tmp_path / "model.pkl").read_bytes() == path.read_bytes()


def test_ranges_come_from_the_data_and_are_unknown_without(tmp_path, wine_csv):
    path = tmp_path / "mine.pkl"
    joblib.dump(MODELS["a forest that is no pipeline"](), path)
    with_data, _ = adopt(path, "mine", wine_csv, tmp_path)
    assert with_data.features[0].observed == (WINE["alcohol"].min(), WINE["alcohol"].max())
    assert with_data.algorithm == "RandomForestClassifier"
    without, _ = adopt(path, "mine", None, tmp_path)
    assert without.features[0].minimum is None and '"minimum"' not in without.to_json()


def test_the_model_in_the_root_is_adopted_where_it_is(tmp_path):
    joblib.dump(MODELS["a regressor"](), tmp_path / "model.pkl")
    assert main([str(tmp_path / "model.pkl"), "--name", "sugar", "--root", str(tmp_path)]) == 0
    assert load_path(tmp_path / "model.pkl").card.name == "sugar"


def no_finite_answers() -> LinearRegression:
    model = LinearRegression().fit(ROWS, ROWS[:, 0])
    model.intercept_ = np.inf
    return model


REFUSED = {
    "nothing there": (None, "cannot be read"),
    "a text": (b"version https://git-lfs.github.com/spec/v1\n", "is no file that joblib or pickle wrote"),
    "no model": (pickle.dumps({"weights": [1, 2]}), "holds a dict"),
    "a transformer": (pickle.dumps(StandardScaler().fit(ROWS)), "holds a StandardScaler"),
    "not fitted": (pickle.dumps(LogisticRegression()), "was not fitted"),
    "a class of another script": (b"c__main__\nNobodyHasThis\n.", "needs code that is not here"),
    "a package that is not here": (b"cno_such_package\nThing\n.", "needs the package no_such_package"),
    "guesses": (
        pickle.dumps(DummyClassifier(strategy="stratified").fit(ROWS, NAMES)),
        "answers the same row otherwise each time",
    ),
    "no finite answers": (
        pickle.dumps(no_finite_answers()),
        "answers rows that were made up with no finite numbers",
    ),
    "needs rows it knows": (
        pickle.dumps(make_pipeline(FunctionTransformer(np.log1p), LinearSVC()).fit(ROWS, NAMES)),
        "give rows that it knows with --data",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_model_is_refused_in_one_line_and_nothing_is_written(kind, tmp_path, capsys):
    content, message = REFUSED[kind]
    path = tmp_path / "mine.pkl"
    if content is not None:
        path.write_bytes(content)
    assert main([str(path), "--root", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert not (tmp_path / "models").exists() and not (tmp_path / "card.json").exists()


def test_another_version_of_scikit_learn_is_told_with_both_versions(tmp_path):
    model = LinearRegression().fit(*DIABETES)
    state = model.__getstate__() | {"_sklearn_version": "0.1.2"}
    model.__class__ = type("LinearRegression", (LinearRegression,), {})
    path = tmp_path / "old.pkl"
    path.write_bytes(joblib_with(state))
    with pytest.raises(AdoptionError, match=r"scikit-learn 0\.1\.2, this is"):
        adopt(path, "old", None, tmp_path)


def joblib_with(state: dict) -> bytes:
    """A pickled LinearRegression whose state is this one."""

    class Reduced:
        def __reduce__(self):
            return LinearRegression, (), state

    return pickle.dumps(Reduced())


BAD_CSV = {
    "a column too few": (lambda t: t.drop(columns="ash").to_csv(index=False).encode(), "has no column ash"),
    "a word": (
        lambda t: t.astype(object).replace(14.23, "much").to_csv(index=False).encode(),
        "column alcohol",
    ),
    "a hole": (
        lambda t: t.replace(14.23, np.nan).to_csv(index=False).encode(),
        "column alcohol; row 2 has none",
    ),
    "no rows": (lambda t: t.iloc[:0].to_csv(index=False).encode(), "a header and no rows"),
    "empty": (lambda t: b"", "is not a CSV file"),
    "semicolons": (lambda t: t.to_csv(index=False, sep=";").encode(), "has no column"),
    "UTF-16": (lambda t: t.to_csv(index=False).encode("utf-16"), "is not UTF-8"),
}


@pytest.mark.parametrize("kind", BAD_CSV)
def test_a_bad_csv_is_refused_in_one_line(kind, tmp_path, capsys):
    make, message = BAD_CSV[kind]
    joblib.dump(MODELS["fitted on named columns"](), tmp_path / "mine.pkl")
    (tmp_path / "bad.csv").write_bytes(make(WINE))
    code = main([str(tmp_path / "mine.pkl"), "--data", str(tmp_path / "bad.csv"), "--root", str(tmp_path)])
    told = capsys.readouterr().err
    assert code == 1 and message in told and told.count("\n") == 1
    assert not (tmp_path / "models").exists()


def test_an_excel_csv_with_a_byte_order_mark_is_read(tmp_path):
    joblib.dump(MODELS["fitted on named columns"](), tmp_path / "mine.pkl")
    (tmp_path / "bom.csv").write_bytes(WINE.to_csv(index=False).encode("utf-8-sig"))
    card, _ = adopt(tmp_path / "mine.pkl", "mine", tmp_path / "bom.csv", tmp_path)
    assert card.features[0].name == "alcohol"


@pytest.mark.parametrize("name", ["../up", "Mine", "", "a" * 65, "a b"])
def test_a_name_that_could_be_a_path_is_refused(name, tmp_path, wine_csv):
    with pytest.raises(AdoptionError, match="expected a name"):
        adopt(wine_csv, name, None, tmp_path)


def test_answering_through_onnx_imports_no_scikit_learn(iris_root):
    code = (
        "import sys; from pathlib import Path; from model_training.artifact import load_path;"
        f"load_path(Path({str(iris_root / 'model.pkl')!r}));"
        "print([m for m in ('sklearn', 'pandas', 'skl2onnx', 'joblib') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
