"""How fast, against what: python -m benchmarks

One server at a time on one core, the load generator (wrk) on another, in interleaved rounds."""

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from apps.service.access.accounts import Accounts
from benchmarks import environments, report, revision
from benchmarks.arena import NoLoadGenerator, compete
from benchmarks.contenders import CONTENDERS as OURS
from benchmarks.contenders import Contender
from benchmarks.peers import ENVIRONMENT_OF, FORESTS, PEERS
from benchmarks.typed import TYPED, TYPED_ENVIRONMENTS
from model_training.registry.lock import Lock
from model_training.registry.store import Pointer, Store

if TYPE_CHECKING:
    from model_training.train import Training

CONTENDERS = [*OURS, *TYPED, *FORESTS, *PEERS]
ENVIRONMENTS = ENVIRONMENT_OF | TYPED_ENVIRONMENTS


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split(":")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of load for each figure (default: 3)")
    parser.add_argument("--connections", default="16,64", help="one or more numbers (default: 16,64)")
    parser.add_argument("--only", default="", help="names or parts of names, separated by commas")
    parser.add_argument("--output", type=Path, help="a folder for results.json, table.md and plot.png")
    parser.add_argument("--against", metavar="REVISION", help="the full servers of this git revision run too")
    options = parser.parse_args(argv)
    if not options.against:
        return run(options, CONTENDERS)
    try:
        with revision.at(options.against) as earlier:
            return run(options, [*CONTENDERS, *earlier])
    except revision.NoSuchRevision as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2


def run(options: argparse.Namespace, contenders: list[Contender]) -> int:
    chosen = choose(contenders, [part for part in options.only.split(",") if part])
    if not chosen:
        print(f"benchmarks: nobody is called that; there are {', '.join(c.name for c in contenders)}")
        return 2
    needed = {ENVIRONMENTS[c.name]: None for c in chosen if c.name in ENVIRONMENTS}
    unprepared = environments.prepare(needed, tell)
    not_here = {c.name: unprepared[peer] for c in chosen if (peer := ENVIRONMENTS.get(c.name)) in unprepared}
    chosen = [c for c in chosen if c.name not in not_here]
    counts = [int(count) for count in options.connections.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        from model_training import datasets
        from model_training.export import export
        from model_training.train import train

        model, forest = Path(folder) / "model.pkl", Path(folder) / "forest" / "model.pkl"
        iris = train(datasets.load("iris"))
        export(iris, Path(folder) / "models" / "iris", pickle_path=model)
        export(grow_forest(iris), Path(folder) / "forest" / "iris", pickle_path=forest)
        open_account(Path(folder) / "access")
        export(train(datasets.load("iris"), seed=2), Path(folder) / "challenger")
        fill_store(Path(folder) / "store", Path(folder) / "models" / "iris", Path(folder) / "challenger")
        try:
            results, absent = compete(chosen, counts, options.rounds, options.seconds, model, tell)
        except NoLoadGenerator as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
    absent |= not_here
    print()
    print(report.table(results, absent))
    for name, log in absent.items():
        print(f"\n{name} did not start. Its log ends with:\n{log}")
    if options.output and results:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "results.json").write_text(report.as_json(results, absent), encoding="utf-8")
        (options.output / "table.md").write_text(report.table(results, absent) + "\n", encoding="utf-8")
        report.plot(results, options.output / "plot.png")
    return 1 if absent else 0


def choose(contenders: list[Contender], wanted: list[str]) -> list[Contender]:
    """Those that are called so, at any revision; where nobody has the whole name, those with it in theirs."""
    names = {c.name: c.name.partition(" at ")[0] for c in contenders}
    whole, parts = {part for part in wanted if part in names}, [part for part in wanted if part not in names]
    return [
        c for c in contenders if not wanted or names[c.name] in whole or any(part in c.name for part in parts)
    ]


def grow_forest(training: "Training") -> "Training":
    """A RandomForest of 100 trees, learned from the rows of another training."""
    from sklearn.ensemble import RandomForestClassifier

    from model_training.train import split

    X_train, _, y_train, _ = split(training.dataset, seed=1)
    forest = RandomForestClassifier(100, random_state=1).fit(X_train, y_train)
    return dataclasses.replace(training, model=forest)


def open_account(folder: Path) -> None:
    """Accounts with one user, whose API key is written to the file `key`."""
    folder.mkdir()
    accounts = Accounts(None, folder)
    accounts.create_tables()
    accounts.add("alice", ["predict"])
    key, _ = accounts.add_key("alice", "", ["predict"])
    (folder / "key").write_text(key, encoding="utf-8")
    accounts.close()


def fill_store(folder: Path, champion: Path, challenger: Path) -> None:
    """A store of two models. This process has the lock of whoever follows a registry, until it ends: no
    server starts what asks one."""
    store, lock = Store(folder), Lock(folder / "iris" / "lock")
    for version, alias, model in (("1", "active", champion), ("2", "challenger", challenger)):
        store.point("iris", alias, Pointer(version, store.add("iris", model)))
    lock.take()


def tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
