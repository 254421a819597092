"""What one browser has done here. A reload of the page makes a new Streamlit session; this outlives it.

It is in this process, under a random number that the browser keeps in a cookie until it is closed."""

import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_hex

import streamlit as st

from ui.answering import Answering
from ui.answers import Exchange
from ui.chat import Chat
from ui.jobs import Job, Pause
from ui.load import Trial
from ui.load_runs import Run
from ui.page import in_browser
from ui.servers import Server
from ui.submission import Submission
from ui.tally import Tally
from ui.telling import Telling

COOKIE = "servelab_visit"
MOST_VISITS = 100
MOST_REQUESTS, MOST_LOADS, MOST_JOBS = 20, 6, 100
LARGEST = 50_000  # characters of a request or an answer, beyond which it is not kept


@dataclass(frozen=True)
class Recent:
    """A request that was answered, with what came of it in a few words."""

    at: datetime
    exchange: Exchange
    words: str

    @property
    def label(self) -> str:
        server, exchange = self.exchange.server, self.exchange
        return f"{self.at:%H:%M:%S} · {server.name} · {exchange.path} · {exchange.status} · {self.words}"


@dataclass
class Watched:
    """What is known here of a job, beside what the server says: `since` when, by time.monotonic, it is as
    `far` as it is, if that is known; the `tally` of its answers; the `pause` in which it is not asked for."""

    file: str = ""
    far: tuple[str, int] | None = None
    since: float = 0.0
    tally: Tally | None = None
    pause: Pause | None = None

    def look(self, job: Job) -> float:
        """For how many seconds the job has got no further."""
        if (job.state, job.rows_done) != self.far:
            self.far, self.since = (job.state, job.rows_done), time.monotonic()
        return time.monotonic() - self.since


@dataclass
class Visit:
    """`load`: the load test that was started last; `loads`: those that have ended, the latest first.
    `submission`: the file that was sent last. `telling`: what a server was told last about its models. By
    server's URL, `chosen`: the id of the job that is shown; `pauses`: in which its jobs are not asked for.
    `answering`: what reads the answers of the last turn of the `chat`, or has read them."""

    name: str
    requests: deque[Recent] = field(default_factory=lambda: deque(maxlen=MOST_REQUESTS))
    load: Run | None = None
    loads: deque[Trial] = field(default_factory=lambda: deque(maxlen=MOST_LOADS))
    submission: Submission | None = None
    telling: Telling | None = None
    chat: Chat = field(default_factory=Chat)
    answering: Answering | None = None
    chosen: dict[str, str] = field(default_factory=dict)
    pauses: dict[str, Pause] = field(default_factory=dict)
    watched: OrderedDict[tuple[str, str], Watched] = field(default_factory=OrderedDict)

    def watch(self, server: Server, job: Job) -> Watched:
        """What is known here of a job; of the last hundred that were looked at."""
        known = self.watched.setdefault((server.url, job.id), Watched())
        self.watched.move_to_end((server.url, job.id))
        while len(self.watched) > MOST_JOBS:
            self.watched.popitem(last=False)
        return known

    def forget(self) -> None:
        """What was asked and answered, and what is being answered."""
        if self.answering:
            self.answering.stop()
        self.requests.clear()
        self.chat, self.answering = Chat(), None

    def remember(self, exchange: Exchange | None, words: str = "") -> None:
        """Keep a request, the latest first; `words` or else what the answer's problem is called."""
        if exchange is None or max(len(exchange.sent), len(exchange.text)) > LARGEST:
            return
        if not words:
            words = exchange.problem.title if exchange.problem else exchange.detail[:60] or "answered"
        self.requests.appendleft(Recent(datetime.now(), exchange, words))


_visits: OrderedDict[str, Visit] = OrderedDict()
_lock = threading.Lock()


def current() -> Visit:
    """This browser's."""
    name = st.session_state.get("visit") or st.context.cookies.get(COOKIE)
    with _lock:
        if name not in _visits:  # a new browser, or one from before this page was started
            name = token_hex(16)
            _visits[name] = Visit(name)
            while len(_visits) > MOST_VISITS:
                _visits.popitem(last=False)
        _visits.move_to_end(name)
        st.session_state["visit"] = name
        return _visits[name]


def keep() -> None:
    """Let the browser keep the number; to be called where the page is made."""
    in_browser(f"document.cookie = '{COOKIE}={current().name}; path=/; SameSite=Strict'")
