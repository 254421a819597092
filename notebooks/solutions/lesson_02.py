"""Solutions of lesson 02, by exercise."""
# ruff: noqa (the names are the notebook's)


# %% 2.1
def names_in(data):
    # genops walks through the instructions and follows none of them. GLOBAL is the one that imports.
    return [name for step, name, _ in pickletools.genops(data) if step.name == "GLOBAL"]


# %% 2.2
import io


def load_checked(path, expected):
    # One reading: what is hashed here is what is loaded below, whatever happens to the file meanwhile.
    data = path.read_bytes()
    # Compare first. joblib.load runs what the file says, so after it there is nothing left to refuse.
    if hashlib.sha256(data).hexdigest() != expected:
        raise ValueError("these are not the bytes that were exported")
    return joblib.load(io.BytesIO(data))


# %% 2.3
def agrees(predict, golden):
    predictions, probabilities = predict([row.features for row in golden])
    same = np.array([row.prediction for row in golden]) == predictions
    # Near, not equal: the card holds 64-bit numbers, and our ONNX export computes in 32.
    near = abs(np.array([row.probabilities for row in golden]) - probabilities) < 0.001
    return bool(same.all() and near.all())


# %% 2.4
raises = {
    # The hash comes before anything that would interpret the bytes.
    "one bit of model.joblib was changed": "HashMismatchError",
    # The bytes are right, so the next check speaks.
    "the card says that scikit-learn 0.9 made it": "VersionMismatchError",
    # Bytes and versions are right; the model disagrees with what the card promises.
    "somebody edited the first golden row's prediction": "GoldenRowsError",
    # There are no bytes to hash.
    "only the card was copied": "FileMissingError",
}
