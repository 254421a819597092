"""The checks of lesson 11. No check measures time."""

import redis

from ..exercises import NotYet, exercise, shown
from .flights import errors_are_ones_own, nobody_else_waits, one_computes, what_is_left
from .pieces import Pieces, expect

# --- 11.1

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.0, 2.2, 4.0, 1.0]]
ASKED = ("clinic", "iris", "2", ROWS)
# What else somebody may ask, and what to ask who has the same key for it.
OTHERS = (
    ("for another tenant", ("lab", "iris", "2", ROWS), "Whose answer would they get?"),
    ("of another model", ("clinic", "wine", "2", ROWS), "Which model answers?"),
    ("of another version", ("clinic", "iris", "3", ROWS), "What happens when the model is replaced?"),
    ("with the rows in another order", ("clinic", "iris", "2", ROWS[::-1]), "Which answer belongs to which?"),
    (
        "whose last digit differs (0.1 + 0.2 in the place of 0.3)",
        ("clinic", "iris", "2", [[5.1, 3.5, 1.4, 0.1 + 0.2]]),
        "How many digits of a number are in your key?",
    ),
    (
        "of two rows with two numbers each, in the place of one with four",
        ("clinic", "iris", "2", [[5.1, 3.5], [1.4, 0.3]]),
        "Where does your key say how long a row is?",
    ),
    (
        "whose name and version are ('iris:2', '1') in the place of ('iris', '2:1')",
        ("clinic", "iris:2", "1", ROWS),
        "What keeps the parts apart?",
    ),
    (
        "whose tenant and name are ('clinic-iris', 'a') in the place of ('clinic', 'iris-a')",
        ("clinic-iris", "a", "2", ROWS),
        "What keeps the parts apart?",
    ),
)
TWINS = (ASKED, ("clinic", "iris", "2", [[5.1, 3.5, 1.4, 0.3]]), ("clinic", "iris", "2:1", ROWS))
TWINS = (*TWINS, ("clinic", "iris-a", "2", ROWS))


@exercise(
    "11.1",
    hints=(
        "What of JSON says where a text begins and ends, and where a row does?",
        "What does `float` make of 5 and of 5.0, and does JSON write a float with all its digits?",
        "Which function of `hashlib` makes 64 digits of any bytes, and the same ones in every process?",
    ),
)
def a_key(answers):
    key = answers.function("key")
    made = key(*ASKED)
    if not isinstance(made, str):
        raise NotYet(f"key(…) gave {shown(made)}, expected a text. Which method of a hash gives its digits?")
    if "hash" in answers.names_in("key"):
        raise NotYet(
            "your key is made with `hash`, which Python begins anew in each process: expected the same key "
            "in all of them. Which library computes a hash that is the same everywhere?"
        )
    if key(*ASKED) != made:
        raise NotYet("the same question got two keys, expected one. What in it changes from call to call?")
    if key("clinic", "iris", "2", [[5, 3]]) != key("clinic", "iris", "2", [[5.0, 3.0]]):
        raise NotYet(
            "[[5, 3]] and [[5.0, 3.0]] have two keys, expected one. What makes a number of the same kind of "
            "both?"
        )
    keys = [key(*twin) for twin in TWINS]
    for name, asked, question in OTHERS:
        if key(*asked) in keys:
            raise NotYet(f"a question {name} has the same key, expected another. {question}")
    length = max(len(made), len(key(*ASKED[:3], ROWS * 32)))
    if length > 100:
        raise NotYet(
            f"for 64 rows the key has {length} characters, expected 100 at most. What has always the same "
            "length, whatever it is computed from?"
        )
    return "one for each question, short, and the same in every process."


# --- 11.2


@exercise(
    "11.2",
    hints=(
        "What does `flights.setdefault(key, mine)` return to the first who comes with a key, and what to the "
        "second?",
        "Who waits for `result()` of whose `Future`, and who has to call `set_result` or `set_exception`, "
        "even where `compute` raises?",
        "What do those who waited do where `result()` raises, and who takes the key out of `flights`?",
    ),
    seconds=30,
)
def once_for_all(answers):
    answers.function("once")
    once = answers["once"]
    one_computes(once)
    nobody_else_waits(once)
    errors_are_ones_own(once)
    what_is_left(once)
    return "one computes, those with the same key get what comes of it, and nobody else waits or fails."


# --- 11.3


class Asked:
    """A question to Redis that is asked at some time; `times` has those at which it was."""

    def __init__(self, ask):
        self._ask, self.state, self.times = ask, {}, []

    def at(self, now: float, outcome):
        """What `ask` returns then, where the question itself gives or raises `outcome`."""

        def question():
            self.times.append(now)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return self._ask(self.state, question, now, 3)


AWAY = (redis.TimeoutError("silent"), redis.ConnectionError("refused"), OSError("no route"))


@exercise(
    "11.3",
    hints=(
        "What has to be in `state` after a failure, so that the next call knows whether it may ask?",
        "Which errors say that Redis is away, and which say that something else is wrong?",
        "A failure at 100 with a pause of 3: may somebody ask at 103? And if that fails too, when next?",
    ),
)
def do_not_ask(answers):
    ask = answers.function("ask")
    for error in AWAY:
        asked = Asked(ask)
        for number, (now, found) in enumerate(((99.0, b"first"), (99.5, b""), (99.6, None)), 1):
            said = asked.at(now, found)
            if len(asked.times) != number:
                raise NotYet(
                    f"Redis answers, and of {number} questions it was asked {len(asked.times)}, expected "
                    "all. What makes yours stop asking?"
                )
            if said != found:
                raise NotYet(
                    f"with a Redis that answers {found!r}, ask(…) returned {shown(said)}, expected the same. "
                    "What do you return where all is well?"
                )
        kind = f"{type(error).__module__.partition('.')[0]}.{type(error).__name__}".removeprefix("builtins.")
        said = asked.at(100.0, error)
        if said is not None:
            raise NotYet(
                f"where the question raises {kind}, ask(…) returned {shown(said)}, expected None. What is "
                "the answer of a cache that is away?"
            )
        for now in (100.1, 101.0, 102.9):
            asked.at(now, b"there")
        if len(asked.times) != 4:
            raise NotYet(
                f"after {kind} at 100 s with a pause of 3, Redis was asked {len(asked.times) - 4} times "
                "until 102.9 s, expected 0. What does your function look at before it asks?"
            )
        if asked.at(103.0, b"back") != b"back":
            raise NotYet(
                "at 103 s, when the pause of 3 since 100 s is over, expected Redis to be asked and b'back' "
                "returned. When may somebody try again?"
            )
        if asked.at(103.1, b"there") != b"there":
            raise NotYet(
                "at 103.1 s, after Redis has answered again, expected it to be asked. What is left in "
                "`state` of the failure?"
            )
        asked = Asked(ask)
        asked.at(100.0, error)
        asked.at(103.0, error)
        if asked.at(105.9, b"there") is not None or len(asked.times) != 2:
            raise NotYet(
                "it failed at 100 s and, tried again, at 103 s: at 105.9 s expected it not to be asked. When "
                "does the pause begin anew?"
            )
    asked = Asked(answers["ask"])
    try:
        asked.at(100.0, ValueError("a bug"))
    except ValueError:
        pass
    else:
        raise NotYet(
            "the question raised a ValueError, a mistake of ours, and ask(…) kept it to itself, expected it "
            "to come out. Which errors mean that Redis is away?"
        )
    return "one failure, then nobody asks until the pause is over."


# --- 11.4


@exercise(
    "11.4",
    hints=(
        "What has to stand in the `WHERE` of one `UPDATE`, so that it changes the row for one worker alone?",
        "`db.execute('UPDATE … RETURNING attempt', …).fetchone()` is None where no row was changed. What is "
        "it for the one who has it?",
        "A worker that was thought dead comes back with attempt 1, while attempt 2 is under way. Which "
        "column tells the two apart, and what does `rowcount` say?",
    ),
)
def claim_and_finish(answers):
    claim, finish = answers.function("claim"), answers.function("finish")
    with Pieces() as pieces:
        said = claim(pieces.db, 1, 100.0, 30.0)
        if said is True:
            raise NotYet("the first claim gave True, expected 1, the attempt. What does RETURNING give?")
        expect(said, 1, "claim(db, 1, 100.0, 30.0) of a piece that waits", "What does RETURNING give?")
        row = pieces.row(1)
        if (row["state"], row["attempt"], row["lease_until"]) != ("running", 1, 130.0):
            raise NotYet(
                f"after the first claim the row says {row['state']}, attempt {row['attempt']}, lease until "
                f"{row['lease_until']}; expected running, attempt 1, until 130.0. What does your UPDATE set?"
            )
        if any(pieces.row(other)["state"] != "waiting" for other in (0, 2)):
            raise NotYet("the claim of piece 1 changed another piece too. Which rows does your WHERE name?")
        expect(
            claim(pieces.db, 1, 129.9, 30.0),
            None,
            "at 129.9 s, while another has piece 1 until 130 s, claim(…)",
            "When may a piece that runs be taken over?",
        )
        expect(claim(pieces.db, 7, 100.0, 30.0), None, "claim(…) of a piece that is not there", "Who has it?")
        expect(
            claim(pieces.db, 1, 130.0, 30.0),
            2,
            "at 130 s, when the lease is over, claim(…)",
            "Is a lease that ends now over, and does the attempt go up?",
        )
        expect(
            finish(pieces.db, 1, 1, "late"),
            False,
            "finish(…) by the one who was thought dead (attempt 1, while attempt 2 is under way)",
            "What do you compare before you write?",
        )
        if pieces.row(1)["result"] is not None or pieces.row(1)["state"] != "running":
            raise NotYet(
                "the late one was told False, and the row was changed all the same. Is the question in the "
                "same UPDATE as the writing?"
            )
        expect(finish(pieces.db, 1, 2, "right"), True, "finish(…) by who has it", "What says `rowcount`?")
        row = pieces.row(1)
        if (row["state"], row["result"]) != ("done", "right"):
            raise NotYet(
                f"after it was finished, the row says {row['state']}, result {row['result']!r}; expected "
                "done, 'right'. What does your UPDATE set?"
            )
        expect(
            finish(pieces.db, 1, 2, "again"),
            False,
            "finish(…) a second time by the same",
            "In which state may a piece be finished?",
        )
        expect(
            claim(pieces.db, 1, 1e6, 30.0),
            None,
            "claim(…) of a piece that is done, long after its lease",
            "In which states may a piece be taken?",
        )
    with Pieces() as pieces:
        said = claim(pieces.interrupted(), 1, 100.0, 30.0)
        if said is not None and pieces.rival == said:
            raise NotYet(
                "between your look and your writing another worker took the piece, and now both have it, as "
                f"attempt {said}; expected one of them. How do you look and write in one step?"
            )
    return "one has it, whoever is late writes nothing, and what is done stays done."
