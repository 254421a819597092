"""Hold a model to what must be true before it is shipped: python -m model_training.checks iris

Its quality on rows that it has not seen, what must not change its answer, what must move it one way, its
speed, and its files. `expectations.py` says what is expected; `python kit.py check iris` also serves it.

After M. T. Ribeiro and others, Beyond Accuracy: Behavioral Testing of NLP Models with CheckList (2020), whose
invariance and directional tests these are, and E. Breck and others, The ML Test Score: A Rubric for ML
Production Readiness and Technical Debt Reduction (2017)."""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score

from model_training.artifact import ArtifactError, LoadedModel, load, load_path
from model_training.card import Card, CardError, read_card
from model_training.checks import held_out, verdict
from model_training.checks.behaviour import direction, golden_rows, invariances, latency
from model_training.checks.expectations import EXPECTATIONS, Expectations
from model_training.checks.held_out import HeldOut, HeldOutError
from model_training.checks.verdict import Check
from model_training.export import PROJECT
from model_training.registry.registry import Registry
from model_training.registry.tracking_server import SQLITE, RegistryError, quiet, tracking_uri

METRICS = {  # name -> how it is computed, and whether more is better
    "classification": {"accuracy": (accuracy_score, True)},
    "regression": {"r2": (r2_score, True), "mean absolute error": (mean_absolute_error, False)},
    "outlier detection": {},
}
Serving = Callable[[Path, Card], Iterator[Check]]  # serves the folder, and checks what comes back


def check(folder: Path, rules: Expectations, rows: HeldOut | None, champion: dict[str, float]) -> list[Check]:
    """Everything that can be checked without a server; `champion` is its metrics, if there is one. Raises
    CardError where there is no card to go by."""
    card = read_card(folder / "card.json")
    checks = list(files(folder, card))
    if not all(found.passed for found in checks):
        return checks  # none of the bytes are to be run
    model = load_path(folder)
    sample = golden_rows(card) if rows is None else rows.rows
    if rows is not None:
        checks += quality(model, rows, rules)
    checks += against_champion(card, champion, rules)
    checks += invariances(model, sample, rules)
    checks += [direction(model, sample, one, rules) for one in rules.directions]
    checks.append(latency(model, rules))
    return checks


def files(folder: Path, card: Card) -> Iterator[Check]:
    """Each of the card's files has the bytes of its hash, and answers the golden rows."""
    for format, file in card.files.items():
        try:
            load(folder, format)
            found = "as expected"
        except ArtifactError as error:
            found = f"{type(error).__name__}: {error}"
        expected = "the card's hash, and its answers to the golden rows"
        yield Check("files", file.file, expected, found, found == "as expected")


def quality(model: LoadedModel, held_out: HeldOut, rules: Expectations) -> Iterator[Check]:
    """Each metric on rows that the model has not seen: within its bound, and better than the baseline's."""
    predictions, _ = model.predict(held_out.rows)
    for name, (metric, more_is_better) in METRICS[model.card.task].items():
        found, baseline = metric(held_out.truth, predictions), metric(held_out.truth, held_out.guesses)
        better = found > baseline if more_is_better else found < baseline
        what = f"{name} on {len(held_out.truth)} held-out rows"
        words = "above" if more_is_better else "below"
        yield Check("quality", what, f"{words} the baseline's {baseline:.3f}", f"{found:.3f}", bool(better))
        if (least := rules.at_least.get(name)) is not None:
            yield Check("quality", what, f"at least {least:g}", f"{found:.3f}", bool(found >= least))
        if (most := rules.at_most.get(name)) is not None:
            yield Check("quality", what, f"at most {most:g}", f"{found:.3f}", bool(found <= most))


def against_champion(card: Card, champion: dict[str, float], rules: Expectations) -> Iterator[Check]:
    """What the card says of the test rows is not far behind what the champion's card says."""
    for name in card.metrics.keys() & champion.keys() & METRICS[card.task].keys():
        found, theirs, allowed = card.metrics[name].test, champion[name], rules.margin * abs(champion[name])
        if METRICS[card.task][name][1]:
            bound, passed = f"at least {theirs - allowed:.3f}", found >= theirs - allowed
        else:
            bound, passed = f"at most {theirs + allowed:.3f}", found <= theirs + allowed
        expected = f"{bound}: within {rules.margin:.0%} of the champion's {theirs:.3f}"
        yield Check("champion", f"{name} in the card", expected, f"{found:.3f}", passed)


def champion_of(name: str) -> dict[str, float]:
    """The metrics of the registry's champion; none where there is no registry, or no champion in it. Raises
    RegistryError."""
    uri = tracking_uri()
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists():
        return {}  # to ask would make one
    quiet()
    champion = Registry().resolve(name, "champion")
    return champion.metrics if champion else {}


def main(argv: list[str] | None = None, serving: Serving | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model_training.checks", description=__doc__.split(":")[0]
    )
    parser.add_argument("name", help="of the folder below models/, such as iris")
    parser.add_argument(
        "--data", type=Path, help="a CSV file of rows that the model has not seen, with the true answers"
    )
    parser.add_argument("--target", help="the column of the true answers (default: the card's target)")
    parser.add_argument("--report", type=Path, help="a folder for NAME.json and NAME.md, which say the same")
    parser.add_argument("--root", type=Path, default=PROJECT, help="where models/ is (default: the project)")
    options = parser.parse_args(argv)
    folder = options.root / "models" / options.name
    try:
        card = read_card(folder / "card.json")
        rows = (
            held_out.of_table(options.data, card, options.target)
            if options.data
            else held_out.of_dataset(card)
        )
        rules = EXPECTATIONS.get(options.name, Expectations())
        checks = check(folder, rules, rows, champion_of(options.name))
    except (CardError, ArtifactError, HeldOutError, RegistryError, OSError) as error:
        print(f"check: {error}", file=sys.stderr)
        return 1
    if serving and all(one.passed for one in checks if one.kind == "files"):
        checks += serving(folder, card)
    print(f"{card.name} {card.version}: {card.title}\n\n{verdict.table(checks)}\n")
    if rows is None:
        print("Its quality was not looked at: no rows that it has not seen are known. Give some with --data.")
    if options.report:
        verdict.write(options.report, card, checks)
    failed = [one for one in checks if not one.passed]
    for one in failed:
        print(f"check: {one.kind}: {one.what}: expected {one.expected}, found {one.found}", file=sys.stderr)
    print(f"{options.name}: {verdict.summary(checks)}.")
    return 1 if failed else 0
