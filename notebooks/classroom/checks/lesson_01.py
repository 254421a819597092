"""The checks of lesson 01."""

from math import isclose

import numpy as np

from model_training import datasets

from ..exercises import NotYet, exercise, shown

FLOWERS = {
    "setosa": {"petal width": 0.2, "sepal length": 5.1, "petal length": 1.4, "sepal width": 3.5},
    "versicolor": {"sepal width": 3.2, "petal length": 4.7, "sepal length": 7.0, "petal width": 1.4},
    "virginica": {"petal length": 6.0, "petal width": 2.5, "sepal width": 3.3, "sepal length": 6.3},
}


@exercise(
    "1.1",
    hints=(
        "What does `cancer.target.value_counts()` say: how many samples are 0, and how many are 1?",
        "If you always say the more common one, for which samples are you right?",
        "What share of all samples is that, as a number between 0 and 1?",
    ),
)
def the_score_of_knowing_nothing(answers):
    share = answers.number("baseline_accuracy")
    counts = datasets.load("breast_cancer").target.value_counts()
    expected = counts.max() / counts.sum()
    if isclose(share, expected, abs_tol=0.0051):
        return f"{share:.3f}. A model with 0.63 on this data has learned nothing, and 0.33 was fair on Iris."
    if share > 1:
        raise NotYet(
            f"expected a share between 0 and 1, got {share:g}. What do you divide by to get from a count "
            "or a percentage to a share?"
        )
    if isclose(share, counts.min() / counts.sum(), abs_tol=0.0051):
        raise NotYet(
            f"{share:.3f} is the share of the rarer class, so your rule says the less common one every time. "
            "Which of the two would you bet on?"
        )
    if isclose(share, 1 / 3, abs_tol=0.0051):
        raise NotYet(
            "0.333 is the baseline of Iris, with its three species; expected that of these samples. Which "
            "dataset do your counts come from?"
        )
    if isclose(share, 0.5):
        raise NotYet(
            "0.5 would be right if the two classes were equally common; expected a figure counted "
            "from the data. How many of the samples are of each class?"
        )
    raise NotYet(
        f"expected {counts.max()} right of {counts.sum()} as a share, got {share:.3f}. On how many samples "
        "is the rule right?"
    )


@exercise(
    "1.2",
    hints=(
        "Which rows did the colleague's tree learn from, and which was it scored on?",
        "Which rows must `fit` see, and which must it never see?",
        "What do `.fit(X_train, y_train)` and then `.score(X_test, y_test)` give?",
    ),
)
def the_honest_figure(answers):
    accuracy = answers.number("honest_accuracy")
    from sklearn.tree import DecisionTreeClassifier

    X_train, X_test = answers["X_train"], answers["X_test"]
    y_train, y_test = answers["y_train"], answers["y_test"]
    tree = DecisionTreeClassifier(random_state=0).fit(X_train, y_train)
    expected = tree.score(X_test, y_test)
    everything = tree.score(np.concatenate([X_train, X_test]), np.concatenate([y_train, y_test]))
    swapped = DecisionTreeClassifier(random_state=0).fit(X_test, y_test).score(X_train, y_train)
    if isclose(accuracy, expected, abs_tol=0.0051):
        return f"{accuracy:.3f}: good, and short of perfect. That is the figure to put in a report."
    if isclose(accuracy, 1.0):
        raise NotYet(
            "1.0 is what this tree gets for rows that it has already seen (and what `model`, which is no "
            "tree, got for the test rows). Was your tree fitted on X_train alone, and scored on X_test?"
        )
    if isclose(accuracy, everything, abs_tol=0.0051):
        raise NotYet(
            f"{accuracy:.3f} is the score on all 150 rows, 120 of which the tree has seen. On which rows can "
            "it only be right by knowing?"
        )
    if isclose(accuracy, swapped, abs_tol=0.0051):
        raise NotYet(
            f"{accuracy:.3f} comes from learning on the 30 test rows and scoring on the 120 others. Which "
            "of the two should teach?"
        )
    raise NotYet(
        f"expected the tree with random_state=0, fitted once on X_train and scored on X_test, got "
        f"{accuracy:.3f}. Which tree did you score, and on which rows?"
    )


@exercise(
    "1.3",
    hints=(
        "In which order does `flower.values()` give the numbers, and in which does the model want them?",
        "What is `[flower[name] for name in iris.features.columns]`?",
        "`model.predict` gives an array with one index in it; which list turns an index into a name?",
    ),
)
def ask_by_name(answers):
    species_of = answers.function("species_of")
    names = list(datasets.load("iris").features.columns)
    for expected, flower in FLOWERS.items():
        in_order = {name: flower[name] for name in names}
        said, said_in_order = species_of(dict(flower)), species_of(in_order)
        if said_in_order is None:
            raise NotYet("`species_of` gave None, expected a name such as 'setosa'. Does it end in `return`?")
        if not isinstance(said_in_order, str):
            raise NotYet(
                f"for a {expected}, expected its name '{expected}', got {shown(said_in_order)}. What turns "
                "the model's answer into a name?"
            )
        if said_in_order != expected:
            raise NotYet(
                f"expected {expected}, got {said_in_order}, even with the entries in the model's order. "
                "In which order do your numbers reach the model, and which name belongs to its answer?"
            )
        if said != said_in_order:
            raise NotYet(
                f"right with the entries in the model's order, but the same {expected} with its entries in "
                f"another order becomes {shown(said)}. In which order do your numbers reach the model?"
            )
    return "the names decide, whatever order they come in."


@exercise(
    "1.4",
    hints=(
        "What do `X_train.min(axis=0)` and `X_train.max(axis=0)` hold, and how many numbers is each?",
        "`zip` can take four lists: how would you walk through names, row, smallest and largest together?",
        "For which of the four is `smallest <= value <= largest` false?",
    ),
)
def the_row_that_no_flower_resembles(answers):
    outside = answers.function("outside")
    X_train = np.asarray(answers["X_train"], dtype=float)
    names = list(datasets.load("iris").features.columns)
    low, high = X_train.min(axis=0), X_train.max(axis=0)
    middle = np.median(X_train, axis=0)

    def ask(row, why, question):
        expected = [n for n, value, a, b in zip(names, row, low, high, strict=True) if not a <= value <= b]
        got = outside([float(value) for value in row])
        if got is None:
            raise NotYet(
                "`outside` gave None, expected a list, empty if all is well. Does it end in `return`?"
            )
        if isinstance(got, str) or not hasattr(got, "__iter__"):
            raise NotYet(
                f"expected a list of names, got {shown(got)}. Could two features be outside at once?"
            )
        if sorted(map(str, got)) != sorted(expected):
            if any(name not in names for name in got):
                question = "Is each entry of your list the name of a feature?"
            raise NotYet(f"{why}: expected {expected}, got {shown(list(got))}. {question}")

    ask(middle, "an ordinary flower", "Which flower is outside of what?")
    ask([*middle[:3], high[3] + 1], "a petal 1 cm too wide", "Do you look for values that are too large?")
    ask([low[0] - 1, *middle[1:]], "a sepal 1 cm too short", "Do you look for values that are too small?")
    ask(low, "a flower with the smallest training values", "Is the smallest value itself outside?")
    ask(high, "a flower with the largest training values", "Is the largest value itself outside?")
    ask([0.2, 1.4, 3.5, 5.1], "the reversed row", "Do you stop at the first one that you find?")
    return "the reversed row is caught before the model sees it. A server can do this too, and ours will."
