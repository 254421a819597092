"""`.venv` is made, kept and mended; whatever stands in the way ends in one line that says what to do."""

import ast
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.kit.project import ROOT

NOWHERE = "http://127.0.0.1:9/simple"  # nothing listens there
OFFLINE = {
    **{"PIP_NO_INDEX": "0", "PIP_INDEX_URL": NOWHERE, "PIP_FIND_LINKS": ""},
    **{"UV_NO_INDEX": "0", "UV_DEFAULT_INDEX": NOWHERE, "UV_FIND_LINKS": "", "UV_HTTP_RETRIES": "0"},
}


def one_line(output: str) -> str:
    """What kit.py said last, which must be its own line, with nothing that looks like a traceback before."""
    assert "Traceback" not in output, output
    line = output.splitlines()[-1]
    assert line.startswith("kit: "), output
    return line


def tiny_version(project) -> str:
    asked = subprocess.run(
        [project.python, "-c", "import tiny; print(tiny.version)"], capture_output=True, text=True
    )
    return asked.stdout.strip()


def test_from_nothing_twice_at_once_and_later_without_any_setup(project):
    both = [project.start("train", "wine"), project.start("train", "wine")]
    outputs = [process.communicate(timeout=100)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert [output.splitlines()[-1] for output in outputs] == ["trained wine"] * 2, outputs
    assert sum("packages ..." in output for output in outputs) == 1
    assert any("waiting for it" in output for output in outputs)
    assert tiny_version(project) == "1.0"

    assert project.run("train", "wine", **OFFLINE) == (0, "trained wine\n")


def test_a_changed_lock_is_installed_and_without_network_the_old_environment_stays(installed):
    lock = installed.folder / "requirements.txt"
    lock.write_text("tiny==2.0\n", encoding="utf-8")
    code, output = installed.run("train", **OFFLINE)
    assert code == 1 and "no connection to the package index" in one_line(output)

    lock.write_text("tiny==1.0\n", encoding="utf-8")
    assert installed.run("train", **OFFLINE) == (0, "trained\n")

    lock.write_text("tiny==2.0\n", encoding="utf-8")
    assert installed.run("train")[0] == 0
    assert tiny_version(installed) == "2.0"


def test_a_language_model_is_installed_without_what_it_asks_for(installed):
    wants(installed, "talker==1.0")
    code, output = installed.run("train")
    assert (code, output.splitlines()[-1]) == (0, "trained"), output
    assert subprocess.run([installed.python, "-c", "import talker"]).returncode == 0
    assert "SmolLM2 by llama.cpp" in installed.run("doctor")[1]
    assert installed.run("train", **OFFLINE) == (0, "trained\n")


def test_where_a_language_model_has_no_build_the_rest_is_set_up(installed):
    wants(installed, "talker==1.0\nforeign==1.0")
    code, output = installed.run("train")
    assert (code, output.splitlines()[-1]) == (0, "trained"), output
    assert "llama.cpp has no build for this machine: the kit's tiny model takes its place" in output
    assert "tiny model takes its place" in installed.run("doctor")[1]
    assert installed.run("train", **OFFLINE) == (0, "trained\n")  # it is not tried again and again

    wants(installed, "talker==1.0")
    code, output = installed.run("train", **OFFLINE)
    assert code == 1 and "no connection to the package index" in one_line(output)
    assert installed.run("train")[0] == 0
    assert subprocess.run([installed.python, "-c", "import talker"]).returncode == 0


def wants(project, requirements: str) -> None:
    """What GENERATION=on would run in that project."""
    file = project.folder / "apps" / "service" / "generation" / "requirements.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(requirements, encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_an_install_that_was_stopped_or_killed_is_mended_by_the_next_run(project):
    process = start_and_wait_for(project, "bin/python")
    process.send_signal(signal.SIGINT)
    assert "begins again" in one_line(process.communicate(timeout=30)[0])

    process = start_and_wait_for(project, "lib/python*/site-packages/pip")
    process.kill()
    assert "Traceback" not in process.communicate(timeout=30)[0]

    code, output = project.run("train")
    assert (code, output.splitlines()[-1]) == (0, "trained"), output
    assert "was not finished: making it anew" in output
    assert tiny_version(project) == "1.0"


def start_and_wait_for(project, file: str) -> subprocess.Popen:
    """A setup that has just made a file of the environment."""
    if project.venv.exists():
        shutil.rmtree(project.venv)
    process = project.start("train")
    deadline = time.monotonic() + 60
    while not list(project.venv.glob(file)):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    return process


def test_an_environment_that_does_not_run_any_more_is_made_anew(installed):
    installed.python.unlink()
    installed.python.symlink_to(installed.folder / "a-python-that-was-removed")
    code, output = installed.run("train")
    assert code == 0 and "does not run any more: making it anew" in output
    assert tiny_version(installed) == "1.0"


def test_a_project_that_was_moved_gets_a_new_environment(installed):
    installed.folder = installed.folder.rename(installed.folder.with_name("moved"))
    process = installed.start("train")
    assert process.stdout.readline() == ".venv was moved: making it anew\n"
    process.kill()
    process.communicate()


def test_no_network_at_the_first_time_is_said(project):
    code, output = project.run("train", **OFFLINE)
    assert code == 1 and "no connection to the package index" in one_line(output)


def test_a_full_disk_is_said(project, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True
        ).returncode
    ):
        pytest.skip("a small disk cannot be mounted here: needs root on Linux")
    try:
        project.folder = shutil.copytree(project.folder, disk / "project")
        code, output = project.run("train")
        assert code == 1 and "the disk is full" in one_line(output)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX permissions")
def test_a_folder_that_cannot_be_written_is_said(project, tmp_path):
    if os.geteuid() == 0:  # permissions do not bind root: mount the folder read-only
        mount = ["mount", "--bind", "-o", "ro", project.folder, project.folder]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a folder cannot be mounted read-only here")
    else:
        project.folder.chmod(0o555)
    try:
        code, output = project.run("train")
        assert code == 1 and "writing is not allowed" in one_line(output)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "--lazy", project.folder], check=True)
        project.folder.chmod(0o755)


def old_python() -> str | None:
    """A Python before 3.11 on this machine."""
    names = [f"python3.{minor}" for minor in range(4, 11)]
    found = [path for name in names if (path := shutil.which(name))]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found += [str(path) for path in pyenv.glob("[23].[5-9]*/bin/python")]
    for python in found:
        if subprocess.run([python, "-c", ""], capture_output=True).returncode == 0:
            return python
    return None


def test_an_old_python_is_told_what_is_needed(project):
    ast.parse((ROOT / "kit.py").read_text(encoding="utf-8"), feature_version=(3, 4))
    if not (python := old_python()):
        pytest.skip("no older Python on this machine")
    code, output = project.run("up", python=python)
    assert code == 1 and "Python 3.11 or newer is needed" in one_line(output)
    assert not project.venv.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serve"], "'up'"),
        (["up", "--only", "fastapi,django"], "lab,ui,fastapi,flask"),
        (["up", "--fast"], "--help"),
    ],
)
def test_a_wrong_command_is_told_what_exists(project, arguments, says):
    code, output = project.run(*arguments)
    assert code != 0 and says in one_line(output)
    assert not project.venv.exists()


def test_docs_makes_the_book_and_says_where_it_is_if_that_went_well(installed):
    make = installed.folder / "docs" / "__main__.py"
    make.parent.mkdir()
    make.write_text("print('made')", encoding="utf-8")
    code, output = installed.run("docs", "--no-browser")
    page = installed.folder / "docs" / "_build" / "html" / "index.html"
    assert (code, output) == (0, f"made\nThe book: {page}\n")

    make.write_text("raise SystemExit('index.md:3: WARNING: a link to nothing')", encoding="utf-8")
    code, output = installed.run("docs")
    assert (code, output) == (1, "index.md:3: WARNING: a link to nothing\n")


def test_train_tiny_trains_the_language_model(installed):
    trainer = installed.folder / "model_training" / "generator.py"
    trainer.write_text('import sys\nprint("made", *sys.argv[1:])\n', encoding="utf-8")
    assert installed.run("train", "tiny", "--once") == (0, "made --once\n")


def test_doctor_says_what_to_do_and_changes_nothing(project, installed):
    code, output = installed.run("doctor")
    assert code == 1  # the tiny lock has no notebook kernel in it
    assert "as locked, in .venv" in output
    assert "broken  kernel" in output

    (installed.venv / "servelab.json").unlink()
    code, output = installed.run("doctor")
    assert code == 1 and "not made by kit.py" in output and "-> python kit.py up" in output

    shutil.rmtree(installed.venv)
    code, output = installed.run("doctor")
    assert code == 1 and "not installed yet" in output
    assert not installed.venv.exists()


def test_the_kit_is_whole_in_its_files():
    assert sorted(path.name for path in ROOT.glob("kit*")) == ["kit", "kit.py"]
