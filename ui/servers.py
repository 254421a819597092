"""The two servers that the page speaks to."""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Server:
    """One of the two servers, as the page speaks of it. `mark` is its shape: it is never colour alone."""

    name: str
    url: str
    setting: str  # the environment variable that holds its URL
    metrics_url: str
    metrics_setting: str
    module: str
    default_port: int
    colour: str
    mark: str  # in Streamlit's Markdown
    public: str = ""  # where a browser finds it, if that is not where the page does

    @property
    def public_url(self) -> str:
        """For links that a person follows."""
        return self.public or self.url

    @property
    def port(self) -> int | None:
        try:
            return urlsplit(self.url).port
        except ValueError:
            return None

    @property
    def start(self) -> tuple[str, ...]:
        """What to type in the project's folder to start it where this page looks for it, for any shell or,
        where the port must be given, for bash and for PowerShell."""
        command = f"python -m {self.module}"
        if self.port in (None, self.default_port):
            return (command,)
        return f"PORT={self.port} {command}", f'$env:PORT = "{self.port}"; {command}'

    def start_with(self, setting: str, value: str) -> tuple[str, str]:
        """The same with one more environment variable, for bash and for PowerShell."""
        bash, powershell = self.start * 2 if len(self.start) == 1 else self.start
        return f"{setting}={value} {bash}", f'$env:{setting} = "{value}"; {powershell}'


def servers() -> tuple[Server, Server]:
    """FastAPI and Flask, where FASTAPI_URL and FLASK_URL say that they are; FASTAPI_METRICS_URL and
    FLASK_METRICS_URL say where their metrics are, FASTAPI_PUBLIC_URL and FLASK_PUBLIC_URL where a browser
    finds them."""
    fastapi = _address(os.environ.get("FASTAPI_URL")) or "http://127.0.0.1:8000"
    flask = _address(os.environ.get("FLASK_URL")) or "http://127.0.0.1:5000"
    return (
        Server(
            "FastAPI",
            fastapi,
            "FASTAPI_URL",
            _address(os.environ.get("FASTAPI_METRICS_URL")) or metrics_beside(fastapi),
            "FASTAPI_METRICS_URL",
            "apps.fastapi_app",
            8000,
            "#0072B2",
            ":blue[●]",
            _address(os.environ.get("FASTAPI_PUBLIC_URL")),
        ),
        Server(
            "Flask",
            flask,
            "FLASK_URL",
            _address(os.environ.get("FLASK_METRICS_URL")) or metrics_beside(flask),
            "FLASK_METRICS_URL",
            "apps.flask_app",
            5000,
            "#D55E00",
            ":orange[■]",
            _address(os.environ.get("FLASK_PUBLIC_URL")),
        ),
    )


def metrics_beside(url: str) -> str:
    """Where a server at `url` has its metrics unless it was told otherwise: 100 ports above. Empty where
    there is no such port."""
    try:
        parts = urlsplit(url)
        port = (parts.port or 80) + 100
    except ValueError:
        return ""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port}/metrics" if host and port < 65536 else ""


def _address(setting: str | None) -> str:
    return (setting or "").strip().rstrip("/")
