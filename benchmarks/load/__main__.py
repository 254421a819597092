import argparse
import asyncio
import json
import math
import re
import selectors
import sys
from collections.abc import Iterable

from benchmarks.load import __doc__ as description
from benchmarks.load.generator import perform
from benchmarks.load.plan import LoadError, Plan, checked
from benchmarks.load.show import Show, ShowJson

HEADER = re.compile(r"[A-Za-z0-9-]+: [\x20-\x7e]+", re.ASCII).fullmatch
MOST_CONNECTIONS = 500  # more than select() can watch everywhere


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise LoadError(f"{message} (--help lists the arguments)")


def positive(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError(text)
    return number


def plan_from(argv: list[str] | None) -> tuple[Plan, Show]:
    """Raises LoadError."""
    parser = Parser(prog="python -m benchmarks.load", description=description.partition(":")[0])
    parser.add_argument("url", help="http://127.0.0.1:8000/predict, say")
    parser.add_argument("--rate", type=positive, required=True, help="requests due in each second")
    parser.add_argument("--seconds", type=positive, required=True)
    parser.add_argument("--body", help="JSON to POST; without it, a GET")
    parser.add_argument(
        "--headers-stdin",
        action="store_true",
        help="read more headers, a line each, from standard input: credentials, which arguments would show",
    )
    parser.add_argument("--connections", type=int, default=64, help="at once, at most (default: 64)")
    parser.add_argument("--timeout", type=positive, default=10, help="seconds for each (default: 10)")
    parser.add_argument("--arrivals", choices=("constant", "poisson"), default="constant")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, four times a second")
    options = parser.parse_args(argv)
    if not 1 <= options.connections <= MOST_CONNECTIONS:
        raise LoadError(f"expected 1 to {MOST_CONNECTIONS} in --connections, got {options.connections}")
    if options.body is not None:
        try:
            json.loads(options.body.encode())
        except (ValueError, RecursionError):
            raise LoadError(
                "expected JSON in --body; a shell may have eaten its quotes: in bash put it in '…', in "
                'PowerShell 5 write each " in it as \\"'
            ) from None
    headers = headers_in(sys.stdin) if options.headers_stdin else ()
    body = None if options.body is None else options.body.encode()
    figures = (options.rate, options.seconds, body, options.connections, options.timeout, options.arrivals)
    return Plan(checked(options.url), *figures, headers), ShowJson() if options.json else Show()


def headers_in(lines: Iterable[str]) -> tuple[str, ...]:
    """Raises LoadError, which does not repeat what it read."""
    found = tuple(line.strip() for line in lines if line.strip())
    if not all(HEADER(line) for line in found):
        raise LoadError("expected headers on standard input, such as X-API-Key: sk_..., a line each")
    return found


def main(argv: list[str] | None = None) -> int:
    show = ShowJson() if "--json" in (sys.argv if argv is None else argv) else Show()
    try:
        plan, show = plan_from(argv)
        # select() wakes at the microsecond; epoll, the loop's own choice, rounds up to the millisecond.
        with asyncio.Runner(loop_factory=selecting_loop) as runner:
            show.result(runner.run(perform(plan, show.progress)))
    except LoadError as error:
        show.error(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def selecting_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    raise SystemExit(main())
