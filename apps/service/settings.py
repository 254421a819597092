"""The environment as typed settings. The book's table of settings is made of these descriptions."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from apps.service.setting_types import (
    Address,
    BrokerAddress,
    Count,
    LanguageModelName,
    ModelUri,
    Names,
    Networks,
    Pause,
    Port,
    Rates,
    RedisAddress,
    Seconds,
    TokenQuotas,
)

LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|::1|localhost").fullmatch


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it, in one line, without its value."""


class Settings(BaseSettings):
    """Every setting has the name of its environment variable, in lower case."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    host: str = Field(
        "127.0.0.1", description="the address to listen on; this one: only this machine connects"
    )
    port: Port = Field(8000, description="the port to listen on; Flask's default is `5000`")
    access: Literal["on", "off"] | None = Field(
        None,
        description="`on`: who uses a route needs credentials with its scope. Unset: `off`, as long as "
        "`HOST` is an address that only this machine reaches; with any other, a server does not start "
        "before it is told",
    )
    allowed_hosts: Names = Field(
        "",
        description="names by which clients may call this server, with commas between: `example.org`, "
        "`*.example.org`, or `*` for any; besides them `127.0.0.1`, `localhost`, `::1`, this machine's "
        "name, and `HOST`. A request for another gets 400",
    )
    model_path: Path = Field(Path("model.pkl"), description="the model: a model folder, or one of its files")
    model_format: Literal["auto", "onnx", "skops", "joblib"] = Field(
        "auto", description="which of the model's files answers; `auto`: the fastest that is there"
    )
    model_uri: ModelUri | None = Field(
        None,
        description="a model of the registry, followed in place of `MODEL_PATH`: `models:/iris@champion`, "
        "or one version of it, `models:/iris/3`",
    )
    mlflow_tracking_uri: str | None = Field(
        None,
        description="with `MODEL_URI`: the registry, as MLflow writes it: `http://127.0.0.1:5001`; unset: a "
        "SQLite file in `REGISTRY_FOLDER`",
        repr=False,
    )
    registry_folder: Path | None = Field(
        None, description="the registry that is on this machine; unset: `.kit/registry` in the project"
    )
    model_store: Path = Field(
        Path(".kit/store"),
        description="with `MODEL_URI`: the folder that models are fetched into, and served from; servers of "
        "one machine share it",
    )
    model_sources: str = Field(
        "",
        description="with `MODEL_URI`: from where a model's files may come: beginnings of addresses, with "
        "commas between, such as `s3://models/`; unset: from the registry's own folder or server alone",
    )
    models_folder: Path = Field(
        Path("models"), description="with `MODEL_URI`: where the models lie that may be registered, by name"
    )
    registry_seconds: Seconds = Field(
        1, description="with `MODEL_URI`: how often the registry is asked; no request waits for it"
    )
    rollout: Literal["off", "canary", "shadow"] = Field(
        "off",
        description="with `MODEL_URI`: what the challenger does until `PUT /models/{name}/rollout` says "
        "otherwise: `canary`: it answers some callers; `shadow`: it is asked afterwards, and compared",
    )
    canary_percent: Annotated[int, Field(ge=0, le=100)] = Field(
        10, description="with a canary: of the callers, how many the challenger answers"
    )
    server: Literal["waitress", "granian"] = Field(
        "waitress",
        description="what serves Flask; `granian` is faster, wants a proxy in front that buffers, and does "
        "not go with `GENERATION=on`",
    )
    workers: Count = Field(1, description="processes that answer, each with the limits to itself")
    metrics_port: Port | None = Field(
        None, description="the port of `/metrics`; unset: `PORT` + 100, `0`: no metrics"
    )
    metrics_host: str = Field("127.0.0.1", description="the address that `/metrics` listens on")
    max_body_bytes: Count = Field(1 << 20, description="a larger body gets 413")
    max_json_depth: Count = Field(32, description="JSON that is nested deeper gets 400")
    max_url_bytes: Count = Field(8192, description="a longer path and query get 414")
    max_headers: Count = Field(100, description="more headers get 431")
    max_header_bytes: Count = Field(16384, description="more bytes of headers, in all, get 431")
    max_batch_rows: Count = Field(1000, description="more rows in a batch get 413")
    max_in_flight: Count = Field(
        64, description="more requests at the same time get 503 at once; health is answered all the same"
    )
    request_timeout_seconds: Seconds = Field(10, description="a request that arrives more slowly gets 408")
    predict_timeout_seconds: Seconds = Field(5, description="a prediction that takes longer gets 503")
    keep_alive_seconds: Seconds = Field(15, description="an idle connection is closed after this time")
    heartbeat_seconds: Seconds = Field(
        15,
        description="a stream that has nothing to send says so often that it lives, for proxies that cut off "
        "what is silent; a WebSocket whose client does not answer a ping for so long is closed",
    )
    drain_seconds: Pause = Field(
        0,
        description="told to stop: not ready, and still accepting, for this long, so that a load balancer "
        "notices",
    )
    grace_seconds: Pause = Field(
        10, description="told to stop: requests that were accepted may take this long"
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="how log lines look; `auto`: text in a terminal, JSON elsewhere"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="what is logged: this, and what is more serious"
    )
    book_url: Address | None = Field(
        None, description="where this book is served; `/docs` and `/problems` then link to it"
    )
    server_timing: bool = Field(
        False,
        description="`1`: each answer tells in the header `Server-Timing` where its time went, which "
        "browsers show beside the request. `kit.py up` sets it. Not for strangers: they would see "
        "what goes on inside",
    )

    access_path: Path = Field(
        Path(".kit/access"),
        description="with `ACCESS=on`: the folder of the keys that sign tokens and of the accounts; both "
        "servers may share it",
    )
    database_url: str | None = Field(
        None,
        description="the database of accounts, of jobs, of what generation used and of predictions, as "
        "SQLAlchemy writes it; unset: SQLite files in `ACCESS_PATH`, `JOBS_FOLDER`, `GENERATION_FOLDER` and "
        "`PREDICTION_LOG_FOLDER`",
        repr=False,
    )
    jwt_secret: str | None = Field(
        None,
        description="with `ACCESS=on`: signs tokens, with HS256; 32 random bytes or more. Unset: keys that "
        "are generated in `ACCESS_PATH`, with EdDSA",
        repr=False,
    )
    token_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        900, description="how long an access token is good"
    )
    refresh_seconds: Count = Field(
        14 * 86400, description="how long a refresh token is good, from when it was given"
    )
    rate_limits: Rates = Field(
        "",
        description="how often each caller may ask: `600/minute` for any class of routes, or "
        "`predict=600/minute,admin=60/minute`; unset: as often as it likes. A caller is a user, a key, or "
        "an address; the classes are the scopes, `account` and `token`",
    )
    max_parallel: Count | None = Field(
        None, description="how many requests of one caller may be answered at a time; unset: any number"
    )
    daily_quota: Count | None = Field(
        None, description="requests of all callers of one tenant a day, which begins at 0:00 UTC; unset: any"
    )
    redis_url: RedisAddress | None = Field(
        None,
        description="where several processes count together, and with `CACHE=on` keep results together: "
        "`redis://127.0.0.1:6379/0`; unset: each for itself",
        repr=False,
    )
    redis_timeout_seconds: Seconds = Field(
        0.05, description="how long a request waits for Redis, before it goes on without"
    )
    cache: Literal["on", "off"] = Field(
        "off",
        description="`on`: results are kept, and a request of up to 64 rows that came before is answered "
        "without the model",
    )
    cache_seconds: Count = Field(300, description="with `CACHE=on`: how long a result is kept")
    cache_entries: Count = Field(
        10_000,
        description="with `CACHE=on` and no `REDIS_URL`: the rows whose results each process keeps; those "
        "that were asked for least recently go first",
    )
    trusted_proxies: Networks = Field(
        "",
        description="addresses or networks, with commas between, of the proxies whose `X-Forwarded-For` is "
        "believed",
    )

    explain: Literal["on", "off"] = Field(
        "off", description="`on`: `/explain` tells what each feature did to an answer"
    )
    explain_seconds: Seconds = Field(
        2,
        description="how long an explanation may take, waiting included; what is known by then is answered, "
        "with how exact it is",
    )

    jobs: Literal["on", "off"] = Field(
        "off", description="`on`: work may be left at `/jobs`, which workers (`python -m apps.worker`) do"
    )
    jobs_folder: Path = Field(
        Path(".kit/jobs"),
        description="jobs, their rows and results, and the queue, as SQLite files; servers and workers of "
        "one machine share it",
    )
    broker_url: BrokerAddress | None = Field(
        None,
        description="the queue between servers and workers: `amqp://user:password@host:5672/vhost`, a "
        "RabbitMQ; unset: a file in `JOBS_FOLDER`",
        repr=False,
    )
    results_url: RedisAddress | None = Field(
        None,
        description="where results of jobs are kept: `redis://127.0.0.1:6379/1`; unset: in the database of "
        "jobs",
        repr=False,
    )
    jobs_max_rows: Count = Field(1_000_000, description="a job with more rows gets 413")
    jobs_max_bytes: Count = Field(200_000_000, description="a job whose body is larger gets 413")
    jobs_max_waiting: Count = Field(
        1000, description="as long as so many jobs have not ended, further ones get 503"
    )
    jobs_chunk_rows: Count = Field(
        10_000, description="rows that a worker takes at a time: what is lost with it, and done again"
    )
    jobs_chunk_seconds: Seconds = Field(
        600, description="a worker that takes longer for a chunk ends itself, and the chunk is tried again"
    )
    jobs_lease_seconds: Seconds = Field(
        10, description="a worker that has said nothing of its chunk for so long is taken for dead"
    )
    jobs_keep_seconds: Seconds = Field(
        7 * 86400, description="how long a job and its results are kept after its end"
    )
    worker_port: Port = Field(
        8002, description="the port of a worker's probes and metrics, at `METRICS_HOST`; `0`: none"
    )

    generation: Literal["on", "off"] = Field(
        "off", description="`on`: a language model answers at `/v1`, as OpenAI's API has it"
    )
    generation_model: LanguageModelName = Field(
        "auto",
        description="`smollm2`: SmolLM2-135M-Instruct by llama.cpp; `tiny`: a model of the kit's own, which "
        "knows characters only; `auto`: the first where it is installed, else the second; "
        "`models/mine.gguf`: a GGUF file, by llama.cpp",
    )
    generation_url: Address | None = Field(
        None,
        description="a server that speaks OpenAI's API, such as vLLM, llama.cpp or Ollama at "
        "`http://127.0.0.1:8080/v1`, which generates in this one's place",
    )
    generation_key: str | None = Field(None, description="the key for `GENERATION_URL`", repr=False)
    generation_remote_model: str | None = Field(
        None, description="which of the models of `GENERATION_URL`; unset: the only one that it has"
    )
    generation_slots: Count = Field(4, description="texts that are generated at a time")
    generation_threads: Count = Field(1, description="threads in which llama.cpp computes")
    generation_context: Count = Field(2048, description="tokens of a prompt and its answer together")
    generation_max_tokens: Count = Field(1024, description="tokens of an answer, at most")
    generation_queue: int = Field(
        16, ge=0, description="texts that may wait for a slot; more of them get 503 with `Retry-After`"
    )
    generation_first_token_seconds: Seconds = Field(
        30, description="a generation without a token for so long ends with `generation-timeout`"
    )
    generation_seconds: Seconds = Field(120, description="a generation that takes longer ends with one too")
    generation_write_seconds: Seconds = Field(
        10, description="a client that takes nothing of its stream for so long is cut off"
    )
    generation_moderation: Literal["on", "off"] = Field(
        "on", description="`off`: prompts and answers are not looked at, and go as they are"
    )
    generation_blocked_words: Path | None = Field(
        None,
        description="a text file of words, one a line, that are neither asked for nor told; unset: a few of "
        "the kit's own",
    )
    generation_classifier: Literal["on", "off"] = Field(
        "off",
        description="whether a trained classifier judges sentences: `alt-profanity-check`, whose model is a "
        "pickle, and which takes 1.5 seconds at the start and 150 MB",
    )
    generation_classifier_threshold: Annotated[float, Field(gt=0, le=1)] = Field(
        0.9, description="the probability from which on the classifier refuses a sentence"
    )
    generation_redaction: Literal["patterns", "presidio", "off"] = Field(
        "patterns",
        description="what personal data is replaced: `patterns`: e-mail addresses, phone numbers, cards, "
        "IBANs; `presidio`: names of people and places too, where `presidio-analyzer` is installed",
    )

    generation_caller_tokens: TokenQuotas = Field(
        "",
        description="how many tokens each caller may use, its prompts' and its answers': "
        "`20000/minute,200000/day`, from one turn of the clock to the next, in UTC; unset: any number",
    )
    generation_tenant_tokens: TokenQuotas = Field(
        "", description="the same for all callers of one tenant together"
    )
    generation_prices: Path | None = Field(
        None,
        description="what tokens cost, as a TOML file; unset: `apps/service/generation/prices.toml`, which "
        "shows how one looks",
    )
    generation_folder: Path = Field(
        Path(".kit/generation"),
        description="what was used, as a SQLite file; servers of one machine share it",
    )

    prediction_log: Literal["on", "off"] = Field(
        "off",
        description="`on`: predictions are written to a database, without their features, the truth about "
        "them may be told at `/feedback`, and quality and drift are reported",
    )
    prediction_log_features: Literal["on", "off"] = Field(
        "off", description="with `PREDICTION_LOG=on`: whether the features of each row are written too"
    )
    prediction_log_folder: Path = Field(
        Path(".kit/predictions"),
        description="the log of predictions, as a SQLite file; servers of one machine share it",
    )
    prediction_log_keep_seconds: Count = Field(
        30 * 86400, description="how long a prediction and what was counted of it are kept"
    )

    @property
    def guarded(self) -> bool:
        return self.access == "on"

    @property
    def limited(self) -> bool:
        """Whether requests are counted."""
        return bool(self.rate_limits or self.max_parallel or self.daily_quota)

    @property
    def cached(self) -> bool:
        """Whether results are kept."""
        return self.cache == "on"

    @property
    def follows(self) -> bool:
        """Whether the model is a registry's."""
        return self.model_uri is not None

    @property
    def explains(self) -> bool:
        """Whether predictions are explained."""
        return self.explain == "on"

    @property
    def generates(self) -> bool:
        """Whether there is a language model."""
        return self.generation == "on"

    @property
    def budgeted(self) -> bool:
        """Whether tokens are counted."""
        return self.generates and bool(self.generation_caller_tokens or self.generation_tenant_tokens)

    @property
    def streams(self) -> int:
        """How many generations there may be, those that wait included: where each holds a thread, so many
        more."""
        return self.generation_slots + self.generation_queue if self.generates else 0

    @property
    def exporter_port(self) -> int:
        """The port of /metrics; 0 for none."""
        if self.metrics_port is not None:
            return self.metrics_port
        return self.port + 100 if 0 < self.port <= 65435 else 0


def read(**defaults) -> Settings:
    """The settings, from the environment and then from `defaults`. Raises SettingsError."""
    try:
        found = Settings()
        left = {name: value for name, value in defaults.items() if name not in found.model_fields_set}
        found = found.model_copy(update=left)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper()
        message = first["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
        raise SettingsError(f"{name}: {message}. Change it, or unset it to have the default") from None
    if found.access is None and not LOOPBACK(found.host):
        raise SettingsError(
            "ACCESS: with this HOST others than you reach the server. Set ACCESS=on, so that only those with "
            "credentials may use it, or ACCESS=off, if everybody who reaches it may"
        )
    return found
