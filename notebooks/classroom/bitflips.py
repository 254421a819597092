"""What becomes of a model file when one of its bits is wrong: `bitflips(folder, "joblib", flips=300)`.

Damaged bytes are tried in a process of their own, because a library that reads them may do anything: raise,
answer, ask for all the memory there is, or take its process down.
"""

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUTCOMES = ("an error", "same answers", "OTHER ANSWERS", "process dies")


def bitflips(folder: Path, format: str, flips: int, seed: int = 7) -> Counter:
    """How many of `flips` files, each with one bit changed at random, met which of the OUTCOMES.

    "Other answers" means another class, or a probability more than 0.001 away, for any golden row."""
    outcomes = Counter(dict.fromkeys(OUTCOMES, 0))
    done = 0
    while done < flips:
        seen = _try_until_it_dies(folder, format, flips, seed, done)
        outcomes.update(seen)
        done += len(seen)
        if done < flips:
            outcomes[OUTCOMES[3]] += 1
            done += 1
    return outcomes


def _try_until_it_dies(folder: Path, format: str, flips: int, seed: int, first: int) -> list[str]:
    command = [sys.executable, "-m", "notebooks.classroom.bitflips", str(folder), format]
    command += [str(number) for number in (flips, seed, first)]
    try:
        output = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=60
        ).stdout
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode("utf-8")
    return [line for line in output.splitlines() if line in OUTCOMES]


def _try_each(folder: Path, format: str, flips: int, seed: int, first: int) -> None:
    """Print the outcome of each flip from number `first` on, a line each."""
    import warnings

    from model_training.artifact import READERS, GoldenRowsError, check_golden_rows
    from model_training.card import read_card

    warnings.simplefilter("ignore")
    card = read_card(folder / "card.json")
    data = (folder / card.files[format].file).read_bytes()
    chance = random.Random(seed)
    bits = [chance.randrange(len(data) * 8) for _ in range(flips)]
    for bit in bits[first:]:
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << (bit % 8)
        try:
            predict = READERS[format](bytes(damaged), card)
            check_golden_rows(card, predict)
            outcome = OUTCOMES[1]
        except GoldenRowsError:
            outcome = OUTCOMES[2]
        except Exception:
            outcome = OUTCOMES[0]
        print(outcome, flush=True)


if __name__ == "__main__":
    _try_each(Path(sys.argv[1]), sys.argv[2], *(int(number) for number in sys.argv[3:]))
