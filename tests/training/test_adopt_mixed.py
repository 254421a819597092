"""Models of categories, of missing values, of several outputs, and those that find outliers: each is adopted
and answers as scikit-learn itself does, from every file that is written, or is refused with a reason."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import OneClassSVM
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from model_training import datasets
from model_training.adopt import AdoptionError, adopt
from model_training.artifact import load
from model_training.card import read_card
from model_training.export import rows_of

PENGUINS = datasets.load("penguins")
SPECIES = PENGUINS.target.map(dict(enumerate(PENGUINS.classes)))
BIRDS = PENGUINS.features.assign(
    ringed=[n % 3 == 0 for n in range(344)], year=[2007 + n % 3 for n in range(344)]
)[["island", "sex", "bill length", "flipper length", "body mass", "ringed", "year"]]
NUMBERS = ["bill length", "flipper length", "body mass"]
TEXTS = ["island", "sex"]
WHOLE = BIRDS.dropna()


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Of what scikit-learn computes: on a machine with more to do, several would wait for each other."""
    with threadpool_limits(1):
        yield


def encoded(encoder, texts=TEXTS, numbers=None, remainder="drop") -> ColumnTransformer:
    numbers = numbers or make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return ColumnTransformer([("numbers", numbers, NUMBERS), ("texts", encoder, texts)], remainder=remainder)


def imputed(encoder):
    return make_pipeline(SimpleImputer(strategy="most_frequent"), encoder)


def logistic() -> LogisticRegression:
    return LogisticRegression(max_iter=5000)


def positions(texts: list[int], numbers: list[int]) -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("texts", OneHotEncoder(handle_unknown="ignore"), texts),
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        ]
    )


def typed(table: pd.DataFrame) -> pd.DataFrame:
    return table[[*TEXTS, *NUMBERS]].astype(dict.fromkeys(TEXTS, "category"))


# The model, what it is fitted on, whether there has to be an ONNX file, and which columns may be missing.
GAPS = ["sex", *NUMBERS]
MIXED = {
    "imputed and one-hot": (
        make_pipeline(encoded(imputed(OneHotEncoder(handle_unknown="ignore"))), logistic()),
        BIRDS[[*TEXTS, *NUMBERS]],
        True,
        [*TEXTS, *NUMBERS],
    ),
    "missing is a category": (
        make_pipeline(encoded(OneHotEncoder()), logistic()),
        BIRDS[[*TEXTS, *NUMBERS]],
        True,
        GAPS,
    ),
    "a word for missing": (
        make_pipeline(
            encoded(
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="unknown"),
                    OneHotEncoder(handle_unknown="ignore"),
                )
            ),
            logistic(),
        ),
        BIRDS,
        True,
        [*TEXTS, *NUMBERS],
    ),
    "never missing": (
        make_pipeline(encoded(OneHotEncoder(drop="first"), numbers=StandardScaler()), logistic()),
        WHOLE,
        True,
        [],
    ),
    "ordinal, unknown as -1": (
        make_pipeline(
            encoded(
                OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
            ),
            RandomForestClassifier(8, random_state=1),
        ),
        BIRDS,
        None,
        GAPS,
    ),
    "target encoder": (
        make_pipeline(encoded(TargetEncoder(random_state=1)), logistic()),
        WHOLE,
        None,
        NUMBERS,
    ),
    "rare ones together": (
        make_pipeline(
            encoded(OneHotEncoder(min_frequency=60, handle_unknown="infrequent_if_exist")), logistic()
        ),
        BIRDS,
        None,
        GAPS,
    ),
    "columns chosen by their kind": (
        make_pipeline(
            ColumnTransformer(
                [
                    ("texts", OneHotEncoder(), make_column_selector(dtype_exclude="number")),
                    ("numbers", KNNImputer(), make_column_selector(dtype_include="number")),
                ]
            ),
            DecisionTreeClassifier(max_depth=4, random_state=1),
        ),
        BIRDS,
        None,
        [*GAPS, "year"],
    ),
    "a union": (
        make_pipeline(
            encoded(
                make_union(
                    OneHotEncoder(handle_unknown="ignore"),
                    make_pipeline(OrdinalEncoder(encoded_missing_value=-1), StandardScaler()),
                )
            ),
            logistic(),
        ),
        BIRDS,
        None,
        GAPS,
    ),
    "numbers and truths as categories": (
        make_pipeline(encoded(OneHotEncoder(), texts=["year", "ringed", "island"]), logistic()),
        BIRDS.drop(columns="sex"),
        None,
        NUMBERS,
    ),
    "boosting on categories": (
        HistGradientBoostingClassifier(max_iter=8, categorical_features="from_dtype", random_state=1),
        typed(BIRDS),
        None,
        [*TEXTS, *NUMBERS],
    ),
    "boosting behind an encoder": (
        make_pipeline(
            encoded(OrdinalEncoder(), numbers="passthrough", remainder="passthrough"),
            HistGradientBoostingClassifier(max_iter=8, random_state=1),
        ),
        BIRDS,
        None,
        ["sex", *NUMBERS, "ringed", "year"],
    ),
    "searched": (
        GridSearchCV(
            make_pipeline(encoded(OneHotEncoder()), logistic()), {"logisticregression__C": [0.1, 1.0]}, cv=2
        ),
        BIRDS,
        None,
        GAPS,
    ),
    "votes": (
        VotingClassifier(
            [
                ("a", make_pipeline(encoded(imputed(OneHotEncoder())), logistic())),
                (
                    "b",
                    make_pipeline(
                        encoded(imputed(OrdinalEncoder())),
                        DecisionTreeClassifier(max_depth=3, random_state=1),
                    ),
                ),
            ],
            voting="soft",
        ),
        BIRDS,
        None,
        [*TEXTS, *NUMBERS],
    ),
    "stacked": (
        StackingClassifier(
            [("a", make_pipeline(encoded(imputed(OneHotEncoder())), logistic()))], logistic(), cv=2
        ),
        BIRDS,
        None,
        [*TEXTS, *NUMBERS],
    ),
    "bins": (
        make_pipeline(
            encoded(OneHotEncoder(), numbers=KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf")),
            SelectKBest(k=5),
            logistic(),
        ),
        WHOLE,
        None,
        [],
    ),
    "positions, and no names": (
        make_pipeline(positions([0, 1], [2, 3, 4]), logistic()),
        BIRDS[[*TEXTS, *NUMBERS]].to_numpy(object),
        None,
        None,
    ),
    "one category alone": (make_pipeline(OneHotEncoder(), logistic()), BIRDS[["island"]], True, []),
    "a step of Python's own": (
        make_pipeline(
            ColumnTransformer(
                [
                    ("texts", OneHotEncoder(), TEXTS),
                    ("numbers", make_pipeline(SimpleImputer(), FunctionTransformer(np.log1p)), NUMBERS),
                ]
            ),
            logistic(),
        ),
        BIRDS,
        False,
        GAPS,
    ),
}


def fitted(kind: str):
    model, table, onnx, gaps = MIXED[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answers = SPECIES[table.index] if hasattr(table, "index") else SPECIES
        return model.fit(table, answers), table, onnx, gaps


def csv_of(table, path):
    frame = table if hasattr(table, "columns") else pd.DataFrame(table)
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("data", [False, True], ids=["without data", "with data"])
@pytest.mark.parametrize("kind", MIXED)
def test_a_model_of_categories_answers_as_scikit_learn_does_in_every_format(kind, data, tmp_path):
    model, table, onnx, gaps = fitted(kind)
    joblib.dump(model, tmp_path / "mine.pkl")
    sample = csv_of(table, tmp_path / "sample.csv") if data else None
    card, refused = adopt(tmp_path / "mine.pkl", "mine", sample, tmp_path)
    if onnx is not None:
        assert (refused is None) is onnx, refused
    assert read_card(tmp_path / "models" / "mine" / "card.json") == card
    frame = table if hasattr(table, "columns") else pd.DataFrame(table)
    known = {feature.name: feature for feature in card.features}
    if gaps is not None and not data:
        assert [name for name, feature in known.items() if feature.may_be_missing] == [
            name for name in known if name in gaps
        ]
    if data:
        for feature, (_, column) in zip(card.features, frame.items(), strict=True):
            assert feature.may_be_missing or column.notna().all()
    rows = frame.astype(object).where(frame.notna(), None)
    if not data and gaps is not None:
        rows = rows[[*known]][~rows.drop(columns=gaps).isna().any(axis=1)]
    sent = rows_of(rows, card.features)
    asked = table.loc[rows.index] if hasattr(table, "loc") else table
    for format in card.files:
        predictions, shares = load(tmp_path / "models" / "mine", format).predict(sent)
        assert predictions.tolist() == model.predict(asked).tolist()
        assert np.allclose(shares, model.predict_proba(asked), atol=1e-3)


def test_the_categories_are_the_encoders_and_the_shares_the_datas(tmp_path):
    model, table, _, _ = fitted("numbers and truths as categories")
    joblib.dump(model, tmp_path / "mine.pkl")
    card, _ = adopt(tmp_path / "mine.pkl", "mine", None, tmp_path)
    kinds = {feature.name: (feature.kind, feature.categories, feature.labels) for feature in card.features}
    assert kinds == {
        "island": ("category", ["Biscoe", "Dream", "Torgersen"], None),
        "bill length": ("number", None, None),
        "flipper length": ("number", None, None),
        "body mass": ("number", None, None),
        "ringed": ("category", ["False", "True"], [False, True]),
        "year": ("category", ["2007", "2008", "2009"], [2007, 2008, 2009]),
    }
    sample = csv_of(table, tmp_path / "sample.csv")
    card, _ = adopt(tmp_path / "mine.pkl", "mine", sample, tmp_path)
    found = {feature.name: feature for feature in card.features}
    assert found["island"].shares == pytest.approx([168 / 344, 124 / 344, 52 / 344], abs=1e-5)
    assert found["ringed"].shares == pytest.approx([229 / 344, 115 / 344], abs=1e-5)
    assert (
        found["bill length"].may_be_missing and found["bill length"].median == table["bill length"].median()
    )
    assert len(found["bill length"].quantiles) == 21
    assert {type(value) for preset in card.presets for value in preset.features} == {str, float}


def test_a_card_of_numbers_alone_says_no_more_than_before(tmp_path):
    joblib.dump(Ridge().fit(WHOLE[NUMBERS], WHOLE["year"]), tmp_path / "mine.pkl")
    card, _ = adopt(tmp_path / "mine.pkl", "mine", None, tmp_path)
    assert '"features": [\n    {\n      "name": "bill length"\n    },' in card.to_json()
    assert card.is_plain


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: t.replace("Dream", "Atlantis"),
            "does not know the category in row 27 of the column island",
        ),
        (
            lambda t: t.assign(island=None),
            "expected a category in every row of the column island; row 2 has none",
        ),
        (lambda t: t.assign(**{"body mass": "heavy"}), "does not answer"),
        (
            lambda t: t.assign(**{"body mass": ["heavy", *t["body mass"][1:]]}),
            "number in every row of the column body",
        ),
        (lambda t: t.drop(columns="sex"), "has no column sex"),
    ],
)
def test_a_sample_that_does_not_fit_the_model_is_refused(change, words, tmp_path):
    model, table, _, _ = fitted("never missing")
    joblib.dump(model, tmp_path / "mine.pkl")
    sample = csv_of(change(table.reset_index(drop=True)), tmp_path / "sample.csv")
    with pytest.raises(AdoptionError, match=words) as raised:
        adopt(tmp_path / "mine.pkl", "mine", sample, tmp_path)
    assert "Atlantis" not in str(raised.value) and not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(ColumnTransformer([("words", TfidfVectorizer(), "island")]), logistic()),
        make_pipeline(FeatureUnion([("words", CountVectorizer())]), logistic()),
        make_pipeline(CountVectorizer(), logistic()),
    ],
    ids=["a column of several", "in a union", "nothing but texts"],
)
def test_free_texts_are_refused_by_the_name_of_what_reads_them(model, tmp_path):
    table = BIRDS if isinstance(model[0], ColumnTransformer) else BIRDS["island"]
    joblib.dump(model.fit(table, SPECIES), tmp_path / "mine.pkl")
    with pytest.raises(AdoptionError, match=r"takes free texts, which its (Tfidf|Count)Vectorizer reads"):
        adopt(tmp_path / "mine.pkl", "mine", None, tmp_path)


DETECTORS = {
    "IsolationForest": lambda: IsolationForest(n_estimators=20, random_state=1),
    "OneClassSVM": lambda: make_pipeline(StandardScaler(), OneClassSVM(nu=0.1)),
    "LocalOutlierFactor": lambda: LocalOutlierFactor(novelty=True),
    "EllipticEnvelope": lambda: EllipticEnvelope(random_state=1),
    "one on categories": lambda: make_pipeline(
        encoded(OneHotEncoder()), IsolationForest(n_estimators=20, random_state=1)
    ),
}


@pytest.mark.filterwarnings(
    "ignore:X does not have valid feature names"
)  # of LocalOutlierFactor's own making
@pytest.mark.parametrize("kind", DETECTORS)
def test_an_outlier_detector_says_what_scikit_learn_says(kind, tmp_path):
    table = WHOLE if kind == "one on categories" else WHOLE[NUMBERS]
    model = DETECTORS[kind]().fit(table)
    joblib.dump(model, tmp_path / "mine.pkl")
    card, _ = adopt(tmp_path / "mine.pkl", "mine", csv_of(table, tmp_path / "sample.csv"), tmp_path)
    assert (card.task, card.classes, card.labels) == ("outlier detection", ["outlier", "inlier"], [-1, 1])
    assert {row.label for row in card.golden} == {"outlier", "inlier"}
    for format in card.files:
        predictions, shares = load(tmp_path / "models" / "mine", format).predict(
            rows_of(table, card.features)
        )
        assert shares is None and predictions.tolist() == model.predict(table).tolist()


def test_one_that_cannot_look_at_new_rows_is_refused(tmp_path):
    joblib.dump(LocalOutlierFactor().fit(WHOLE[NUMBERS]), tmp_path / "mine.pkl")
    with pytest.raises(AdoptionError, match="novelty=True"):
        adopt(tmp_path / "mine.pkl", "mine", None, tmp_path)


PLACES = WHOLE["island"].to_numpy(object)
TWO = np.column_stack([SPECIES[WHOLE.index].to_numpy(object), PLACES])
UNEQUAL = np.column_stack([PLACES, WHOLE["sex"].to_numpy(object)])  # three classes, and two
MANY = np.column_stack([WHOLE["sex"] == "male", WHOLE["ringed"]]).astype(int)
SEVERAL = {
    "a forest": (RandomForestClassifier(8, random_state=1), TWO),
    "a forest with classes of its own each": (RandomForestClassifier(8, random_state=1), UNEQUAL),
    "one for each": (MultiOutputClassifier(make_pipeline(StandardScaler(), logistic())), UNEQUAL),
    "neighbours": (KNeighborsClassifier(3), UNEQUAL),
    "several labels": (MLPClassifier([8], max_iter=30, random_state=1), MANY),
    "one against the rest": (OneVsRestClassifier(make_pipeline(StandardScaler(), logistic())), MANY),
    "a chain": (ClassifierChain(make_pipeline(StandardScaler(), logistic())), MANY),
    "a tree": (DecisionTreeClassifier(max_depth=3, random_state=1), MANY),
    "a line": (LinearRegression(), WHOLE[["body mass", "year"]].to_numpy(float)),
    "a forest of values": (
        RandomForestRegressor(8, random_state=1),
        WHOLE[["body mass", "year"]].to_numpy(float),
    ),
    "a regressor for each": (
        MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=5)),
        WHOLE[["body mass", "year"]].to_numpy(float),
    ),
    "a target through a logarithm": (
        TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
        WHOLE[["body mass", "year"]].to_numpy(float),
    ),
    "on categories": (
        make_pipeline(encoded(OneHotEncoder()), RandomForestClassifier(8, random_state=1)),
        UNEQUAL,
    ),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", SEVERAL)
def test_several_answers_at_once_are_those_of_scikit_learn(kind, tmp_path):
    model, answers = SEVERAL[kind]
    table = WHOLE if kind == "on categories" else WHOLE[NUMBERS]
    model = model.fit(table, answers)
    joblib.dump(model, tmp_path / "mine.pkl")
    card, _ = adopt(tmp_path / "mine.pkl", "mine", csv_of(table, tmp_path / "sample.csv"), tmp_path)
    assert len(card.targets) == 2 and card.classes is None
    assert (
        isinstance(card.golden[0].prediction, list) and card.golden[0].prediction != card.golden[0].features
    )
    expected = model.predict(table)
    for format in card.files:
        predictions, shares = load(tmp_path / "models" / "mine", format).predict(
            rows_of(table, card.features)
        )
        assert predictions.shape == expected.shape
        if card.task == "regression":
            assert np.allclose(predictions, expected, rtol=1e-3) and shares is None
            continue
        assert predictions.astype(str).tolist() == expected.astype(str).tolist()
        for place, target in enumerate(card.targets):
            assert set(predictions[:, place].tolist()) <= set(target.raw_labels)
            assert shares[place].shape == (len(table), len(target.classes))
            assert np.allclose(shares[place].sum(axis=1), 1, atol=1e-5) or kind == "one against the rest"
