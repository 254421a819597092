import argparse
import asyncio
import json
import math
import selectors
import sys

from benchmarks.load import __doc__ as description
from benchmarks.load.generator import perform
from benchmarks.load.plan import LoadError, Plan, checked
from benchmarks.load.show import Show, ShowJson

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
    body = None if options.body is None else options.body.encode()
    figures = (options.rate, options.seconds, body, options.connections, options.timeout, options.arrivals)
    return Plan(checked(options.url), *figures), ShowJson() if options.json else Show()


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
