"""Does the time of a refusal tell how near a guess was? python -m benchmarks.secrets_timing

Wrong API keys, one with the prefix of a key that exists and one with another, and wrong passwords, of a user
who exists and of nobody: each is refused many times, in random order, and Welch's t is asked whether the
means differ. Above 4.5, somebody who measures long enough learns something.
https://www.rambus.com/wp-content/uploads/2015/08/TVLA-DTR-with-AES.pdf"""

import random
import secrets
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter_ns

from scipy.stats import ttest_ind

from apps.service.access.accounts import Accounts

KEYS, PASSWORDS = 10_000, 200  # samples of each kind
LEAKS = 4.5


def sampled(calls: dict[str, Callable], count: int) -> dict[str, list[float]]:
    """Microseconds of `count` calls of each, in random order, without those that something else held up."""
    taken = {name: [] for name in calls}
    for name in random.sample([*calls] * count, len(calls) * count):
        begun = perf_counter_ns()
        calls[name]()
        taken[name].append((perf_counter_ns() - begun) / 1000)
    limit = sorted(sum(taken.values(), []))[int(len(calls) * count * 0.99)]
    return {name: [time for time in times if time <= limit] for name, times in taken.items()}


def told(title: str, taken: dict[str, list[float]]) -> bool:
    """Print what was found; whether it is below the line."""
    first, second = taken.values()
    t = ttest_ind(first, second, equal_var=False).statistic
    print(title)
    for name, times in taken.items():
        print(f"  {name:<28} median {median(times):>10,.1f} µs   samples {len(times):>6,}")
    print(f"  Welch's t {t:+.2f}: {'nothing to be learned' if abs(t) < LEAKS else 'THEY DIFFER'}")
    return abs(t) < LEAKS


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        accounts = Accounts(None, Path(folder))
        accounts.create_tables()
        accounts.add("alice", ["predict"])
        key, stored = accounts.add_key("alice", "", ["predict"])
        near = key[:-1] + ("a" if key[-1] != "a" else "b")
        far = f"sk_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
        keys = {
            "all but its last letter": lambda: accounts.key(near),
            "another one": lambda: accounts.key(far),
        }
        passwords = {
            "wrong, of a user": lambda: accounts.verified("alice", "wrong", "user"),
            "of nobody": lambda: accounts.verified("nobody", "wrong", "user"),
        }
        for call in (*keys.values(), *passwords.values()):
            call()
        fine = told("API keys that are refused", sampled(keys, KEYS))
        fine &= told("Passwords that are refused", sampled(passwords, PASSWORDS))
        accounts.close()
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
