"""Projects in temporary folders, and what kit.py needs to set them up without a network."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from tests.kit.project import ROOT, TRAIN, Project, write_wheel


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """uv, packed again as it is installed here, and packages of one line each: tiny; talker, which asks for a
    package that nobody has; and foreign, for a machine that nobody has."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    try:
        uv = distribution("uv")
    except PackageNotFoundError:
        pytest.skip("uv is not installed in this environment: python kit.py test does that")
    files = {}
    for file in uv.files:
        inside = file.name if ".." in file.parts else None  # bin/uv is noted as ../../../bin/uv
        if inside in ("uv", "uv.exe", "uvw.exe"):
            files[f"uv-{uv.version}.data/scripts/{inside}"] = file.locate().read_bytes()
        elif not inside and file.suffix != ".pyc" and file.name not in ("RECORD", "INSTALLER", "REQUESTED"):
            files[file.as_posix()] = file.locate().read_bytes()
    write_wheel(folder / f"uv-{uv.version}-py3-none-any.whl", files)
    for version in ("1.0", "2.0"):
        info = f"tiny-{version}.dist-info"
        write_wheel(
            folder / f"tiny-{version}-py3-none-any.whl",
            {
                "tiny.py": f'version = "{version}"\n'.encode(),
                f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n".encode(),
                f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            },
        )
    for name, tag, more in (
        ("talker", "py3-none-any", "Requires-Dist: nonesuch\n"),
        ("foreign", "py3-none-linux_s390", ""),
    ):
        info = f"{name}-1.0.dist-info"
        write_wheel(
            folder / f"{name}-1.0-{tag}.whl",
            {
                f"{name}.py": b"",
                f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{more}".encode(),
                f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
            },
        )
    return folder


@pytest.fixture(scope="session")
def offline(wheelhouse: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which pip and uv have the wheelhouse and nothing else."""
    return {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheelhouse),
        "UV_NO_CONFIG": "1",
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(wheelhouse),
        "UV_CACHE_DIR": str(tmp_path_factory.mktemp("uv-cache")),
    }


@pytest.fixture
def project(tmp_path: Path, offline: dict[str, str]) -> Project:
    """A project whose lock is one tiny package, and whose `kit.py train x` prints "trained x"."""
    project = Project(tmp_path / "project", offline)
    (project.folder / "requirements.txt").write_text("tiny==1.0\n", encoding="utf-8")
    (project.folder / "model_training" / "registry").mkdir(parents=True)
    for name in ("train.py", "registry/tracking.py"):  # what `up` and `train` run
        (project.folder / "model_training" / name).write_text(TRAIN, encoding="utf-8")
    return project


@pytest.fixture(scope="session")
def made_once(offline: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `.venv` of such a project, finished; `installed` copies it."""
    project = Project(tmp_path_factory.mktemp("made-once"), offline)
    (project.folder / "requirements.txt").write_text("tiny==1.0\n", encoding="utf-8")
    assert project.run("train")[0] == 1  # set up, and then found that there is no model_training
    return project.venv


@pytest.fixture
def installed(project: Project, made_once: Path) -> Project:
    """A project that is set up."""
    shutil.copytree(made_once, project.venv, symlinks=True)
    state = json.loads((project.venv / "servelab.json").read_text(encoding="utf-8"))
    state["folder"] = str(project.folder)
    (project.venv / "servelab.json").write_text(json.dumps(state), encoding="utf-8")
    return project


@pytest.fixture(scope="module")
def classroom(tmp_path_factory: pytest.TempPathFactory, iris_root: Path) -> Project:
    """The real project in a folder of its own, with a model, over the packages of this environment."""
    project = Project(tmp_path_factory.mktemp("classroom"), {})
    for part in ("apps", "model_training", "ui", "notebooks/classroom", ".streamlit"):
        if (ROOT / part).exists():
            shutil.copytree(ROOT / part, project.folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (ROOT / "requirements.txt", iris_root / "model.pkl", iris_root / "card.json"):
        shutil.copy(file, project.folder)
    subprocess.run([sys._base_executable, "-m", "venv", "--without-pip", project.venv], check=True)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    asked = subprocess.run([project.python, "-c", ask], capture_output=True, text=True, check=True)
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    (Path(asked.stdout.strip()) / "packages.pth").write_text(packages, encoding="utf-8")
    for part in ("share", "etc"):
        if (Path(sys.prefix) / part).exists():
            shutil.copytree(Path(sys.prefix) / part, project.venv / part, dirs_exist_ok=True)
    finish = "import json; from kit import environment as k; "
    finish += "k.STATE.write_text(json.dumps(k.wanted(k.python_version())), encoding='utf-8')"
    subprocess.run([project.python, "-c", finish], cwd=project.folder, check=True)
    return project
