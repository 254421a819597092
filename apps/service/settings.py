"""The environment as typed settings. The book's table of settings is made of these descriptions."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Pause = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=0, le=65535)]


def address(text: str) -> str:
    """Without the slash at its end. Raises ValueError for what is no address of the web."""
    if not re.fullmatch(r"https?://[^\s\"'<>]+", text):
        raise ValueError("expected an address such as http://127.0.0.1:8600")
    return text.rstrip("/")


Address = Annotated[str, AfterValidator(address)]


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it, in one line, without its value."""


class Settings(BaseSettings):
    """Every setting has the name of its environment variable, in lower case."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    host: str = Field(
        "127.0.0.1", description="the address to listen on; this one: only this machine connects"
    )
    port: Port = Field(8000, description="the port to listen on; Flask's default is `5000`")
    model_path: Path = Field(Path("model.pkl"), description="the model: a model folder, or one of its files")
    model_format: Literal["auto", "onnx", "skops", "joblib"] = Field(
        "auto", description="which of the model's files answers; `auto`: the fastest that is there"
    )
    server: Literal["waitress", "granian"] = Field(
        "waitress",
        description="what serves Flask; `granian` is faster and wants a proxy in front that buffers",
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
        return found.model_copy(update={k: v for k, v in defaults.items() if k not in found.model_fields_set})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper()
        message = first["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
        raise SettingsError(f"{name}: {message}. Change it, or unset it to have the default") from None
