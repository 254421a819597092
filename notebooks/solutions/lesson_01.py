"""Solutions of lesson 01, by exercise."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)

# %% 1.1
cancer = datasets.load("breast_cancer")

# The rule is right exactly on the samples of the more common class, so its accuracy is their share.
baseline_accuracy = cancer.target.value_counts().max() / len(cancer.target)

# %% 1.2
# Fit on one set of rows, score on the other: the score then says what the tree does with new flowers.
tree = DecisionTreeClassifier(random_state=0).fit(X_train, y_train)
honest_accuracy = tree.score(X_test, y_test)


# %% 1.3
def species_of(flower):
    # The columns decide the order of the numbers, never the dictionary.
    row = [flower[name] for name in iris.features.columns]
    # predict takes many rows and gives many answers: one row in, the first answer out.
    return iris.classes[model.predict([row])[0]]


# %% 1.4
def outside(row):
    # axis=0 goes down the rows, so each of these holds one value for each feature.
    smallest, largest = X_train.min(axis=0), X_train.max(axis=0)
    names = iris.features.columns
    # Written as "not inside", so that a value that is not a number (NaN) counts as outside too.
    return [n for n, value, low, high in zip(names, row, smallest, largest) if not low <= value <= high]
