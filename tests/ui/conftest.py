"""The page against live servers, against servers with faults, and in a browser."""

import functools
import shutil
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psutil
import pytest
from sklearn.datasets import make_classification
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import AppTest, app_test, local_script_runner

from model_training import datasets
from model_training.export import export
from model_training.train import train
from tests.waiting import PATIENCE
from ui import history
from ui.servers import Server, servers

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = (
    "chromium-headless-shell",  # the same without windows: a page takes 2.3 s of a core and not 3.3
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The model file of a dataset, with its card beside it; "bare": iris without a card; "sensors": one of 40
    features."""
    made: dict[str, Path] = {}

    def model(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            dataset = sensors() if name == "sensors" else datasets.load("iris" if name == "bare" else name)
            export(train(dataset), folder / "model", pickle_path=folder / "model.pkl")
            if name == "bare":
                (folder / "card.json").unlink()
            made[name] = folder / "model.pkl"
        return made[name]

    return model


def sensors() -> datasets.Dataset:
    """40 features, one of them with a long name, and five classes."""
    rows, states = make_classification(300, 40, n_informative=12, n_classes=5, random_state=0)
    names = ["hall temperature, measured near the northern door", *(f"sensor {n}" for n in range(2, 41))]
    return datasets.Dataset(
        name="sensors",
        title="The state of a machine, from 40 sensors",
        origin="Made up.",
        features=pd.DataFrame(rows.round(2), columns=names),
        target=pd.Series(states, name="state"),
        units={name: None for name in names},
        target_unit=None,
        classes=["broken", "busy", "calm", "loud", "under repair"],
    )


@pytest.fixture(scope="session")
def full_pair(full) -> tuple[Server, Server]:
    """The full servers as the page knows them."""
    return known(full)


@pytest.fixture(scope="session", params=["full", "both"], ids=["full", "minimal"])
def pair(request: pytest.FixtureRequest) -> tuple[Server, Server]:
    """The full servers, and then the minimal ones: the page works with either."""
    return known(request.getfixturevalue(request.param))


def known(running: dict) -> tuple[Server, Server]:
    return tuple(
        replace(server, url=process.url) for server, process in zip(servers(), running.values(), strict=True)
    )


@pytest.fixture(scope="session")
def components() -> Callable[..., list]:
    """Streamlit's search of all installed packages for components, done once: each AppTest asks anew, and
    a server asks once, when it starts."""
    return functools.cache(manifest_scanner.scan_component_manifests)


@pytest.fixture(scope="session")
def scripts() -> ScriptCache:
    """The pages as they were compiled, which a server has for all its sessions: each run of an AppTest would
    compile them anew."""
    return ScriptCache()


@pytest.fixture
def page(
    monkeypatch: pytest.MonkeyPatch, components: Callable[..., list], scripts: ScriptCache
) -> Iterator[Callable[..., AppTest]]:
    """Run a page against two URLs, in this process and without a browser. Metrics are beside the servers
    unless an address is given, and there is no book unless one is."""
    monkeypatch.delenv("BOOK_URL", raising=False)
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", components)
    for module in (app_test, local_script_runner):
        monkeypatch.setattr(module, "ScriptCache", lambda: scripts)

    def run(
        name: str,
        fastapi: str,
        flask: str,
        fastapi_metrics: str = "",
        flask_metrics: str = "",
        book: str = "",
    ) -> AppTest:
        if book:
            monkeypatch.setenv("BOOK_URL", book)
        monkeypatch.setenv("FASTAPI_URL", fastapi)
        monkeypatch.setenv("FLASK_URL", flask)
        monkeypatch.setenv("FASTAPI_METRICS_URL", fastapi_metrics)
        monkeypatch.setenv("FLASK_METRICS_URL", flask_metrics)
        app = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=PATIENCE).run()
        return app if name == "predict" else app.switch_page(f"views/{name}.py").run()

    yield run
    for watched in history._watched.values():  # else they are looked at for a quarter of an hour
        watched.wanted = 0


@pytest.fixture
def generators() -> Callable[..., list[psutil.Process]]:
    """The load generators that a process, this one unless told otherwise, has started and that still run."""

    def running(pid: int | None = None) -> list[psutil.Process]:
        found = []
        for process in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                found += [process] if "benchmarks.load" in process.cmdline() else []
        return found

    return running


@pytest.fixture
def answering() -> Iterator[Callable[[Callable], str]]:
    """A server on 127.0.0.1 that does with every connection what it is told; returns its URL."""
    running = []

    def start(behave: Callable) -> str:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.settimeout(5)
                try:
                    read_request(self.request)
                    behave(self.request)
                except OSError:
                    pass  # the client has gone

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


def read_request(connection: socket.socket) -> None:
    """All of it: to close a connection with bytes unread would reset it, and take the answer along."""
    with connection.makefile("rb") as lines:
        length = 0
        while (line := lines.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        lines.read(length)


@pytest.fixture(scope="module")  # not longer: while it is there, an event loop runs, and asyncio.run cannot
def browser():
    """A browser that Playwright drives, and waits for; without one, the test is skipped."""
    from playwright.sync_api import expect, sync_playwright

    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        if found is None and not own.is_file():
            pytest.skip("missing: a browser (Chromium, Chrome or Edge)")
        browser = playwright.chromium.launch(executable_path=found or str(own), args=FLAGS)
        browser.on("context", lambda context: context.set_default_timeout(PATIENCE * 1000))
        expect.set_options(timeout=PATIENCE * 1000)
        yield browser
        browser.close()


@pytest.fixture
def nobody() -> str:
    """An address at which nobody listens."""
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as closed:
        port = closed.server_address[1]
    return f"http://127.0.0.1:{port}"
