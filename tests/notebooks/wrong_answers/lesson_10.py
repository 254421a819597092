"""Known wrong answers of lesson 10: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)


# %% 10.1 | into the pointer's own file
def point(path, text):
    path.write_text(text)


# %% 10.1 | into the pointer's own file, and whoever reads it
def point(path, text):
    with open(path, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


# %% 10.1 | Which call waits for the disk
def point(path, text):
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


# %% 10.1 | What sends it from there to the system
def point(path, text):
    handle, new = tempfile.mkstemp(dir=path.parent)
    with open(handle, "w") as file:
        file.write(text)
        os.fsync(file.fileno())
    os.replace(new, path)


# %% 10.1 | Is all of the text in it by then
def point(path, text):
    handle, new = tempfile.mkstemp(dir=path.parent)
    with open(handle, "w") as file:
        file.write(text)
        os.replace(new, path)


# %% 10.1 | Which folder is always on the same disk
def point(path, text):
    handle, new = tempfile.mkstemp()
    with open(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


# %% 10.1 | Which function of `os` does it everywhere
def point(path, text):
    handle, new = tempfile.mkstemp(dir=path.parent)
    with open(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(new, path)


# %% 10.1 | What takes it away, and does it have to
def point(path, text):
    handle, new = tempfile.mkstemp(dir=path.parent)
    with open(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    path.unlink(missing_ok=True)
    os.replace(new, path)


# %% 10.1 | Who removes it where something goes wrong
def point(path, text):
    handle, new = tempfile.mkstemp(dir=path.parent)
    with open(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


# %% 10.1 | returned as if all were well
def point(path, text):
    handle, new = tempfile.mkstemp(dir=path.parent)
    try:
        with open(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError:
        os.unlink(new)


# %% 10.1 | What is the name of the file that each of them writes first
def point(path, text):
    new = path.with_suffix(".new")
    try:
        with open(new, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


# %% 10.1 | What if each wrote a file of its own
lock = threading.Lock()


def point(path, text):
    new = path.with_suffix(".new")
    with lock:
        try:
            with open(new, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise


# %% 10.1 | What is left of your new file once it is in place
import shutil


def point(path, text):
    handle, new = tempfile.mkstemp(dir=path.parent)
    with open(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(shutil.copy(new, new + "-copy"), path)


# %% 10.2 | What of your choice does not come from the caller
import random


def in_canary(caller, digest, percent):
    return random.random() * 100 < percent


# %% 10.2 | you use `hash`, which Python begins anew in each process
def in_canary(caller, digest, percent):
    return hash((caller, digest)) % 100 < percent


# %% 10.2 | Is it < or <=
import hashlib


def in_canary(caller, digest, percent):
    return int(hashlib.sha256(f"{digest} {caller}".encode()).hexdigest(), 16) % 100 <= percent


# %% 10.2 | with 100 percent
import hashlib


def in_canary(caller, digest, percent):
    return 0 < int(hashlib.sha256(f"{digest} {caller}".encode()).hexdigest(), 16) % 101 <= percent


# %% 10.2 | Are all of the hundred numbers equally likely
import hashlib


def in_canary(caller, digest, percent):
    return hashlib.sha256(f"{digest} {caller}".encode()).digest()[0] % 100 < percent


# %% 10.2 | Is the percentage in the text that you hash
import hashlib


def in_canary(caller, digest, percent):
    text = f"{digest} {caller} {percent}"
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 100 < percent


# %% 10.2 | the same people would try everything first
import hashlib


def in_canary(caller, digest, percent):
    return int(hashlib.sha256(caller.encode()).hexdigest(), 16) % 100 < percent


# %% 10.2 | expected True or False
import hashlib


def in_canary(caller, digest, percent):
    return int(hashlib.sha256(f"{digest} {caller}".encode()).hexdigest(), 16) % 100


# %% 10.3 | How many answers were planned
def decide(champion, challenger, planned):
    (low, high), (lowest, highest) = interval(*champion), interval(*challenger) if challenger[1] else (0, 1)
    if challenger[1] == 0:
        return "wait"
    return "worse" if highest < low else "better" if lowest > high else "no difference"


# %% 10.3 | Are the 300 that were planned there
def decide(champion, challenger, planned):
    if challenger[1] <= planned:
        return "wait"
    (low, high), (lowest, highest) = interval(*champion), interval(*challenger)
    return "worse" if highest < low else "better" if lowest > high else "no difference"


# %% 10.3 | The champion's ends at 0.910
def decide(champion, challenger, planned):
    if challenger[1] < planned:
        return "wait"
    before, after = champion[0] / champion[1], challenger[0] / challenger[1]
    return "worse" if after < before else "better" if after > before else "no difference"


# %% 10.3 | how far up may the champion be
def decide(champion, challenger, planned):
    if challenger[1] < planned:
        return "wait"
    before, (lowest, highest) = champion[0] / champion[1], interval(*challenger)
    return "worse" if highest < before else "better" if lowest > before else "no difference"


# %% 10.3 | how far up may the other be
def decide(champion, challenger, planned):
    if challenger[1] < planned:
        return "wait"
    (low, high), (lowest, highest) = interval(*champion), interval(*challenger)
    if challenger[0] / challenger[1] < low:
        return "worse"
    return "better" if lowest > high else "no difference"


# %% 10.3 | expected 'worse'
def decide(champion, challenger, planned):
    if challenger[1] < planned:
        return "wait"
    (low, high), (lowest, highest) = interval(*champion), interval(*challenger)
    return "better" if highest < low else "worse" if lowest > high else "no difference"


# %% 10.3 | expected one of 'wait', 'worse', 'better', 'no difference'
def decide(champion, challenger, planned):
    if challenger[1] < planned:
        return None
    return interval(*challenger)[1] < interval(*champion)[0]


# %% 10.4 | Do you compare shares, or numbers of values
def psi(edges, shares, values):
    now = (
        np.maximum(np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(shares)), 0.5) / 10
    )
    then = np.maximum(shares, 0.5 / len(values))
    return np.sum((now - then) * np.log(now / then))


# %% 10.4 | Which bin is for values below the first edge
def psi(edges, shares, values):
    now = np.maximum(np.histogram(values, [0.0, *edges, 6.0])[0], 0.5) / len(values)
    then = np.maximum(shares, 0.5 / len(values))
    return np.sum((now - then) * np.log(now / then))


# %% 10.4 | with the natural logarithm
def psi(edges, shares, values):
    now = np.maximum(
        np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(shares)), 0.5
    ) / len(values)
    then = np.maximum(shares, 0.5 / len(values))
    return np.sum((now - then) * np.log10(now / then))


# %% 10.4 | added up over the bins
def psi(edges, shares, values):
    now = np.maximum(
        np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(shares)), 0.5
    ) / len(values)
    then = np.maximum(shares, 0.5 / len(values))
    return np.sum(now * np.log(now / then))


# %% 10.4 | To which of its two bins does a value belong
def psi(edges, shares, values):
    bins = np.searchsorted(edges, values)
    now = np.maximum(np.bincount(bins, minlength=len(shares)), 0.5) / len(values)
    then = np.maximum(shares, 0.5 / len(values))
    return np.sum((now - then) * np.log(now / then))


# %% 10.4 | gave inf, expected
def psi(edges, shares, values):
    now = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(shares)) / len(values)
    then = np.maximum(shares, 0.5 / len(values))
    return np.sum((now - then) * np.log(now / then))


# %% 10.4 | how many rows should an empty bin have
def psi(edges, shares, values):
    now = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(shares)) / len(values)
    filled = now > 0
    now, then = now[filled], np.array(shares)[filled]
    return np.sum((now - then) * np.log(now / then))


# %% 10.4 | What is a share divided by 0
def psi(edges, shares, values):
    now = np.maximum(
        np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(shares)), 0.5
    ) / len(values)
    return np.sum((now - shares) * np.log(now / np.array(shares)))


# %% 10.4 | expected one number
def psi(edges, shares, values):
    now = np.maximum(
        np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(shares)), 0.5
    ) / len(values)
    then = np.maximum(shares, 0.5 / len(values))
    return (now - then) * np.log(now / then)
