"""`kit.py classroom`: what it writes, what it keeps, what it refuses; and the page that lists who is up."""

import json
import os
import re
import stat
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from playwright.sync_api import Browser, expect

from kit import classroom, commands
from kit.environment import SetupError
from tests.kit.project import ROOT, Project
from tests.ui.conftest import browser  # noqa: F401 - the fixture
from tests.ui.looks import fits

sys.path.insert(0, str(ROOT / "deploy" / "classroom"))
import who_is_up


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(classroom, "memory_of_machine", lambda: 64 * 1024)


def write(folder, *arguments: str) -> dict:
    """The class as compose has it."""
    classroom.classroom(commands.parse(["classroom", "--output", str(folder), *arguments]))
    return yaml.safe_load((folder / "docker-compose.yml").read_text(encoding="utf-8"))


def tokens(folder) -> dict[str, str]:
    lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=") for line in lines if line.startswith("TOKEN_"))


def test_each_learner_has_four_programs_with_ports_limits_and_a_token_of_their_own(large, tmp_path):
    folder = tmp_path / "class"
    written = write(folder, "--learners", "20", "--memory", "1500m")
    services = written["services"]
    assert len(services) == 1 + 20 * 4 and len(set(tokens(folder).values())) == 20
    published = [port for service in services.values() for port in service["ports"]]
    assert len({port.split(":")[1] for port in published}) == len(published)
    assert all(port.startswith("127.0.0.1:") for port in published)
    for n in range(1, 21):
        parts = [services[f"{part}-{n:02d}"] for part in classroom.PORTS]
        assert sum(int(part["mem_limit"].removesuffix("m")) for part in parts) == 1500
        networks = [set(part["networks"]) for part in parts]
        assert networks == [{f"learner-{n:02d}"}] * 4  # nobody reaches another's
    for service in services.values():
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
        assert service["pids_limit"] and service["cpus"] and service["mem_limit"]
    kept = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])]
    assert set(kept) - {"./page"} == set(written["volumes"])


def test_tokens_are_in_two_files_that_nobody_else_reads(large, tmp_path, capsys):
    folder = tmp_path / "class"
    write(folder, "--learners", "2")
    said = capsys.readouterr().out
    for token in tokens(folder).values():
        holding = {
            file.name for file in folder.rglob("*") if file.is_file() and token in file.read_text("utf-8")
        }
        assert holding == {".env", "addresses.txt"} and token not in said
    if os.name == "posix":
        for name in (".env", "addresses.txt"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_again_it_keeps_tokens_and_adds_learners(large, tmp_path):
    folder = tmp_path / "class"
    write(folder, "--learners", "2")
    before = tokens(folder)
    assert "lab-03" in write(folder, "--learners", "3")["services"]
    assert tokens(folder).items() > before.items()
    assert "lab-02" not in write(folder, "--learners", "1")["services"]
    assert tokens(folder).items() > before.items()  # for when they come back


def test_others_reach_it_only_if_it_is_told_so(large, tmp_path):
    told = ("--bind", "0.0.0.0", "--address", "class.example.org", "--port-offset", "10000")
    services = write(tmp_path / "class", "--learners", "1", *told)["services"]
    assert services["lab-01"]["ports"] == ["0.0.0.0:18898:8888"]
    assert "class.example.org" in services["fastapi-01"]["environment"]["ALLOWED_HOSTS"].split(",")
    listed = (tmp_path / "class" / "addresses.txt").read_text(encoding="utf-8")
    assert "http://class.example.org:18898/lab/tree/notebooks?token=" in listed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--learners 0", "--learners: expected 1 to 250, got 0"),
        ("--learners 251", "--learners: expected 1 to 250, got 251"),
        ("--memory 500m", "--memory: expected 1024m or more"),
        ("--learners 60 --memory 2g", "need 121.0 GB, and this machine has 64.0 GB: --learners 31"),
        ("--learners 5 --port-offset 56600", "expected at most 4 learners, or an offset of at most 56597"),
        ("--port-offset -1", "--port-offset: expected 0 or more"),
        ("--bind everywhere", "--bind: expected an IPv4 address"),
        ("--address http://class", "--address: expected a name or an IPv4 address"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(large, tmp_path, arguments, said):
    with pytest.raises(SetupError, match=re.escape(said)):
        write(tmp_path / "class", *arguments.split())
    assert not (tmp_path / "class").exists()


def test_a_folder_that_holds_something_else_is_left_alone(large, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(SetupError, match="holds no class"):
        write(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_machine_tells_its_memory():
    total = classroom.memory_of_machine()
    assert total is None or 256 < total < 100 << 20


def test_the_command_needs_no_environment(tmp_path):
    project = Project(tmp_path / "project", {})
    (project.folder / "deploy" / "classroom").mkdir(parents=True)
    file = project.folder / "deploy" / "classroom" / "who_is_up.py"
    file.write_bytes((ROOT / "deploy" / "classroom" / "who_is_up.py").read_bytes())
    code, said = project.run("classroom", "--learners", "1", "--memory", "1024m")
    assert code == 0 and "A class of 1, with 1 new tokens" in said and not project.venv.exists()
    code, said = project.run("classroom", "--memory", "lots")
    assert code == 1 and "expected a size such as 1300m or 2g" in said


@pytest.fixture
def page(tmp_path):
    """A class in which one is up, one starts, and one is down, and the server of its page."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path[1:]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_) -> None:
            pass

    program = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    address = f"http://127.0.0.1:{program.server_address[1]}"
    addresses = {"01": f"{address}/200", "02": f"{address}/503", "03": "http://127.0.0.1:9/"}
    learners = [
        {
            "learner": n,
            "parts": [
                {"name": name, "ask": asked, "port": 8000 + number}
                for number, name in enumerate(("JupyterLab", "FastAPI", "Flask", "Page"))
            ],
        }
        for n, asked in addresses.items()
    ]
    given = who_is_up.Class(json.loads(json.dumps(learners)))
    served = who_is_up.serve(given, 0)
    for server in (program, served):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    given.ask()
    yield given, served
    for server in (program, served):
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("kind", [{"width": 1440, "height": 900}, {"width": 390, "height": 844}])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_says_who_is_up_and_fits(page, browser: Browser, kind, scheme):  # noqa: F811
    shown = browser.new_page(viewport=kind, color_scheme=scheme)
    shown.goto(address_of(page[1]))
    rows = [row.inner_text().split() for row in shown.locator("tbody tr").all()]
    assert rows == [["01", *["up"] * 4], ["02", *["starting"] * 4], ["03", *["down"] * 4]]
    assert "1 of 3 have all that they need" in shown.locator("p").first.inner_text()
    assert shown.locator("tbody a").first.get_attribute("href") == "http://127.0.0.1:8000/"
    fits(shown)
    shown.close()


def test_the_page_follows_the_class_and_says_when_it_cannot(page, browser: Browser, monkeypatch):  # noqa: F811
    given, served = page
    monkeypatch.setattr(who_is_up, "EVERY", 0.2)
    shown = browser.new_page()
    shown.goto(address_of(served))
    link = shown.locator("tbody a").first
    link.focus()
    given.asked = "12:34:56"
    expect(shown.locator("#asked")).to_contain_text("12:34:56")
    expect(link).to_be_focused()  # nothing of it has changed
    given.states = dict.fromkeys(given.states, who_is_up.UP)
    expect(shown.get_by_role("status")).to_have_text("3 of 3 have all that they need.")
    expect(shown.locator("tbody a")).to_have_count(12)
    served.shutdown()
    served.server_close()
    expect(shown.get_by_role("status")).to_have_text("This page's server does not answer.")
    shown.close()


def address_of(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"
