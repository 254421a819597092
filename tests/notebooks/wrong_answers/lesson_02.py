"""Known wrong answers of lesson 02: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)


# %% 2.1 | your function loaded the file
def names_in(data):
    thing = pickle.loads(data)
    return [f"{type(thing).__module__} {type(thing).__name__}"]


# %% 2.1 | got the names of the steps
def names_in(data):
    return [step.name for step, _, _ in pickletools.genops(data)]


# %% 2.1 | Which steps import a name
def names_in(data):
    return [name for step, name, _ in pickletools.genops(data) if name]


# %% 2.1 | Does it end in `return`
def names_in(data):
    for step, name, _ in pickletools.genops(data):
        if step.name == "GLOBAL":
            print(name)


# %% 2.1 | module and name
def names_in(data):
    return [name.split()[0] for step, name, _ in pickletools.genops(data) if step.name == "GLOBAL"]


# %% 2.1 | expected a list of names, got 'sklearn
def names_in(data):
    for step, name, _ in pickletools.genops(data):
        if step.name == "GLOBAL":
            return "sklearn" + name


# %% 2.1 | got [] (a list). Which steps import a name
def names_in(data):
    return [name for step, name, _ in pickletools.genops(data) if step.name == "STACK_GLOBAL"]


# %% 2.1 | raised UnicodeDecodeError
def names_in(data):
    return [line for line in data.decode("utf-8").splitlines() if line.startswith("c")]


# %% 2.2 | the file is read twice
def load_checked(path, expected):
    if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise ValueError("these are not the bytes that were exported")
    return joblib.load(path)


# %% 2.2 | its code had already run
import io


def load_checked(path, expected):
    data = path.read_bytes()
    model = joblib.load(io.BytesIO(data))
    if hashlib.sha256(data).hexdigest() != expected:
        raise ValueError("these are not the bytes that were exported")
    return model


# %% 2.2 | expected a ValueError, got none
import io


def load_checked(path, expected):
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() == expected:
        return joblib.load(io.BytesIO(data))
    print("these are not the bytes that were exported")


# %% 2.2 | the right file was refused
def load_checked(path, expected):
    data = path.read_bytes()
    if hashlib.sha256(data) != expected:
        raise ValueError("these are not the bytes that were exported")
    return joblib.load(io.BytesIO(data))


# %% 2.2 | the right file: expected what it holds, got None
import io


def load_checked(path, expected):
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != expected:
        raise ValueError("these are not the bytes that were exported")
    joblib.load(io.BytesIO(data))


# %% 2.2 | expected ValueError, got AssertionError
import io


def load_checked(path, expected):
    data = path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == expected, "these are not the bytes that were exported"
    return joblib.load(io.BytesIO(data))


# %% 2.2 | How can both use one reading
def load_checked(path, expected):
    with path.open("rb") as file:
        if hashlib.sha256(file.read()).hexdigest() != expected:
            raise ValueError("these are not the bytes that were exported")
        file.seek(0)
        return joblib.load(file)


# %% 2.3 | How near is near enough
def agrees(predict, golden):
    predictions, probabilities = predict([row.features for row in golden])
    return bool((probabilities == np.array([row.probabilities for row in golden])).all())


# %% 2.3 | Do you compare the probabilities too
def agrees(predict, golden):
    predictions, _ = predict([row.features for row in golden])
    return all(p == row.prediction for p, row in zip(predictions, golden))


# %% 2.3 | Do you look at every row
def agrees(predict, golden):
    predictions, probabilities = predict([golden[0].features])
    return predictions[0] == golden[0].prediction


# %% 2.3 | What turns many comparisons into one
def agrees(predict, golden):
    predictions, _ = predict([row.features for row in golden])
    return predictions == [row.prediction for row in golden]


# %% 2.3 | Must each be near, or all of them on average
def agrees(predict, golden):
    predictions, probabilities = predict([row.features for row in golden])
    same = all(p == row.prediction for p, row in zip(predictions, golden))
    off = abs(probabilities - np.array([row.probabilities for row in golden])).mean()
    return bool(same and off < 0.001)


# %% 2.3 | Must all rows agree, or is one enough
def agrees(predict, golden):
    predictions, probabilities = predict([row.features for row in golden])
    near = abs(probabilities - np.array([row.probabilities for row in golden])) < 0.001
    return bool(any(p == row.prediction and close.all() for p, row, close in zip(predictions, golden, near)))


# %% 2.3 | which is within the tolerance
def agrees(predict, golden):
    predictions, probabilities = predict([row.features for row in golden])
    same = all(p == row.prediction for p, row in zip(predictions, golden))
    return same and bool((probabilities.round(3) == [row.probabilities for row in golden]).all())


# %% 2.3 | far from the card's: expected False, got True
def agrees(predict, golden):
    predictions, probabilities = predict([row.features for row in golden])
    same = all(p == row.prediction for p, row in zip(predictions, golden))
    return bool(same and (probabilities - [row.probabilities for row in golden]).sum() < 0.001)


# %% 2.4 | 'one bit …' does not raise 'UnreadableError'
raises = {
    "one bit of model.joblib was changed": "UnreadableError",
    "the card says that scikit-learn 0.9 made it": "VersionMismatchError",
    "somebody edited the first golden row's prediction": "GoldenRowsError",
    "only the card was copied": "FileMissingError",
}


# %% 2.4 | 'somebody edited …' does not raise 'HashMismatchError'
raises = {
    "one bit of model.joblib was changed": artifact.HashMismatchError,
    "the card says that scikit-learn 0.9 made it": artifact.VersionMismatchError,
    "somebody edited the first golden row's prediction": artifact.HashMismatchError,
    "only the card was copied": artifact.FileMissingError,
}


# %% 2.4 | 'only the card …' has no answer yet
raises = {
    "one bit of model.joblib was changed": "HashMismatchError",
    "the card says that scikit-learn 0.9 made it": "VersionMismatchError",
    "somebody edited the first golden row's prediction": "GoldenRowsError",
    "only the card was copied": ...,
}


# %% 2.4 | 'the card says …' does not raise 'HashMismatchError'
raises = {
    "one bit of model.joblib was changed": "HashMismatchError",
    "the card says that scikit-learn 0.9 made it": "HashMismatchError",
    "somebody edited the first golden row's prediction": "GoldenRowsError",
    "only the card was copied": "FileMissingError",
}


# %% 2.4 | 'only the card …' does not raise 'FileNotFoundError'
raises = {
    "one bit of model.joblib was changed": "HashMismatchError",
    "the card says that scikit-learn 0.9 made it": "VersionMismatchError",
    "somebody edited the first golden row's prediction": "GoldenRowsError",
    "only the card was copied": FileNotFoundError,
}


# %% 2.4 | 'one bit …' does not raise 'GoldenRowsError'
raises = {
    "one bit of model.joblib was changed": "GoldenRowsError",
    "the card says that scikit-learn 0.9 made it": "VersionMismatchError",
    "somebody edited the first golden row's prediction": "GoldenRowsError",
    "only the card was copied": "FileMissingError",
}
