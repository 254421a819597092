"""What may come back from a server: an exchange, or a failure said in words that a person can act on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ui.refusals import ENDED, FAULTY, MINIMAL, REFUSED, WORDS
from ui.servers import Server

SOON = 10  # seconds; who is to wait longer is told until when
TRAIN = ("python kit.py train",)
ADOPT = ("python kit.py adopt model.pkl --data rows.csv",)


@dataclass(frozen=True)
class Problem:
    """An error as the full servers send it (RFC 9457). `row`: which of several is at fault, from 0."""

    slug: str
    title: str
    status: int
    detail: str
    request_id: str
    page: str  # the address of the page that explains it; empty where the server has none
    row: int | None = None


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. `body` is the parsed JSON, None where the answer is not JSON."""

    server: Server
    method: str
    url: str
    sent: str
    sent_headers: Mapping[str, str]
    status: int
    headers: Mapping[str, str]
    text: str
    body: Any
    milliseconds: float

    @property
    def path(self) -> str:
        """The address without its host, with its query."""
        return "/" + self.url.split("://", 1)[-1].partition("/")[2]

    @property
    def signed(self) -> bool:
        """Whether it said who asks."""
        return not {"authorization", "x-api-key"}.isdisjoint(name.lower() for name in self.sent_headers)

    @property
    def detail(self) -> str:
        """What the server says went wrong; empty where it says nothing readable."""
        body = self.body if isinstance(self.body, dict) else {}
        detail = body.get("detail", body.get("reason"))  # the latter in a minimal server's health
        return detail.strip()[:300] if isinstance(detail, str) else ""

    @property
    def problem(self) -> Problem | None:
        """The problem that the answer is, if it is one."""
        body = self.body if isinstance(self.body, dict) else {}
        kind, title, request_id = body.get("type"), body.get("title"), body.get("request_id")
        if not isinstance(kind, str) or not isinstance(title, str) or self.status < 400:
            return None
        slug = kind.rpartition("/")[2]
        known = re.fullmatch(r"(/[\w.~-]+)*/problems/[a-z-]{1,40}", kind)  # under whatever path it is
        return Problem(
            slug=slug[:40],
            title=title[:100],
            status=self.status,
            detail=self.detail,
            request_id=request_id[:64] if isinstance(request_id, str) else "",
            page=f"{self.server.public_url}/problems/{slug}" if known else "",
            row=_row(body.get("row"), self.detail),
        )


@dataclass(frozen=True)
class Failure:
    """What went wrong in one sentence, and what to do in another. `commands` is what to type, if anything:
    one for any shell, or one for bash and one for PowerShell."""

    server: Server
    sentence: str
    remedy: str
    commands: tuple[str, ...] = ()
    exchange: Exchange | None = None

    @property
    def problem(self) -> Problem | None:
        return self.exchange.problem if self.exchange else None

    @property
    def passes(self) -> bool:
        """Whether the same request may be answered later, with nobody doing anything here."""
        return self.exchange is None or self.exchange.status in (408, 425, 429) or self.exchange.status >= 500


def refused(exchange: Exchange, wanted: str) -> Failure:
    """An answer that says no: a problem of the full servers, or {"detail"} of the minimal ones."""
    problem, server = exchange.problem, exchange.server
    if problem:
        slug = problem.slug
    elif exchange.body is not None and exchange.status in MINIMAL:
        slug = MINIMAL[exchange.status]
    else:
        return unexpected(exchange, wanted)
    what, remedy = WORDS.get(slug, REFUSED if exchange.status < 500 else FAULTY)
    if slug == "unauthorized" and exchange.signed:
        what, remedy = ENDED
    if not what.endswith("."):
        what += f": {exchange.detail}" if exchange.detail else "."
    commands = {"model-unavailable": TRAIN, "draining": server.start}
    if "--data" in exchange.detail:
        commands["explanation-unavailable"] = ADOPT
    return Failure(
        server,
        f"{server.name} {what}",
        remedy.format(wait=_wait(exchange)),
        commands.get(slug, ()),
        exchange,
    )


def not_known(exchange: Exchange) -> Failure:
    """Credentials that were just typed, and are wrong."""
    return Failure(
        exchange.server,
        f"{exchange.server.name} knows no such credentials.",
        "Type them once more. A new password, from whoever runs the server:",
        ("python kit.py users passwd NAME",),
        exchange,
    )


def unexpected(exchange: Exchange, wanted: str) -> Failure:
    """The answer is there, and it is not one of this API's."""
    if exchange.body is None:
        kind = exchange.headers.get("content-type", "no content type")[:60]
        what = f"answered with status {exchange.status} and something that is not JSON ({kind})"
    else:
        what = f"answered with status {exchange.status} and JSON that is not {wanted}"
    return strange(exchange.server, what, exchange)


def strange(server: Server, what: str, exchange: Exchange | None = None) -> Failure:
    airplay = " (on a Mac, AirPlay holds 5000)" if server.port == 5000 else ""
    return Failure(
        server,
        f"Something at {server.url} {what}.",
        f"Another program may hold that port{airplay}: stop it, or start {server.name} on another port "
        f"and set {server.setting} to it.",
        exchange=exchange,
    )


def no_address(server: Server) -> Failure:
    return Failure(
        server,
        f"{server.setting} is not an address that can be called: {server.url[:80]}",
        f"Set it to one like http://127.0.0.1:{server.default_port} and start this page again.",
    )


def down(server: Server) -> Failure:
    return Failure(
        server,
        f"{server.name} is not running: nothing answers at {server.url}.",
        "Start it in a terminal, in the project's folder.",
        server.start,
    )


def late(server: Server, seconds: float) -> Failure:
    return Failure(
        server,
        f"{server.name} did not answer within {seconds:g} seconds.",
        "It may be starting or busy: try again in a moment. If it stays so, look at its log and restart it.",
        server.start,
    )


def broken(server: Server) -> Failure:
    return Failure(
        server,
        f"The connection to {server.name} broke before its answer was complete.",
        "Send it again; if it breaks again, look at the server's log and restart it.",
        server.start,
    )


def generating(failure: Failure) -> Failure:
    """The same, but what is to be started is a server with a language model."""
    server = failure.server
    started = server.start_with("GENERATION", "on")
    return replace(failure, commands=started) if failure.commands == server.start else failure


def went_away(server: Server) -> Failure:
    return Failure(
        server,
        f"{server.name} went away in the middle of its answer.",
        "What had come by then is kept. Start it again in a terminal, in the project's folder, and send the "
        "prompt again.",
        server.start,
    )


def broken_off(server: Server, slug: str, detail: str) -> Failure:
    """A stream that has told itself why it ends early: the problem's slug, and what the server says of it."""
    if slug == "draining":
        what, remedy = "is shutting down, and could not finish its answer.", WORDS[slug][1]
    else:
        what, remedy = WORDS.get(slug, FAULTY)
    if not what.endswith("."):
        what += f": {detail}" if detail else "."
    commands = server.start if slug == "draining" else ()
    return Failure(server, f"{server.name} {what}", remedy.format(wait="a moment"), commands)


def no_language_model(exchange: Exchange) -> Failure:
    """A server that is there, without generation."""
    server = exchange.server
    return Failure(
        server,
        f"{server.name} has no language model: generation is off.",
        "Stop it, and start it in a terminal, in the project's folder, with the setting GENERATION.",
        server.start_with("GENERATION", "on"),
        exchange,
    )


def no_explanations(exchange: Exchange) -> Failure:
    """A server that is there, without /explain."""
    server = exchange.server
    return Failure(
        server,
        f"{server.name} does not explain its answers: explanations are off.",
        "Stop it, and start it in a terminal, in the project's folder, with the setting EXPLAIN.",
        server.start_with("EXPLAIN", "on"),
    )


def no_metrics(server: Server, why: str) -> Failure:
    """/metrics gave nothing; the server itself may be well."""
    where = server.metrics_url or "its own port + 100, which is beyond the last port"
    return Failure(
        server,
        f"{server.name}'s metrics cannot be read at {where}: {why}.",
        f"Its setting METRICS_PORT says at which port they are; unset, that is its own port + 100. If they "
        f"are elsewhere, set {server.metrics_setting} to their address and start this page again.",
    )


def _row(member: Any, detail: str) -> int | None:
    """The row at fault, from 0: the member `row`, or as the detail names it."""
    if isinstance(member, int) and not isinstance(member, bool) and member >= 0:
        return member
    found = re.search(r"\bin row (\d{1,6})\b", detail)
    return int(found[1]) if found else None


def _wait(exchange: Exchange) -> str:
    """How long the header Retry-After says, in words, and until when if that is long."""
    text = exchange.headers.get("retry-after", "")
    if not re.fullmatch(r"\d{1,5}", text):
        return "a moment"
    seconds = int(text)
    if seconds < SOON:
        return "a second" if seconds <= 1 else f"{seconds} seconds"
    at = f"{datetime.now() + timedelta(seconds=seconds):%H:%M:%S}"
    return f"{seconds} seconds, at {at}" if seconds < 120 else f"{seconds // 60} minutes, at {at}"
