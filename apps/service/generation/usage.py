"""What was used: requests, tokens and money, by day, tenant and model, in a database.

Nobody who generates waits for it: what was used is added up in memory, and a thread writes it each second.
While the database is away it goes on being added up, which takes no more room: a line for each day, tenant
and model. Several processes add to the same rows, each in one transaction. Whoever kills a process takes its
last second with it."""

import threading
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pydantic import BaseModel
from sqlalchemy import BigInteger, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from apps.service import databases
from apps.service.bodies import Answer
from apps.service.generation.prices import UNIT, Prices
from apps.service.problems import Problem
from apps.service.settings import SettingsError

WRITE_SECONDS = 1.0
LAST_WRITE_SECONDS = 5.0
MOST_LINES = 100_000  # that wait for the database; what would be one more is lost
TRIES = 5  # to add to a row that another process makes at the same moment
DAYS, MOST_DAYS = 30, 366


class Unavailable(Problem):
    """The database does not do what it is asked; `error` is the kind of its failure."""

    def __init__(self, error: str) -> None:
        super().__init__("usage-unavailable", "what was used cannot be looked up now; none of it is lost")
        self.error = error


class Base(DeclarativeBase):
    pass


class UsageRecord(Base):
    __tablename__ = "generation_usage"

    day: Mapped[str] = mapped_column(primary_key=True)  # in UTC, as 2026-11-28
    tenant: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[int] = mapped_column(BigInteger)  # in prices.UNITs


class Line(NamedTuple):
    """What a row is found by."""

    day: str
    tenant: str
    model: str
    currency: str


class Amounts(NamedTuple):
    """What is added to it."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: int = 0

    def plus(self, other: "Amounts") -> "Amounts":
        return Amounts(*map(int.__add__, self, other))


class UsageOfDay(BaseModel):
    """What a tenant used on one day of one model. `prompt_tokens` has the cached ones in it."""

    date: str
    model: str
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost: float
    currency: str


class UsageReport(Answer):
    """The newest first; days on which nothing was used are not there."""

    tenant: str
    days: int
    data: list[UsageOfDay]


class Usage:
    """Adds up, and reports."""

    def __init__(self, settings, prices: Prices, log, metrics) -> None:
        """Raises SettingsError for a folder or a database that cannot be used."""
        self._prices, self._log, self._metrics = prices, log, metrics
        self._database = database_of(settings, log)
        self._waiting: dict[Line, Amounts] = {}
        self._full = False
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._metrics.usage_kept(True)
        self._thread = threading.Thread(target=self._work, name="usage", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what there is, if the database answers."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(LAST_WRITE_SECONDS)
        self._database.close()

    def add(self, tenant: str, model: str, requests: int, prompt: int, cached: int, completion: int) -> None:
        """So many more, `cached` among the `prompt`'s tokens. Never waits."""
        cost = self._prices.cost(model, prompt, cached, completion)
        self._metrics.used(model, self._prices.currency, prompt, cached, completion, cost / UNIT)
        line = Line(today().isoformat(), tenant, model, self._prices.currency)
        with self._lock:
            self._keep(line, Amounts(requests, prompt, cached, completion, cost))

    def cost(self, model: str, prompt: int, cached: int, completion: int) -> tuple[float, str]:
        """Of so many tokens, and in which currency."""
        return self._prices.cost(model, prompt, cached, completion) / UNIT, self._prices.currency

    def report(self, tenant: str, days: int) -> UsageReport:
        """The last `days` of a tenant, today included, with what this process has used up to now. Raises
        Unavailable."""
        self._write()
        since = (today() - timedelta(days=days - 1)).isoformat()
        mine = select(UsageRecord).where(UsageRecord.tenant == tenant, UsageRecord.day >= since)
        with self._database.session() as session:
            found = [*session.scalars(mine.order_by(UsageRecord.day.desc(), UsageRecord.model))]
        return UsageReport(tenant=tenant, days=days, data=[*map(of_day, found)])

    def _keep(self, line: Line, amounts: Amounts) -> None:
        if line not in self._waiting and len(self._waiting) >= MOST_LINES:
            if not self._full:
                self._log.error("usage is lost: the database has been away for too long", lines=MOST_LINES)
            self._full = True
            return
        self._waiting[line] = self._waiting.get(line, Amounts()).plus(amounts)

    def _work(self) -> None:
        while not self._ending.wait(WRITE_SECONDS):
            self._write_with_luck()
        self._write_with_luck()

    def _write_with_luck(self) -> None:
        try:
            self._write()
        except Unavailable:  # which has been logged
            self._metrics.usage_kept(False)
        else:
            self._metrics.usage_kept(True)

    def _write(self) -> None:
        """Raises Unavailable, and keeps everything."""
        with self._writing:
            with self._lock:
                taken, self._waiting = self._waiting, {}
            if not taken:
                if not self._database.answers:
                    self._look()
                return
            try:
                for attempt in range(TRIES):
                    try:
                        with self._database.session() as session:
                            for line, amounts in sorted(taken.items()):  # all in one order: no deadlocks
                                add_to(session, line, amounts)
                        break
                    except IntegrityError as error:
                        if attempt == TRIES - 1:
                            raise Unavailable(databases.kind_of(error)) from None
            except Unavailable:
                with self._lock:
                    for line, amounts in taken.items():
                        self._keep(line, amounts)
                raise
            self._full = False

    def _look(self) -> None:
        with self._database.session() as session:
            session.execute(select(1))


def add_to(session: Session, line: Line, amounts: Amounts) -> None:
    """To a row, which is made where there is none. Raises IntegrityError where another process has just made
    it."""
    same = [getattr(UsageRecord, name) == value for name, value in line._asdict().items()]
    more = {name: getattr(UsageRecord, name) + value for name, value in amounts._asdict().items()}
    if not session.execute(update(UsageRecord).where(*same).values(more)).rowcount:
        session.add(UsageRecord(**line._asdict(), **amounts._asdict()))
        session.flush()


def database_of(settings, log) -> databases.Database:
    """Raises SettingsError."""
    folder = settings.generation_folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = databases.Database(settings.database_url, folder / "usage.db", "usage", Unavailable, log)
        found.create(Base)
    except databases.DatabaseError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from None
    except OSError as error:
        raise SettingsError(f"GENERATION_FOLDER: {folder} cannot be used ({error.strerror})") from None
    except Unavailable as error:
        name = "DATABASE_URL" if settings.database_url else "GENERATION_FOLDER"
        raise SettingsError(f"{name}: the database cannot be used ({error.error})") from None
    return found


def of_day(record: UsageRecord) -> UsageOfDay:
    names = ("model", "requests", "prompt_tokens", "cached_tokens", "completion_tokens", "currency")
    told = {name: getattr(record, name) for name in names}
    return UsageOfDay(date=record.day, cost=record.cost / UNIT, **told)


def days_of(text: str | None) -> int:
    """As a query has it, None where it has none. Raises Problem."""
    if text is None:
        return DAYS
    if text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MOST_DAYS:
        return int(text)
    raise Problem("invalid-input", f"expected days from 1 to {MOST_DAYS}")


def today():
    return datetime.now(UTC).date()
