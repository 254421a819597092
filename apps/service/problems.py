"""Every error that a server answers with, in one table. RFC 9457, Problem Details for HTTP APIs.

`type` is the address of a page, which the server itself has, that explains the error."""

import html
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

import msgspec

MEDIA_TYPE = "application/problem+json"
PHRASES = {status.value: status.phrase for status in HTTPStatus if status >= 400}
RETRY = (("Retry-After", "1"),)


@dataclass(frozen=True)
class Kind:
    slug: str
    status: int
    title: str
    meaning: str  # what happened
    remedy: str  # what to do now
    headers: tuple[tuple[str, str], ...] = ()


KINDS = {
    kind.slug: kind
    for kind in [
        Kind(
            "bad-request",
            400,
            "Bad request",
            "The bytes that came are not an HTTP request that this server accepts.",
            "Use an HTTP client library; if you do, look at what stands between it and the server.",
        ),
        Kind(
            "invalid-json",
            400,
            "Invalid JSON",
            "The body is not one JSON value in UTF-8, a name stands in it twice, or it is nested too deeply.",
            "Let a JSON library write the body. NaN and Infinity are not JSON.",
        ),
        Kind(
            "invalid-input",
            400,
            "Invalid input",
            "The JSON is right and its content is not what this route takes.",
            "Compare it with the route's example at /docs, and the features with the card at /model.",
        ),
        Kind(
            "out-of-range",
            400,
            "Feature out of range",
            "A feature lies outside the range that the model's card allows.",
            "Look at minimum, maximum and unit of that feature at /model. Is it in the right unit and place?",
        ),
        Kind(
            "prediction-failed",
            400,
            "Prediction failed",
            "The model could not answer these features, though they passed every check.",
            "The operator's log has the error under this request's id.",
        ),
        Kind(
            "unauthorized",
            401,
            "Unauthorized",
            "The request does not say who sends it, in a way that this server believes.",
            "Send valid credentials.",
            (("WWW-Authenticate", "Bearer"),),
        ),
        Kind(
            "forbidden",
            403,
            "Forbidden",
            "Whoever sent the request may not do this.",
            "Ask the operator for the permission.",
        ),
        Kind(
            "token-refused",
            400,
            "Token refused",
            "The request for a token is not one of RFC 6749, or asks for what is not to be had; `error` says "
            "which of its reasons it is.",
            "Send a form with grant_type and the fields of that grant, each once.",
        ),
        Kind(
            "not-found",
            404,
            "Not found",
            "There is nothing at this path.",
            "The paths that exist are listed at /docs.",
        ),
        Kind(
            "unknown-model",
            404,
            "Unknown model",
            "This server does not serve a model of that name and version.",
            "The models that it serves are listed at /models, language models at /v1/models.",
        ),
        Kind(
            "unknown-job",
            404,
            "Unknown job",
            "There is no job of this id, or it is not yours, or it ended so long ago that it was cleared "
            "away (JOBS_KEEP_SECONDS).",
            "Your jobs are listed at /jobs.",
        ),
        Kind(
            "unknown-prediction",
            404,
            "Unknown prediction",
            "No prediction of this id is in the log, or it is not yours, or so old that it was cleared away "
            "(PREDICTION_LOG_KEEP_SECONDS).",
            "Send the request_id of an answer, which its header X-Request-ID has too, and for a batch the "
            "row's number.",
        ),
        Kind(
            "method-not-allowed",
            405,
            "Method not allowed",
            "The path exists, and does not take this method.",
            "The header Allow names the methods that it takes.",
        ),
        Kind(
            "request-timeout",
            408,
            "Request timeout",
            "The request began and did not arrive completely in time (REQUEST_TIMEOUT_SECONDS).",
            "Send it again over a better connection, or in smaller parts.",
        ),
        Kind(
            "job-not-done",
            409,
            "Job not done",
            "The job has no result: it has not ended yet, or it has failed, or was cancelled.",
            "Look at the job's state. While it is queued or running, ask again after the time in "
            "Retry-After.",
        ),
        Kind(
            "idempotency-conflict",
            409,
            "Idempotency conflict",
            "A job with this Idempotency-Key exists, and something else was sent for it.",
            "Use another key for another job.",
        ),
        Kind(
            "model-refused",
            409,
            "Model refused",
            "The version cannot be served, or the registry does not let it be changed so: its files are not "
            "those that were registered, it answers otherwise than when it was exported, or it takes other "
            "features than the model that is served, which goes on.",
            "The detail says which. Train again, register what that gives, and activate it.",
        ),
        Kind(
            "content-too-large",
            413,
            "Content too large",
            "The body is larger than this server reads (MAX_BODY_BYTES; for a job JOBS_MAX_BYTES).",
            "Send fewer rows in each request, or in each job.",
        ),
        Kind(
            "too-many-rows",
            413,
            "Too many rows",
            "There are more rows than this server takes at once (MAX_BATCH_ROWS; in a job JOBS_MAX_ROWS).",
            "Send the rows in several requests, or leave them as several jobs.",
        ),
        Kind(
            "uri-too-long",
            414,
            "URI too long",
            "The address in the request is longer than any of this server's (MAX_URL_BYTES).",
            "Features go into the body, not into the address.",
        ),
        Kind(
            "unsupported-media-type",
            415,
            "Unsupported media type",
            "The body is not sent as plain application/json.",
            "Send the header Content-Type: application/json, and do not compress the body.",
        ),
        Kind(
            "too-many-requests",
            429,
            "Too many requests",
            "This client has used up its share for now.",
            "Wait as long as the header Retry-After says.",
            RETRY,
        ),
        Kind(
            "headers-too-large",
            431,
            "Request header fields too large",
            "There are more headers, or longer ones, than this server reads (MAX_HEADERS, MAX_HEADER_BYTES).",
            "Send fewer or smaller headers; look at the cookies first.",
        ),
        Kind(
            "internal-error",
            500,
            "Internal server error",
            "The server has a fault.",
            "Tell the operator this request's id: the log has the details under it.",
        ),
        Kind(
            "not-implemented",
            501,
            "Not implemented",
            "The request has a method or a transfer coding that this server does not know.",
            "Use a method of RFC 9110, and send the body as it is, or chunked.",
        ),
        Kind(
            "model-loading",
            503,
            "Model is loading",
            "The server has just started and its model is not there yet.",
            "Try again in a second.",
            RETRY,
        ),
        Kind(
            "model-unavailable",
            503,
            "Model unavailable",
            "The server has no model that it may serve: the file is missing, changed, or not readable.",
            "Look at /health for the reason and at the server's log for more. "
            "Train or adopt a model; the server tries again as soon as the files change.",
            RETRY,
        ),
        Kind(
            "draining",
            503,
            "Shutting down",
            "The server was told to stop: it finishes what it has accepted.",
            "Send the request again; another server, or the next one here, will answer.",
            RETRY,
        ),
        Kind(
            "overloaded",
            503,
            "Overloaded",
            "As many requests as the server takes at once are being answered already (MAX_IN_FLIGHT).",
            "Try again after the time in Retry-After, and then after twice that.",
            RETRY,
        ),
        Kind(
            "access-unavailable",
            503,
            "Access unavailable",
            "Who may do what cannot be looked up, because the database of accounts does not answer.",
            "Try again. The operator's log says more.",
            RETRY,
        ),
        Kind(
            "job-queue-full",
            503,
            "Job queue full",
            "As many jobs as this server takes wait to be done (JOBS_MAX_WAITING), or the broker's queue is "
            "full.",
            "Try again later. For the operator: more workers.",
            (("Retry-After", "10"),),
        ),
        Kind(
            "jobs-unavailable",
            503,
            "Jobs unavailable",
            "The database of jobs, or where their results are, does not answer. Nothing that was accepted is "
            "lost.",
            "Try again. The operator's log says more.",
            RETRY,
        ),
        Kind(
            "registry-unavailable",
            503,
            "Registry unavailable",
            "The registry of models, or the folder that models are fetched into, does not answer. What is "
            "served goes on.",
            "Try again. The operator's log says more; /models/{name}/versions tells what is known.",
            (("Retry-After", "5"),),
        ),
        Kind(
            "feedback-unavailable",
            503,
            "Feedback unavailable",
            "The database of predictions does not answer. Predictions are answered all the same.",
            "Try again. The operator's log says more.",
            RETRY,
        ),
        Kind(
            "prediction-timeout",
            503,
            "Prediction timeout",
            "The model did not answer in time (PREDICT_TIMEOUT_SECONDS).",
            "Try again, with fewer rows if there were many.",
            RETRY,
        ),
        Kind(
            "explanation-unavailable",
            409,
            "Explanation unavailable",
            "The model that is served cannot be explained: its card does not tell how its training data were "
            "distributed, or it has several outputs.",
            "Adopt the model together with a table of its training rows, as the page on explanations shows.",
        ),
        Kind(
            "explanation-busy",
            503,
            "Explanation busy",
            "As many explanations as may wait are waiting.",
            "Try again after the time in Retry-After. Predictions are not held up by it.",
            RETRY,
        ),
        Kind(
            "explanation-timeout",
            503,
            "Explanation timeout",
            "Time ran out (EXPLAIN_SECONDS) before enough was known to say anything: the model is slow, or "
            "others were being explained.",
            "Try again; for a slow model, the operator may raise EXPLAIN_SECONDS.",
            RETRY,
        ),
        Kind(
            "prompt-too-long",
            400,
            "Prompt too long",
            "The prompt has more tokens than the model takes (GENERATION_CONTEXT), or than its sender may "
            "ever use at a time (GENERATION_CALLER_TOKENS, GENERATION_TENANT_TOKENS).",
            "Shorten it, or leave out the chat's oldest messages.",
        ),
        Kind(
            "content-refused",
            400,
            "Content refused",
            "The prompt holds something that the rules of this server do not allow.",
            "Ask for something else. Which rule it was stands in the answer, what it found does not.",
        ),
        Kind(
            "generation-busy",
            503,
            "Generation busy",
            "As many texts as may wait for the language model are waiting (GENERATION_QUEUE).",
            "Try again after the seconds in Retry-After.",
            RETRY,
        ),
        Kind(
            "usage-unavailable",
            503,
            "Usage unavailable",
            "The database of what was used does not answer. What is used meanwhile is written later.",
            "Try again. The operator's log says more.",
            RETRY,
        ),
        Kind(
            "generation-failed",
            502,
            "Generation failed",
            "The language model, or the server that runs it, has failed.",
            "Try again; if it goes on, look at this server's log and at GENERATION_URL.",
        ),
        Kind(
            "generation-timeout",
            504,
            "Generation timeout",
            "The text did not come in time (GENERATION_FIRST_TOKEN_SECONDS, GENERATION_SECONDS).",
            "Ask for fewer tokens, or when fewer people do.",
        ),
        Kind(
            "insufficient-storage",
            507,
            "Insufficient storage",
            "The disk of the registry, or of the folder that models are fetched into, is full. Nothing of "
            "what was to be written is left.",
            "For the operator: free some space. Then send the request again.",
        ),
    ]
}

# What a framework or a server means when it raises a bare status.
BY_STATUS = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    413: "content-too-large",
    414: "uri-too-long",
    415: "unsupported-media-type",
    429: "too-many-requests",
    431: "headers-too-large",
    501: "not-implemented",
    503: "overloaded",
}


class Problem(Exception):
    """A request that is answered with an error of the table.

    `detail` is for the client: it tells what was expected and never repeats what came. `headers` and
    `members` are added to those of the kind. `reason` is for the metrics and finer than the slug."""

    def __init__(
        self, slug: str, detail: str, headers: Iterable[tuple[str, str]] = (), reason: str = "", **members
    ) -> None:
        super().__init__(detail)
        self.kind = KINDS[slug]
        self.status, self.title = self.kind.status, self.kind.title
        self.type, self.detail = f"/problems/{slug}", detail
        own = [*headers]
        named = {name.lower() for name, _ in own}
        self.headers = [*(pair for pair in self.kind.headers if pair[0].lower() not in named), *own]
        self.reason = reason or slug
        self.members = members


def problems(*slugs: str) -> dict[int, dict]:
    """For a route's `responses`: the problems that are its own. Those that every route has, the document adds
    by itself. KeyError for a slug that is not in the table."""
    found: dict[int, dict] = {}
    for slug in slugs:
        told = found.setdefault(KINDS[slug].status, {"description": "", "x-problems": []})
        told["x-problems"].append(slug)
        told["description"] = ", ".join(told["x-problems"])
    return found


LOGIN = ("token-refused", "unauthorized", "unsupported-media-type", "too-many-requests", "access-unavailable")
MODEL = ("model-loading", "model-unavailable")  # of every route that needs the model
READY = (*MODEL, "draining")
BODY = ("invalid-json", "invalid-input", "unsupported-media-type")  # of every route that takes a body
PREDICTS = (*MODEL, *BODY, "out-of-range", "prediction-failed", "prediction-timeout")


def of_status(status: int, words: str = "", headers: Iterable[tuple[str, str]] = ()) -> Problem:
    """The problem that a framework's or a server's own error amounts to; or an error of a route's own, which
    may have `words` and headers of its own."""
    usual = "bad-request" if status < 500 else "internal-error"
    kind = KINDS[usual if words else BY_STATUS.get(status, usual)]
    problem = Problem(kind.slug, kind.meaning, headers)
    if words or status != kind.status:  # RFC 9457, section 4.2.1
        problem.status, problem.type, problem.title = status, "about:blank", PHRASES.get(status, kind.title)
        problem.detail = words or problem.title
    return problem


def fault() -> Problem:
    """What an exception that nothing handles amounts to."""
    return Problem(
        "internal-error", "the server has a fault; its log has the details under this request's id"
    )


def invalid() -> Problem:
    """What a framework's or pydantic's validation error amounts to. Their own words would repeat the input:
    a value, a client's name for one, a message made of it."""
    return Problem("invalid-input", "expected what this route takes, as its page at /docs says")


def openai_error(problem: Problem) -> dict[str, object]:
    """What OpenAI's API tells of an error. https://platform.openai.com/docs/guides/error-codes"""
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = kinds.get(problem.status, "invalid_request_error" if problem.status < 500 else "server_error")
    return {"message": problem.detail, "type": kind, "param": None, "code": problem.kind.slug}


def render(problem: Problem, request_id: str, route: str = "", root: str = "") -> bytes:
    """The body: RFC 9457's members, the request's id, and on the routes of the Open Inference Protocol and of
    OpenAI's API their `error`. `root`: the path that the app is mounted under."""
    error = {}
    if route.startswith("/v2"):
        error = {"error": problem.detail}
    elif route.startswith("/v1"):
        error = {"error": openai_error(problem)}
    return msgspec.json.encode(
        {
            "type": root + problem.type if problem.type.startswith("/") else problem.type,
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
            "instance": f"/requests/{request_id}",
            "request_id": request_id,
            **error,
            **problem.members,
        }
    )


def page(slug: str | None = None, book: str | None = None) -> str:
    """What `type` leads to: a page on one kind of problem, or on all of them. `book` is the address of the
    book, whose page on problems has this text and more. KeyError for an unknown slug."""
    kinds = KINDS.values() if slug is None else [KINDS[slug]]
    sections = "".join(
        f'<h2 id="{kind.slug}">{kind.status} {kind.title}</h2>'
        f"<p><code>{kind.slug}</code></p><p>{html.escape(kind.meaning)}</p>"
        f"<p><strong>What to do:</strong> {html.escape(kind.remedy)}</p>"
        for kind in kinds
    )
    up = "../" if slug else ""  # these are right under any path that the app is mounted under
    links = [f'<a href="{up}problems">All problems</a>', f'<a href="{up}docs">the API</a>']
    if book:
        address = f"{book}/reference/problems.html" + (f"#{slug}" if slug else "")
        links.append(f'<a href="{html.escape(address)}">the book</a>')
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width"><title>Problems</title><style>body{font:1rem/1.5 system-ui;'
        "max-width:40rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}</style>"
        f"<h1>Problems</h1>{sections}<p>{', '.join(links)}"
    )
