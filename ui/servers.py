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
    module: str
    default_port: int
    colour: str
    mark: str  # in Streamlit's Markdown

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


def servers() -> tuple[Server, Server]:
    """FastAPI and Flask, where FASTAPI_URL and FLASK_URL say they are."""
    fastapi = os.environ.get("FASTAPI_URL") or "http://127.0.0.1:8000"
    flask = os.environ.get("FLASK_URL") or "http://127.0.0.1:5000"
    return (
        Server(
            "FastAPI",
            fastapi.strip().rstrip("/"),
            "FASTAPI_URL",
            "apps.minimal.fastapi_api_example",
            8000,
            "#0072B2",
            ":blue[●]",
        ),
        Server(
            "Flask",
            flask.strip().rstrip("/"),
            "FLASK_URL",
            "apps.minimal.flask_api_example",
            5000,
            "#D55E00",
            ":orange[■]",
        ),
    )
