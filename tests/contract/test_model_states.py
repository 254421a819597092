"""What the full servers do with the folder at MODEL_PATH: missing, broken, another's, hostile, put in later.

Whatever lies there, they live, run none of it, say why they have no model, and take a good one when it
comes."""

import hashlib
import io
import json
import os
import pickle
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import joblib
import pytest
import skops.io
from pairs import ONE, pair
from promises import check_answer, memory
from waiting_model import WaitingSum
from wire import post, request_bytes, send

from tests.waiting import PATIENCE, until

SETOSA = {"features": [5.1, 3.5, 1.4, 0.2]}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1523\n"


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self):
        return (open, (str(self._canary), "w"))


class Place:
    """The folder that both servers look at, what lies in it now, and what they say about it."""

    def __init__(self, folder: Path, good: Path, servers: dict) -> None:
        self.folder, self.good, self.servers = folder, good, servers
        self.canary = folder.with_name("canary")

    def put(self, change: Callable[[Path], None], only: str) -> None:
        """A copy of the good folder with one model file, changed, in the place of what was there."""
        new = self.folder.with_name("new")
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(self.good, new)
        for file in new.glob("model.*"):
            if file.suffix != f".{only}":
                file.unlink()
        change(new)
        shutil.rmtree(self.folder, ignore_errors=True)
        if new.exists():
            new.rename(self.folder)

    def told(self, server, since: int) -> list[dict]:
        """The lines about models that were not loaded."""
        with server.log.open("rb") as log:
            log.seek(since)
            lines = [
                json.loads(line) for line in log.read().splitlines(keepends=True) if line.endswith(b"\n")
            ]
        return [line for line in lines if line["event"] == "model not loaded"]


@pytest.fixture(scope="module")
def place(tmp_path_factory, iris_root):
    """Both servers, begun without a model and never given a good one. Each worker looks again when it is
    asked, so that of several some would still tell of what was wrong before."""
    folder = tmp_path_factory.mktemp("place") / "model"
    with pair({"MODEL_PATH": str(folder), **ONE}) as servers:
        place = Place(folder, iris_root / "models" / "iris", servers)
        for only in ("onnx", "skops", "joblib"):  # what reads them comes in now, and is in no case's memory
            since = {name: server.log.stat().st_size for name, server in servers.items()}
            place.put(golden_differs, only)
            for name, server in servers.items():
                awaited(place, server, since[name], "GoldenRowsError")
        yield place


def rehash(folder: Path) -> None:
    """Write the card that knows the files as they are now: what an export of just these bytes would give."""
    card = read(folder)
    for file in card["files"].values():
        path = folder / file["file"]
        if path.exists():
            file["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    write(folder, card)


def read(folder: Path) -> dict:
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


def write(folder: Path, card) -> None:
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")


def content(data: bytes, name: str, known: bool = False) -> Callable[[Path], None]:
    """Puts `data` into the model's file; `known`: the card says that just this is the model."""

    def change(folder: Path) -> None:
        (folder / name).write_bytes(data)
        if known:
            rehash(folder)

    return change


def cut(size: float, known: bool = False) -> Callable[[Path], None]:
    """Leaves that share of the model's file."""

    def change(folder: Path) -> None:
        path = next(folder.glob("model.*"))
        whole = path.read_bytes()
        content(whole[: int(len(whole) * size)], path.name, known)(folder)

    return change


def flip(bit: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = next(folder.glob("model.*"))
        data = bytearray(path.read_bytes())
        place = bit * 7919 % (len(data) * 8)
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)

    return change


def card(**changed) -> Callable[[Path], None]:
    """Replaces members of the card."""
    return lambda folder: write(folder, read(folder) | changed)


def card_text(text: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / "card.json").write_bytes(text) and None


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def directory(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


def unreadable(folder: Path) -> None:
    """For root too: a link that leads to itself."""
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to("model.onnx")


def bomb(name: str, known: bool = False) -> Callable[[Path], None]:
    return lambda folder: content(pickle.dumps(Bomb(folder.with_name("canary"))), name, known)(folder)


def another_model(folder: Path) -> None:
    """A good one, that this card does not know."""
    other = joblib.load(folder / "model.joblib")
    joblib.dump(other.set_params(logisticregression__C=2.0), folder / "model.joblib")


def golden_differs(folder: Path) -> None:
    rows = read(folder)["golden"]
    rows[0]["prediction"] = 2
    card(golden=rows)(folder)


def card_of_fewer_features(folder: Path) -> None:
    found = read(folder)
    rows = {
        kind: [row | {"features": row["features"][:3]} for row in found[kind]]
        for kind in ("golden", "presets")
    }
    card(features=found["features"][:3], **rows)(folder)


def other_scikit_learn(folder: Path) -> None:
    inputs = read(folder)["inputs"]
    inputs["versions"]["scikit-learn"] = "0.24.2"
    card(inputs=inputs)(folder)


def unknown_type(folder: Path) -> None:
    skops.io.dump(WaitingSum(), folder / "model.skops")
    rehash(folder)


def zip_slip(folder: Path) -> None:
    """An archive with members that would land beside the folder."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("../canary", "")
        archive.writestr(str(folder.with_name("canary")), "")
        archive.writestr("schema.json", "{}")
    content(whole.getvalue(), "model.skops", known=True)(folder)


def vanish(folder: Path) -> None:
    """All of it at once: a server that looks while file by file goes finds the card gone first."""
    shutil.rmtree(folder.rename(folder.with_name("gone")))


NO_CARD, MISSING = "no card that describes it", "missing or cannot be read"
CHANGED, UNREADABLE = "not the one that was exported", "cannot be read as a model"
STATES = {
    "no card": ("onnx", without("card.json"), "CardError", NO_CARD),
    "no folder": ("onnx", vanish, "FileMissingError", MISSING),
    "no file": ("onnx", without("model.onnx"), "FileMissingError", MISSING),
    "file is empty": ("onnx", cut(0), "HashMismatchError", CHANGED),
    "file is a folder": ("onnx", directory("model.onnx"), "FileMissingError", MISSING),
    **{f"onnx cut at {n} %": ("onnx", cut(n / 100), "HashMismatchError", CHANGED) for n in (1, 50, 99)},
    **{f"joblib cut at {n} %": ("joblib", cut(n / 100), "HashMismatchError", CHANGED) for n in (30, 99)},
    "onnx cut before its export": ("onnx", cut(0.5, True), "UnreadableError", UNREADABLE),
    "joblib cut before its export": ("joblib", cut(0.5, True), "UnreadableError", UNREADABLE),
    "skops cut before its export": ("skops", cut(0.5, True), "UnreadableError", UNREADABLE),
    "empty before its export": ("joblib", cut(0, True), "UnreadableError", UNREADABLE),
    **{f"bit {n} of onnx": ("onnx", flip(n), "HashMismatchError", CHANGED) for n in (1, 2)},
    **{f"bit {n} of joblib": ("joblib", flip(n), "HashMismatchError", CHANGED) for n in (3, 4)},
    "another model": ("joblib", another_model, "HashMismatchError", CHANGED),
    "git-lfs pointer": ("joblib", content(LFS, "model.joblib"), "HashMismatchError", CHANGED),
    "git-lfs pointer as card": ("joblib", card_text(LFS), "CardError", NO_CARD),
    "code": ("joblib", bomb("model.joblib"), "HashMismatchError", CHANGED),
    "code as skops": ("skops", bomb("model.skops"), "HashMismatchError", CHANGED),
    "code as skops that the card knows": ("skops", bomb("model.skops", True), "UnreadableError", UNREADABLE),
    "code as onnx that the card knows": ("onnx", bomb("model.onnx", True), "UnreadableError", UNREADABLE),
    "members outside": ("skops", zip_slip, "UnreadableError", UNREADABLE),
    "type that nobody trusts": ("skops", unknown_type, "UntrustedTypeError", "types that a model has no"),
    "other scikit-learn": ("joblib", other_scikit_learn, "VersionMismatchError", "another version of scikit"),
    "golden rows": ("onnx", golden_differs, "GoldenRowsError", "answers otherwise here"),
    "card of fewer features": ("onnx", card_of_fewer_features, "GoldenRowsError", "answers otherwise here"),
    "card empty": ("onnx", card_text(b""), "CardError", NO_CARD),
    "card is a folder": ("onnx", directory("card.json"), "CardError", NO_CARD),
    "card without end": ("onnx", card_text(b"[" * 100_000), "CardError", NO_CARD),
    "card not UTF-8": ("onnx", card_text(b'{"name": "\xff"}'), "CardError", NO_CARD),
    "card without features": ("onnx", card(features=[]), "CardError", NO_CARD),
    "card of no time": ("onnx", card(trained_at="yesterday"), "CardError", NO_CARD),
}  # fmt: skip
if os.name == "posix":
    STATES["unreadable"] = ("onnx", unreadable, "FileMissingError", MISSING)


@pytest.mark.parametrize("state", STATES)
def test_a_model_that_may_not_serve_is_told_from_the_server(place, state):
    only, change, kind, reason = STATES[state]
    before = {name: (server.log.stat().st_size, memory(server)) for name, server in place.servers.items()}
    place.put(change, only)
    for name, server in place.servers.items():
        since, used = before[name]
        assert awaited(place, server, since, kind, reason)["path"] == str(place.folder)
        check_without_model(server, reason, place.folder)
        assert server.alive
        assert memory(server) - used < 150 << 20
    assert not place.canary.exists(), "what lay there was run, or written"


def awaited(place: Place, server, since: int, kind: str, reason: str = "") -> dict:
    """The log's line about it, which comes just before the reason is answered. A server looks again when it
    is asked, twice a second at most."""
    deadline = time.monotonic() + PATIENCE
    while True:
        told = [line for line in place.told(server, since) if line["error"].startswith(f"{kind}: ")]
        answer = server.get("/health")
        assert answer.status_code == 503
        if told and reason in answer.json()["detail"]:
            assert len(told[-1]["error"]) > len(f"{kind}: ") + 20
            return told[-1]
        assert time.monotonic() < deadline, f"expected {kind}:\n{server.tail()}"
        time.sleep(0.05)


def check_without_model(server, reason: str, folder: Path) -> None:
    """Unavailable, with the reason and when to come back, and no word of where or how it lies."""
    body = json.dumps(SETOSA).encode()
    for answer in (
        post(server.url, body),
        *(
            send(server.url, request_bytes("GET", path, {}))
            for path in ("/health", "/health/ready", "/model")
        ),
        send(server.url, request_bytes("GET", "/v2/health/ready", {})),
    ):
        check_answer(server, answer)
        problem = json.loads(answer.body)
        assert (answer.status, problem["type"]) == (503, "/problems/model-unavailable")
        assert reason in problem["detail"]
        assert int(answer.headers["retry-after"]) > 0
        assert str(folder.parent).encode() not in answer.body
    assert server.get("/health/live").json() == {"status": "live"}
    assert server.get("/models").json() == {"models": []}


def test_a_good_model_put_there_is_taken_up_without_a_restart(tmp_path, iris_root):
    folder = tmp_path / "iris"
    with pair({"MODEL_PATH": str(folder)}) as servers:
        for server in servers.values():
            assert server.get("/health/ready").status_code == 503
        shutil.copytree(iris_root / "models" / "iris", folder)
        for server in servers.values():
            until(lambda server=server: server.get("/health/ready").status_code == 200, server.tail)
            assert server.post("/predict", json=SETOSA).json()["label"] == "setosa"


def test_what_happens_to_the_files_does_not_reach_the_model_that_serves(tmp_path, iris_root):
    folder = tmp_path / "iris"
    shutil.copytree(iris_root / "models" / "iris", folder)
    with pair({"MODEL_PATH": str(folder)}) as servers:
        before = {name: server.post("/predict", json=SETOSA).json() for name, server in servers.items()}
        for change in (cut(0.5), flip(1), bomb("model.onnx"), card_text(b"{"), shutil.rmtree):
            change(folder)
            for name, server in servers.items():
                after = server.post("/predict", json=SETOSA).json()
                assert after | {"request_id": ""} == before[name] | {"request_id": ""}
                assert server.get("/health").json()["model"]["version"] == after["model"]["version"]


@pytest.mark.parametrize("lone", ["code", "stranger"])
def test_a_single_file_that_no_card_knows_is_not_read(tmp_path, iris_root, lone):
    path, canary = tmp_path / "model.pkl", tmp_path / "canary"
    path.write_bytes(pickle.dumps(Bomb(canary)))
    if lone == "stranger":
        shutil.copy(iris_root / "model.pkl", path)
    else:
        shutil.copy(iris_root / "models" / "iris" / "card.json", tmp_path)
    with pair({"MODEL_PATH": str(path)}) as servers:
        for server in servers.values():
            check_without_model(server, NO_CARD, tmp_path)
            assert "python kit.py adopt model.pkl" in server.log.read_text(encoding="utf-8")
    assert not canary.exists()
