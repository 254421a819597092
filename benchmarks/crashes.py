"""SIGKILL at random moments of publishing, promoting and following a model: the old one or the new one is
there, never a torn one.

    python -m benchmarks.crashes --times 100

A process that has imported MLflow forks one that works, kills it, and forks another that looks at what is
left."""

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from model_training import datasets
from model_training.export import export
from model_training.registry.candidates import Following
from model_training.registry.registry import Registry
from model_training.registry.store import Store
from model_training.registry.tracking_server import quiet
from model_training.train import train

NAME = "iris"


class Scene:
    """A registry, a store, and the model folder that is to be registered next; nothing of it is open here, so
    that a forked process opens it for itself."""

    def __init__(self, folder: Path, first: Path) -> None:
        self.folder, self._first = folder, first
        self.store = Store(folder / "store")

    def use(self) -> None:
        """From now on its registry is the one that is opened."""
        os.environ["REGISTRY_FOLDER"] = str(self.folder / "registry")

    def next_model(self, number: int) -> Path:
        """A model folder like the first, with a card of its own."""
        target = self.folder / "models" / str(number)
        shutil.copytree(self._first, target)
        card = json.loads((target / "card.json").read_text(encoding="utf-8"))
        (target / "card.json").write_text(json.dumps(card | {"title": f"number {number}"}), encoding="utf-8")
        return target

    def work(self, what: str, number: int, now: dict) -> Callable[[Registry], object]:
        """Something to be killed at, after which the next state is not `now`; it may be done again."""
        if what == "promote":
            other = next(str(each) for each in reversed(now["versions"]) if str(each) != now["champion"])
            return lambda registry: registry.promote(NAME, other)
        model = self.next_model(number)
        if what == "register":
            return lambda registry: registry.register(model, NAME)
        return self.follow

    def lead(self, registry: Registry, number: int) -> dict:
        """Promote a version that the store does not have yet; the state."""
        version, _ = registry.register(self.folder / "models" / str(number), NAME)
        registry.promote(NAME, version.version)
        return self.state(registry)

    def follow(self, registry: Registry) -> None:
        """Bring the store where the registry is."""

        def told(level: str, event: str, **more: object) -> None:
            if level != "info":
                raise SystemExit(f"{event} {more}")

        Following(f"models:/{NAME}@champion", self.store, told).look(SimpleNamespace(registry=registry))

    def state(self, registry: Registry, newest: int = 3) -> dict:
        """What is there, once every pointer and model in the store, the champion and the newest versions have
        been found whole."""
        versions = registry.versions(NAME)
        assert len({version.digest for version in versions}) == len(versions), "one model, two versions"
        for version in [*versions[:newest], *(each for each in versions if each.aliases)]:
            assert registry.verify(NAME, version.version) == version.digest
        pointers = {}
        for alias in ("champion", "active"):
            if pointer := self.store.pointer(NAME, alias):
                assert self.store.is_whole(NAME, pointer.digest), f"{alias} is torn"
                pointers[alias] = pointer.version
        for folder in (self.folder / "store" / NAME / "models").glob("[!.]*"):
            assert self.store.is_whole(NAME, folder.name), f"{folder.name} is torn"
        champion = registry.resolve(NAME, "champion")
        return {
            "versions": sorted(int(version.version) for version in versions),
            "champion": champion and champion.version,
            "pointers": pointers,
        }


def forked(work: Callable[[Registry], object]) -> tuple[int, int]:
    """A process that opens the registry, says so by a dot, does the work, and writes what it returns as JSON:
    its id, and where to read."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    if child := os.fork():
        os.close(writing)
        os.read(reading, 1)
        return child, reading
    code = 1
    try:
        os.close(reading)
        registry = Registry()
        os.write(writing, b".")
        os.write(writing, json.dumps(work(registry)).encode())
        code = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def done(work: Callable[[Registry], object]) -> object:
    """What the work returns, of a process that nobody kills. Raises RuntimeError where it fails."""
    child, reading = forked(work)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise RuntimeError("the registry or the store is torn; what was found stands above")
    return json.loads(said)


def killed(work: Callable[[Registry], object], after: float) -> bool:
    """Whether the process was killed before it had ended."""
    child, reading = forked(work)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)  # one that has ended waits to be asked for, so the id is its own
    os.close(reading)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crashes", description=__doc__.split(":")[0])
    parser.add_argument("--times", type=int, default=100, help="how many processes are killed (default: 100)")
    parser.add_argument("--seed", type=int, default=None, help="of the moments")
    options = parser.parse_args(argv)
    if not hasattr(os, "fork"):
        print("crashes: this system has no fork", file=sys.stderr)
        return 2
    chance = random.Random(options.seed)
    quiet()
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        export(train(datasets.load(NAME)), folder / "first")
        warm = Scene(folder / "warm", folder / "first")
        warm.use()
        prepare(warm, Registry())  # in this process: each of the others would import it all for itself
        scene = Scene(folder, folder / "first")
        scene.use()
        now, seconds = done(lambda registry: prepare(scene, registry))
        counts: Counter[str] = Counter()
        for number in itertools.count(1):
            if sum(counts.values()) == options.times:
                break
            what = chance.choice(list(seconds))
            work = scene.work(what, number, now)
            if what == "follow":
                now = done(lambda registry: scene.lead(registry, number))  # noqa: B023
            # The last steps matter most.
            share = chance.choice([chance.uniform(0, 1), chance.uniform(0.7, 1)])
            was_killed = killed(work, share * seconds[what])
            after, _, again = done(lambda it: [scene.state(it), work(it), scene.state(it)])  # noqa: B023
            if was_killed:
                kind = outcome(what, now, after)
                counts[f"{what}: {kind}"] += 1
            # Moments from its beginning until its end, however fast the machine is just now.
            if not was_killed or kind == "new":
                seconds[what] *= 0.9
            elif share > 0.7:
                seconds[what] *= 1.3
            now = again
        done(lambda registry: scene.state(registry, newest=len(now["versions"])))
    for kind, count in sorted(counts.items()):
        print(f"{kind:<24} {count}")
    print(f"killed {sum(counts.values())} times: the old or the new, never torn")
    return 0


def prepare(scene: Scene, registry: Registry) -> list:
    """Versions, of which one is champion and in the store: the state, and how long what is done takes."""
    start, seconds = {"versions": [1, 2], "champion": None}, {}
    scene.work("register", -1, start)(registry)
    for what in ("register", "promote", "follow"):
        work = scene.work(what, -2 if what == "register" else -3, start)
        started = time.perf_counter()
        work(registry)
        seconds[what] = time.perf_counter() - started
    return [scene.state(registry), seconds]


def outcome(what: str, before: dict, after: dict) -> str:
    """`old` or `new`. Raises RuntimeError for anything else."""
    gained = len(after["versions"]) - len(before["versions"])
    same = {name: before[name] == after[name] for name in ("versions", "champion", "pointers")}
    if what == "register" and same["champion"] and same["pointers"] and gained in (0, 1):
        return "new" if gained else "old"
    if what == "promote" and same["versions"] and same["pointers"]:
        return "old" if same["champion"] else "new"
    known = {*before["pointers"].values(), after["champion"]}
    if what == "follow" and same["versions"] and same["champion"] and {*after["pointers"].values()} <= known:
        return "old" if same["pointers"] else "new"
    raise RuntimeError(f"{what} left {after}, it was {before}")


if __name__ == "__main__":
    raise SystemExit(main())
