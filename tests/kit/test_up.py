"""`kit.py up` for real: four processes, their ports, and what is left when it ends."""

import codecs
import json
import os
import re
import shutil
import signal
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from kit import commands
from tests.generation.openai_like import openai_like
from tests.kit.project import Project
from tests.waiting import until
from ui.trail import log_line

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends a SIGINT to one process, which Windows cannot")
ROW = {"features": [5.1, 3.5, 1.4, 0.2]}


class Up:
    """A running `kit.py up --no-browser`; what it printed so far is `output`."""

    def __init__(self, project: Project, *arguments: str, **env: str) -> None:
        self.process, self.output = project.start("up", "--no-browser", *arguments, **env), ""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        """In the pieces that were written: whoever has seen a line has seen what was printed with it."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        while piece := os.read(self.process.stdout.fileno(), 1 << 16):
            self.output += decoder.decode(piece)

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 90
        while text not in self.output:
            assert self.reader.is_alive() and time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def address(self, name: str) -> str:
        return re.search(rf"{name} +(http://\S+)", self.output)[1]

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(how)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(timeout=60)
        self.reader.join()
        self.process.stdout.close()
        return code


@pytest.fixture
def up(classroom: Project):
    """Starts `kit.py up` with arguments and waits until it is ready; stops it at the end."""
    with ExitStack() as stack:

        def start(*arguments: str, until: str = "Ready after", **env: str) -> Up:
            running = Up(classroom, *arguments, **env)
            stack.callback(lambda: running.stop() if running.process.poll() is None else running.wait())
            running.wait_for(until)
            return running

        yield start


def command(process: psutil.Process) -> list[str]:
    """Nothing of one that has just ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # a zombie is one, too
        return []


def predict(url: str) -> list:
    return httpx.post(f"{url}/predict", json=ROW, trust_env=False).json()["prediction"]


def test_everything_runs_finds_each_other_and_leaves_nothing(up):
    with ExitStack() as stack:
        taken = None
        with socket.socket() as probe:
            free = probe.connect_ex(("127.0.0.1", 5000)) != 0
        if free:
            taken = stack.enter_context(socket.create_server(("127.0.0.1", 5000)))
        everything = up()
        assert predict(everything.address("FastAPI server")) == [0]
        flask = everything.address("Flask server")
        assert predict(flask) == [0]
        if taken:
            assert "Port 5000 is taken: the Flask server is on" in everything.output
            assert not flask.endswith(":5000")

    page = everything.address("Streamlit page")
    assert httpx.get(f"{page}/_stcore/health", trust_env=False).text == "ok"
    children = everything.children()
    of_page = next(child for child in children if "streamlit" in command(child))
    assert of_page.environ()["FLASK_URL"] == flask
    told = httpx.post(f"{flask}/predict", json=ROW, headers={"X-Request-ID": "followed"}, trust_env=False)
    assert "predict;dur=" in told.headers["server-timing"]  # the page draws it, and shows its line of the log
    assert log_line(Path(of_page.environ()["FLASK_LOG"]), "followed")

    lab = everything.address("JupyterLab")
    address, token = lab.split("/lab/tree/notebooks?token=")
    with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
        assert client.get("/api/kernels").status_code == 403
        client.headers["Authorization"] = f"token {token}"
        client.post("/api/kernels", json={"name": "python3"}).raise_for_status()
    children = everything.children()
    assert any("ipykernel_launcher" in command(child) for child in children)
    assert not any(token in " ".join(command(child)) for child in children)

    assert everything.stop() == 0
    assert "All stopped" in everything.output
    assert not [child for child in children if child.is_running()]


def test_a_part_and_a_second_one_beside_it(up, classroom):
    one = up("--only", "fastapi")
    assert "Flask server" not in one.output
    two = up("--only", "fastapi")
    assert "is taken" in two.output
    assert one.address("FastAPI server") != two.address("FastAPI server")
    assert two.stop(signal.SIGTERM) == 0
    assert predict(one.address("FastAPI server")) == [0]
    log = classroom.folder / re.search(r"\.kit/logs/fastapi-\d+\.log", one.output)[0]
    assert "model loaded" in log.read_text(encoding="utf-8")


def test_a_server_that_dies_is_reported_and_the_other_goes_on(up):
    both = up("--only", "fastapi,flask")
    assert "Not started" not in both.output, both.output
    next(child for child in both.children() if "apps.fastapi_app" in command(child)).kill()
    both.wait_for("The others go on")
    assert "FastAPI server ended by itself (exit code -9)" in both.output
    assert "model loaded" in both.output
    assert predict(both.address("Flask server")) == [0]
    assert both.stop() == 0


def test_a_server_that_does_not_start_is_reported_and_the_other_goes_on(up, classroom):
    example = classroom.folder / "apps" / "fastapi_app" / "__init__.py"
    source = example.read_text(encoding="utf-8")
    try:
        example.write_text("raise SystemExit('out of order')", encoding="utf-8")
        both = up("--only", "fastapi,flask")
        assert "Not started: the fastapi server ended with exit code 1" in both.output
        assert "out of order" in both.output
        assert predict(both.address("Flask server")) == [0]
        both.stop()
        with pytest.raises(AssertionError, match="out of order"):
            up("--only", "fastapi")
    finally:
        example.write_text(source, encoding="utf-8")


def test_what_a_killed_up_left_behind_is_stopped_by_the_next(up, classroom):
    killed = up("--only", "flask")
    orphans = killed.children()
    killed.process.kill()
    killed.wait()
    assert all(orphan.is_running() for orphan in orphans)

    again = up("--only", "flask")
    assert "Stopped a Flask server that a killed session had left behind" in again.output
    assert not any(orphan.is_running() for orphan in orphans)
    assert len(list((classroom.folder / ".kit" / "servers").glob("*.json"))) == 1


def test_the_book_is_served_beside_the_others_where_it_was_made(up, classroom):
    with pytest.raises(AssertionError, match="The book is not made yet: python kit.py docs"):
        up("--only", "book")
    none = up("--only", "flask,book")
    assert "The book is not made yet: python kit.py docs" in none.output
    assert "the book" not in httpx.get(f"{none.address('Flask server')}/problems", trust_env=False).text
    none.stop()

    pages = classroom.folder / "docs" / "_build" / "html"
    try:
        (pages / "reference").mkdir(parents=True)
        (pages / "index.html").write_text("the first page", encoding="utf-8")
        (pages / "reference" / "problems.html").write_text("every problem", encoding="utf-8")
        all_three = up("--only", "flask,ui,book")
        book = all_three.address("Book")
        assert httpx.get(f"{book}/", trust_env=False).text == "the first page"
        told = httpx.get(f"{all_three.address('Flask server')}/problems/draining", trust_env=False).text
        link = re.search(r'href="([^"]+)#draining"', told)[1]
        assert link == f"{book}/reference/problems.html"
        assert httpx.get(link, trust_env=False).text == "every problem"
        page = next(child for child in all_three.children() if "streamlit" in command(child))
        assert page.environ()["BOOK_URL"] == book
        assert all_three.stop() == 0
    finally:
        shutil.rmtree(classroom.folder / "docs")


def test_the_model_is_trained_where_there_is_none_and_asked_for_where_it_cannot_be_read(up, classroom):
    (classroom.folder / "model.pkl").unlink()
    one = up("--only", "flask")
    assert "There is no model yet: training one." in one.output
    assert predict(one.address("Flask server")) == [0]
    one.stop()

    (classroom.folder / "model.pkl").write_bytes(b"not a model")
    one = up("--only", "flask")
    assert "To train a model: python kit.py train" in one.output
    shutil.copy(classroom.folder / "models" / "iris" / "model.joblib", classroom.folder / "model.pkl")


def test_model_path_is_the_callers(up, classroom, tmp_path):
    shutil.copy(classroom.folder / "model.pkl", tmp_path / "other.pkl")
    card = json.loads((classroom.folder / "card.json").read_text(encoding="utf-8"))
    (tmp_path / "card.json").write_text(json.dumps({**card, "name": "other"}), encoding="utf-8")
    one = up("--only", "fastapi", MODEL_PATH=str(tmp_path / "other.pkl"))
    health = httpx.get(f"{one.address('FastAPI server')}/health", trust_env=False).json()
    assert health["model"]["name"] == "other"


def test_doctor_finds_all_in_place(classroom):
    code, output = classroom.run("doctor")
    assert code == 0, output
    assert re.search(r"^ok +packages +as locked", output, re.MULTILINE)
    assert re.search(r'^ok +kernel +"python3" runs in .venv', output, re.MULTILINE)
    assert re.search(r"^ok +model +iris [0-9a-f]{12}", output, re.MULTILINE)


def test_test_fails_when_either_the_tests_or_the_notebooks_do(classroom):
    (classroom.folder / "tests").mkdir()
    # every process would load all that there are, and PYTEST_ADDOPTS does not reach those that xdist starts
    needed = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin,nbval.plugin"}
    tests, lesson = (
        classroom.folder / "tests" / "test_one.py",
        classroom.folder / "notebooks" / "01_one.ipynb",
    )
    for verdict, printed, says in (
        ("True", "2", ("tests: passed", "notebooks: failed")),
        ("False", "1", ("tests: failed", "notebooks: passed")),
    ):
        tests.write_text(f"def test_one(): assert {verdict}\n", encoding="utf-8")
        output = {"name": "stdout", "output_type": "stream", "text": [f"{printed}\n"]}
        cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": ["print(1)"]}
        notebook = {"metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4, "nbformat_minor": 5}
        notebook["cells"] = [{**cell, "execution_count": 1, "outputs": [output]}]
        lesson.write_text(json.dumps(notebook), encoding="utf-8")
        code, said = classroom.run("test", **needed)
        assert code == 1 and all(each in said for each in says), said
    code, _ = classroom.run("test", "tests", "-k", "nothing", **needed)
    assert code == 5  # pytest's for no tests


def test_with_access_the_servers_ask_and_the_first_user_s_password_is_printed_once(up):
    first = up("--only", "fastapi,flask", "--access")
    password = re.search("password, shown this once: (.+)", first.output)[1]
    urls = [first.address(f"{name} server") for name in ("FastAPI", "Flask")]
    form = {"username": "admin", "password": password}
    for url in urls:
        assert httpx.post(f"{url}/predict", json=ROW, trust_env=False).status_code == 401
        told = httpx.post(f"{url}/token", data=form, trust_env=False).json()
        assert told["scope"].split() == ["admin", "generate", "jobs", "predict"]
        head = {"Authorization": f"Bearer {told['access_token']}"}
        for other in urls:  # they share what signs
            answer = httpx.post(f"{other}/predict", json=ROW, headers=head, trust_env=False)
            assert answer.status_code == 200 and "q=6000" in answer.headers["ratelimit-policy"]
    assert not any(password in " ".join(command(child)) for child in first.children())
    assert first.stop() == 0
    again = up("--only", "flask", "--access", RATE_LIMITS="account=7/minute")
    assert "Access is on, for admin. A new password: python kit.py users passwd NAME" in again.output
    assert "shown this once" not in again.output and password not in again.output


def test_with_follow_both_servers_serve_the_champion_which_is_made_where_there_is_none(
    up, classroom, iris_root, tmp_path
):
    shutil.copytree(iris_root / "models", classroom.folder / "models", dirs_exist_ok=True)
    registry = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path.as_posix()}/mlflow.db"}
    registry |= {"REGISTRY_FOLDER": str(tmp_path), "MODEL_STORE": str(tmp_path / "store")}
    first = up("--only", "fastapi,flask", "--follow", **registry)
    assert "iris version 1 is champion" in first.output
    for name in ("FastAPI", "Flask"):
        address = first.address(f"{name} server")
        until(lambda address=address: httpx.get(f"{address}/health", trust_env=False).status_code == 200)
        listed = httpx.get(f"{address}/models", trust_env=False).json()
        assert listed["following"] == "iris" and listed["models"][0]["registry_version"] == "1"
        assert predict(address) == [0]
    assert first.stop() == 0
    with pytest.raises(AssertionError, match="there is no model in .*wine: python kit.py train wine"):
        up("--only", "flask", "--follow", "wine", **registry)


def test_both_servers_have_a_language_model_where_there_is_one(up):
    with openai_like() as further:
        both = up("--only", "fastapi,flask", GENERATION_URL=f"{further.url}/v1")
        for name in ("FastAPI", "Flask"):
            models = httpx.get(f"{both.address(f'{name} server')}/v1/models", trust_env=False).json()
            assert [model["id"] for model in models["data"]] == ["only"]
        both.stop()
    none = up("--only", "flask")
    assert "No language model: to have a tiny one, a minute: python kit.py train tiny" in none.output
    assert httpx.get(f"{none.address('Flask server')}/v1/models", trust_env=False).status_code == 404


@pytest.mark.parametrize(
    ("env", "installed", "told"),
    [
        ({}, True, {"GENERATION": "on"}),
        ({}, False, {}),
        ({"GENERATION_URL": "http://127.0.0.1:9/v1"}, False, {"GENERATION": "on"}),
        ({"GENERATION": "off"}, True, {}),
        ({"SERVER": "granian"}, True, {}),
    ],
)
def test_up_generates_where_nothing_has_to_be_trained_first(monkeypatch, tmp_path, env, installed, told):
    for name in ("GENERATION", "GENERATION_URL", "SERVER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(commands, "TINY", tmp_path / "tiny.onnx")
    monkeypatch.setattr(commands.setup, "state", lambda: {"generation": installed})
    assert commands.language_model() == told
    if not env:
        commands.TINY.touch()
        assert commands.language_model() == {"GENERATION": "on"}
