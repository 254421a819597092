"""The checks of lesson 10. No check measures time."""

import math

import httpx
import numpy as np

from ..exercises import NotTried, NotYet, exercise, shown
from ..servers import ServerError
from .pointers import NEW, OLD, Folder, on_a_full_disk, while_another_points

# --- 10.1


@exercise(
    "10.1",
    hints=(
        "What does `os.replace(new, path)` need, that `open(path, 'w')` does not leave standing?",
        "`tempfile.mkstemp(dir=path.parent)` makes a file that nobody else has, and gives a handle and a "
        "name. What does `open(handle, 'w')` make of the handle?",
        "Python keeps what you write in a buffer, and so does the system. What does `flush` empty, and what "
        "`os.fsync`, and in which order?",
    ),
    seconds=30,
)
def move_a_pointer(answers):
    call = answers.function("point")
    point = answers["point"]
    with Folder() as folder:
        for text in OLD, NEW:
            folder.point(call, text)
            if folder.text != text:
                raise NotYet(
                    f"after point(path, {text!r}) the file says {shown(folder.text)}, expected the text. "
                    "Which line puts it there?"
                )
            if folder.replaced == 0:
                raise NotYet(
                    "your text is written into the pointer's own file, and whoever reads it meanwhile finds "
                    "half of it. Which file could be written first, and then be put in its place?"
                )
            if folder.left_over:
                raise NotYet(
                    f"{len(folder.left_over)} more file is in the folder afterwards, expected the pointer "
                    "alone. What is left of your new file once it is in place?"
                )
        if not folder.synced:
            raise NotYet(
                "the new file is put in place while its text may be in the system's memory only: after a "
                "power failure there would be a pointer with nothing in it. Which call waits for the disk?"
            )
        if max(folder.synced) < len(NEW):
            raise NotYet(
                f"when you call `os.fsync`, the file has {max(folder.synced)} bytes, expected {len(NEW)}: "
                "the text is still in Python's buffer. What sends it from there to the system?"
            )
        on_a_full_disk(folder, point)
        while_another_points(folder, point)
    return "old or new, never half, whoever reads, writes or fails meanwhile."


# --- 10.2

CALLERS = [f"caller-{number}" for number in range(20_000)]
DIGESTS = ("3f" * 32, "a7" * 32)


def said_of(choose, digest: str, percent: int) -> list[bool]:
    """Whether each of CALLERS is in it."""
    found = [choose(caller, digest, percent) for caller in CALLERS]
    wrong = next((one for one in found if not isinstance(one, bool)), None)
    if wrong is not None:
        raise NotYet(
            f"in_canary(…, percent={percent}) gave {shown(wrong)}, expected True or False. What do you "
            "compare the caller's number with?"
        )
    return found


@exercise(
    "10.2",
    hints=(
        "Which function of `hashlib` makes the same number of the same text in every process?",
        "`int(digits, 16)` makes a number of hexadecimal digits. What does `% 100` make of it, and how many "
        "of the hundred results should be in a canary of 10?",
        "What has to be in the text, besides the caller, so that the next canary falls to others?",
    ),
    seconds=30,
)
def who_is_in_the_canary(answers):
    choose = answers.function("in_canary")
    one, other = DIGESTS
    ten = said_of(choose, one, 10)
    if "hash" in answers.names_in("in_canary"):
        raise NotYet(
            "you use `hash`, which Python begins anew in each process: expected that all workers choose the "
            "same callers. Which library computes a hash that is the same everywhere?"
        )
    if (changed := sum(a != b for a, b in zip(ten, said_of(choose, one, 10), strict=True))) > 0:
        raise NotYet(
            f"asked twice, {changed} of 20,000 callers were told otherwise the second time, expected 0. What "
            "of your choice does not come from the caller?"
        )
    if (count := sum(said_of(choose, one, 0))) > 0:
        raise NotYet(f"with 0 percent {count} of 20,000 are in the canary, expected 0. Is it < or <=?")
    if (count := sum(said_of(choose, one, 100))) < len(CALLERS):
        raise NotYet(f"with 100 percent {count} of 20,000 are in the canary, expected all. Is it < or <=?")
    fifty = said_of(choose, one, 50)
    for percent, found in (10, ten), (50, fifty):
        expected = len(CALLERS) * percent // 100
        margin = 5 * math.sqrt(expected * (100 - percent) / 100)  # five standard deviations
        if abs(sum(found) - expected) > margin:
            raise NotYet(
                f"with {percent} percent {sum(found):,} of 20,000 are in the canary, expected about "
                f"{expected:,}. Are all of the hundred numbers equally likely?"
            )
    if lost := sum(a and not b for a, b in zip(ten, fifty, strict=True)):
        raise NotYet(
            f"when 10 percent become 50, {lost:,} callers go back to the old model, expected 0. Is the "
            "percentage in the text that you hash?"
        )
    both = sum(a and b for a, b in zip(ten, said_of(choose, other, 10), strict=True))
    if both > 600:  # 200 by chance, with a standard deviation of 14
        raise NotYet(
            f"of the callers in one model's canary {both:,} are in the next one's as well, expected about "
            "200: the same people would try everything first. What else than the caller should decide?"
        )
    return "the same people as long as the canary lasts, in every process, and others the next time."


# --- 10.3

# What the champion did, what the challenger did (right, answered), what is to be decided, and a question
# for those who decide otherwise. 300 answers were planned.
DECISIONS = (
    ((2700, 3000), (0, 0), "wait", "What has to be known before an interval can be computed?"),
    ((2700, 3000), (20, 40), "wait", "How many answers were planned?"),
    ((2700, 3000), (297, 299), "wait", "How many answers were planned?"),
    (
        (2700, 3000),
        (210, 300),
        "worse",
        "Are the 300 that were planned there, and where do both intervals lie?",
    ),
    ((2700, 3000), (291, 300), "better", "Whose interval lies above the other's?"),
    ((2700, 3000), (276, 300), "no difference", "The champion's ends at 0.910: where does the other begin?"),
    (
        (27, 30),
        (291, 300),
        "no difference",
        "The challenger's begins at 0.944: how far up may the champion be?",
    ),
    (
        (2700, 3000),
        (260, 300),
        "no difference",
        "The champion's begins at 0.889: how far up may the other be?",
    ),
    ((2850, 3000), (300, 300), "better", "What is the interval of 300 right answers of 300?"),
    ((2700, 3000), (0, 300), "worse", "What is the interval of 0 right answers of 300?"),
)
WORDS = ("wait", "worse", "better", "no difference")


@exercise(
    "10.3",
    hints=(
        "How many answers has the challenger, and what do you say while they are fewer than `planned`?",
        "`interval(*challenger)` gives a lowest and a highest share. When does all of it lie below the "
        "champion's?",
        "What is left to say where the two intervals have a part in common?",
    ),
    seconds=30,
)
def decide_from_counts(answers):
    decide = answers.function("decide")
    for champion, challenger, expected, question in DECISIONS:
        said = decide(champion, challenger, 300)
        told = f"decide(champion={champion}, challenger={challenger}, planned=300) gave {shown(said)}"
        if not isinstance(said, str) or said not in WORDS:
            raise NotYet(f"{told}, expected one of {', '.join(map(repr, WORDS))}. What does yours return?")
        if said != expected:
            raise NotYet(f"{told}, expected {expected!r}. {question}")
    told = "enough answers, and both intervals, before anybody says worse or better."
    counts = counted(answers)
    if counts is None:
        return told
    said = decide(*counts, 150)
    return f"{told} Of your server's {counts[0]} and {counts[1]}, with 150 planned, yours says {said!r}."


def counted(answers) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """What the learner's server has counted of versions 1 and 2; None where it does not run any more."""
    try:
        server, number = answers["servers"]["FastAPI"], answers["NUMBER"]
        found = server.get("/models/iris/quality").json()["versions"]
        counts = {number[one["version"]]: (one["correct"], one["truths"]) for one in found if one["truths"]}
        return counts["1"], counts["2"]
    except (NotTried, KeyError, TypeError, ValueError, ServerError, httpx.HTTPError):
        return None


# --- 10.4

EDGES, SHARES = [1.0, 2.0, 4.0], [0.4, 0.3, 0.2, 0.1]
AS_IN_TRAINING = [0.5] * 4 + [1.5] * 3 + [3.0] * 2 + [5.0]


def true_psi(shares, values) -> float:
    counts = [0] * len(shares)
    for value in values:
        counts[sum(edge <= value for edge in EDGES)] += 1
    now = [max(count, 0.5) / len(values) for count in counts]
    then = [max(share, 0.5 / len(values)) for share in shares]
    return sum((n - t) * math.log(n / t) for n, t in zip(now, then, strict=True))


DRIFTS = (
    ("as in the training", SHARES, AS_IN_TRAINING, "What is a share that did not change worth?"),
    (
        "as in the training, ten times as many",
        SHARES,
        AS_IN_TRAINING * 10,
        "Do you compare shares, or numbers of values?",
    ),
    (
        "that have moved up",
        SHARES,
        [0.5] + [1.5] * 2 + [3.0] * 3 + [5.0] * 4,
        "Is it (now - then) * log(now / then), with the natural logarithm, added up over the bins?",
    ),
    (
        "of which some are below and some above all that the training had",
        SHARES,
        [-70.0] * 4 + [1.5] * 3 + [3.0] * 2 + [900.0],
        "Which bin is for values below the first edge, and which for those above the last?",
    ),
    (
        "that lie on the edges",
        SHARES,
        [0.5] * 3 + [1.0] * 3 + [2.0] * 3 + [4.0],
        "To which of its two bins does a value belong that is an edge?",
    ),
    (
        "that leave two bins empty",
        SHARES,
        [1.5] * 5 + [3.0] * 5,
        "What is the logarithm of 0, and how many rows should an empty bin have?",
    ),
    (
        "in a bin that was empty in the training",
        [0.5, 0.3, 0.2, 0.0],
        AS_IN_TRAINING,
        "What is a share divided by 0?",
    ),
)


@exercise(
    "10.4",
    hints=(
        "`np.searchsorted(edges, values, side='right')` gives the number of each value's bin. What does "
        "`np.bincount(…, minlength=…)` make of these?",
        "What does `np.maximum(counts, 0.5)` do to an empty bin, and what would the logarithm make of it?",
        "What is added up, for each bin, when you have the shares of then and of now?",
    ),
)
def how_far_it_has_moved(answers):
    psi = answers.function("psi")
    for name, shares, values, question in DRIFTS:
        with np.errstate(all="ignore"):
            said = psi(list(EDGES), list(shares), list(values))
        said = said.item() if hasattr(said, "item") and getattr(said, "size", 0) == 1 else said
        if isinstance(said, bool) or not isinstance(said, int | float):
            raise NotYet(f"psi(…) gave {shown(said)}, expected one number. What does yours return?")
        expected = true_psi(shares, values)
        if not math.isclose(said, expected, rel_tol=1e-6, abs_tol=1e-9):
            raise NotYet(f"for values {name} psi(…) gave {said:.4f}, expected {expected:.4f}. {question}")
    return "0 where nothing has moved, and a number for everything else."
