"""Known wrong answers of lesson 01: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)

# %% 1.1 | share of the rarer class
cancer = datasets.load("breast_cancer")
baseline_accuracy = (cancer.target == 0).mean()


# %% 1.1 | if the two classes were equally common
cancer = datasets.load("breast_cancer")
baseline_accuracy = 1 / len(cancer.classes)


# %% 1.1 | expected a share between 0 and 1, got 62.7
baseline_accuracy = 62.7


# %% 1.1 | expected one number
cancer = datasets.load("breast_cancer")
baseline_accuracy = cancer.target.value_counts()


# %% 1.1 | 0.333 is the baseline of Iris
baseline_accuracy = baseline.score(X_test, y_test)


# %% 1.1 | What do you divide by
cancer = datasets.load("breast_cancer")
counts = cancer.target.value_counts()
baseline_accuracy = counts.max() / counts.min()


# %% 1.1 | On how many samples is the rule right
cancer = datasets.load("breast_cancer")
baseline_accuracy = cancer.target.sum() / (len(cancer.target) + cancer.target.sum())


# %% 1.2 | rows that it has already seen
honest_accuracy = DecisionTreeClassifier(random_state=0).fit(X, y).score(X_test, y_test)


# %% 1.2 | learning on the 30 test rows
honest_accuracy = DecisionTreeClassifier(random_state=0).fit(X_test, y_test).score(X_train, y_train)


# %% 1.2 | expected the tree with random_state=0, fitted once on X_train
honest_accuracy = baseline.score(X_test, y_test)


# %% 1.2 | is the score on all 150 rows
honest_accuracy = DecisionTreeClassifier(random_state=0).fit(X_train, y_train).score(X, y)


# %% 1.2 | Which tree did you score
honest_accuracy = cross_val_score(DecisionTreeClassifier(random_state=0), X, y).mean()


# %% 1.2 | which is no tree
honest_accuracy = model.score(X_test, y_test)


# %% 1.3 | with its entries in another order becomes
def species_of(flower):
    return iris.classes[model.predict([list(flower.values())])[0]]


# %% 1.3 | got 0
def species_of(flower):
    return int(model.predict([[flower[name] for name in iris.features.columns]])[0])


# %% 1.3 | Does it end in `return`
def species_of(flower):
    print(iris.classes[model.predict([[flower[name] for name in iris.features.columns]])[0]])


# %% 1.3 | raised KeyError
def species_of(flower):
    return iris.classes[model.predict([[flower["sepal"], flower["petal"], 1, 1]])[0]]


# %% 1.3 | In which order do your numbers reach the model
def species_of(flower):
    return iris.classes[model.predict([[flower[name] for name in sorted(flower)]])[0]]


# %% 1.3 | What turns the model's answer into a name
def species_of(flower):
    row = [flower[name] for name in iris.features.columns]
    return [iris.classes[number] for number in model.predict([row])]


# %% 1.3 | raised ValueError
def species_of(flower):
    return iris.classes[model.predict([flower[name] for name in iris.features.columns])[0]]


# %% 1.4 | Do you look for values that are too small
def outside(row):
    return [n for n, value, high in zip(iris.features.columns, row, X_train.max(axis=0)) if value > high]


# %% 1.4 | Do you stop at the first one
def outside(row):
    for n, value, low, high in zip(iris.features.columns, row, X_train.min(axis=0), X_train.max(axis=0)):
        if value < low or value > high:
            return [n]
    return []


# %% 1.4 | Is the smallest value itself outside
def outside(row):
    low, high = X_train.min(axis=0), X_train.max(axis=0)
    return [n for n, value, a, b in zip(iris.features.columns, row, low, high) if not a < value < b]


# %% 1.4 | expected a list of names, got True
def outside(row):
    return True


# %% 1.4 | raised TypeError
def outside(row):
    return [n for n, value in zip(iris.features.columns, row) if value < X_train.min]


# %% 1.4 | Is each entry of your list the name of a feature
def outside(row):
    low, high = X_train.min(axis=0), X_train.max(axis=0)
    return [i for i in range(4) if not low[i] <= row[i] <= high[i]]


# %% 1.4 | Which flower is outside of what
def outside(row):
    low, high = X_train.mean(axis=0) - X_train.std(axis=0) / 4, X_train.mean(axis=0) + X_train.std(axis=0) / 4
    return [n for n, value, a, b in zip(iris.features.columns, row, low, high) if not a <= value <= b]


# %% 1.4 | Do you look for values that are too large
def outside(row):
    low, high = X_train.min(), X_train.max()
    return [n for n, value in zip(iris.features.columns, row) if not low <= value <= high]


# %% 1.4 | Is the largest value itself outside
def outside(row):
    low, high = X_train.min(axis=0), X_train.max(axis=0)
    return [n for n, v, a, b in zip(iris.features.columns, row, low, high) if v < a or v >= b]
