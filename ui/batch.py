"""Many rows to one server: in as few requests as it takes them, and each row with its own outcome."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ui.answers import Exchange, Failure
from ui.card import Card
from ui.client import ASKING, predict, predict_batch
from ui.prediction import Prediction
from ui.servers import Server

ROWS = 1000  # in a request, to begin with; fewer once the server says that this is too many
TOO_MUCH = ("too-many-rows", "content-too-large")
MOST_REFUSED = 20  # rows, after which it is the input that has to be put right


@dataclass
class Run:
    """What became of each row, in their order; None: not asked yet.

    `whole`: the rows went through POST /predict/batch, and not one by one. `failure` ended it before its end,
    or, where that is None, so many refused rows did."""

    outcomes: list[Prediction | Failure | None]
    requests: int = 0
    milliseconds: float = 0.0
    whole: bool = True
    failure: Failure | None = None
    exchange: Exchange | None = field(default=None, repr=False)

    @property
    def refused(self) -> int:
        return sum(isinstance(outcome, Failure) for outcome in self.outcomes)

    @property
    def predicted(self) -> int:
        return sum(isinstance(outcome, Prediction) for outcome in self.outcomes)

    @property
    def left(self) -> int:
        return self.outcomes.count(None)


def run(server: Server, rows: Sequence[Sequence[float]], card: Card) -> Iterator[Run]:
    """Send all rows, and yield the run after every request.

    A batch is taken whole or not at all: a row that the server refuses is left out, and the others are sent
    again. A server without batches, as the minimal ones are, gets the rows one by one.
    """
    done, size, waiting = Run([None] * len(rows)), ROWS, list(range(len(rows)))
    while waiting and done.failure is None and done.refused < MOST_REFUSED:
        part = waiting[: size if done.whole else 1]
        sent = [list(rows[index]) for index in part]
        answer = (
            predict_batch(server, sent, card) if done.whole else predict(server, sent[0], card, path=ASKING)
        )
        if answer is None:
            done.whole = False
            continue
        done.requests += 1
        if isinstance(answer, Failure):
            done.exchange = answer.exchange
            slug = answer.problem.slug if answer.problem else ""
            row = answer.problem.row if answer.problem else None
            if slug in TOO_MUCH and len(part) > 1:
                size = len(part) // 2
            elif refuses_a_row(answer, row, part):
                done.outcomes[waiting.pop(row or 0)] = answer
            else:
                done.failure = answer
        else:
            found, done.exchange = answer
            found = found if isinstance(found, list) else [found]
            for index, prediction in zip(part, found, strict=True):
                done.outcomes[index] = prediction
            del waiting[: len(part)]
        if done.exchange:
            done.milliseconds += done.exchange.milliseconds
        yield done


def refuses_a_row(answer: Failure, row: int | None, part: list[int]) -> bool:
    """Whether it is one row that is at fault, and known which."""
    if answer.exchange is None or answer.exchange.status != 400:
        return False
    return row < len(part) if row is not None else len(part) == 1
