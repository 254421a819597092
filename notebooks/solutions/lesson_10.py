"""Solutions of lesson 10, by exercise."""
# ruff: noqa (the names are the notebook's)


# %% 10.1
def point(path, text):
    # A name that nobody else has, in the same folder: os.replace does not go from one disk to another.
    handle, new = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()  # from Python's buffer to the system,
            os.fsync(file.fileno())  # and from there to the disk, before anybody is sent to it
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise


# %% 10.2
import hashlib


def in_canary(caller, digest, percent):
    # The challenger's digest belongs to it: else the same people would be in every canary. The percentage
    # does not: whoever is in at 10 has to be in at 50.
    digits = hashlib.sha256(f"{digest} {caller}".encode()).hexdigest()
    return int(digits, 16) % 100 < percent


# %% 10.3
def decide(champion, challenger, planned):
    if challenger[1] < planned:
        return "wait"  # whoever looks again and again sees a difference where there is none
    (low, high), (lowest, highest) = interval(*champion), interval(*challenger)
    if highest < low:
        return "worse"
    return "better" if lowest > high else "no difference"


# %% 10.4
def psi(edges, shares, values):
    # searchsorted counts the edges at or below a value, so that the outermost bins have no end.
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(shares))
    # An empty bin says that the sample was too small for it, and not that nothing is ever there.
    now = np.maximum(counts, 0.5) / len(values)
    then = np.maximum(shares, 0.5 / len(values))
    return float(np.sum((now - then) * np.log(now / then)))
