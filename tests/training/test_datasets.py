"""The datasets are what their descriptions say."""

import pytest

from model_training import datasets

SHAPES = {
    "iris": (150, 4),
    "wine": (178, 13),
    "breast_cancer": (569, 30),
    "diabetes": (442, 10),
    "penguins": (344, 6),
}


@pytest.fixture(params=datasets.LOADERS)
def dataset(request):
    return datasets.load(request.param)


def test_every_feature_has_a_name_a_unit_or_none_and_only_numbers_unless_it_is_a_category(dataset):
    assert dataset.features.shape == SHAPES[dataset.name]
    assert list(dataset.units) == list(dataset.features.columns)
    assert not any("(" in name or "_" in name for name in dataset.features)
    numbers = dataset.features.drop(columns=dataset.categories)
    assert all(kind == "float64" for kind in numbers.dtypes)
    if dataset.name == "penguins":
        assert dataset.categories == ["island", "sex"]
        assert dataset.features.isna().sum().to_dict() == {
            **{"island": 0, "sex": 11},
            **dict.fromkeys(["bill length", "bill depth", "flipper length", "body mass"], 2),
        }
    else:
        assert dataset.categories == [] and dataset.features.notna().all(axis=None)


def test_every_value_lies_in_its_features_range(dataset):
    for name, (low, high) in dataset.ranges.items():
        assert low < high
        assert dataset.features[name].dropna().between(low, high).all()


def test_the_origin_and_the_title_are_sentences_for_people(dataset):
    assert dataset.origin.endswith(".") and len(dataset.title) > 20


def test_the_frame_shows_classes_by_name(dataset):
    shown = dataset.frame[dataset.target.name]
    if dataset.task == "classification":
        assert set(shown) == set(dataset.classes)
    else:
        assert shown.equals(dataset.target)


def test_the_fingerprint_follows_the_numbers(dataset):
    before = dataset.sha256()
    assert before == datasets.load(dataset.name).sha256()
    dataset.features.iloc[0, -1] += 1e-9
    assert dataset.sha256() != before
    for name in dataset.categories:
        changed = datasets.load(dataset.name)
        changed.features.loc[0, name] = None
        assert changed.sha256() != before


def test_a_name_that_is_none_is_told_which_there_are():
    with pytest.raises(ValueError, match="no dataset is called 'irirs'; there are iris, wine"):
        datasets.load("irirs")
