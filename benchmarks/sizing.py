"""How many cores, replicas and euros a rate of requests takes, from what was measured.

    python -m benchmarks.sizing                            the tables of docs/explanations/sizing.md
    python -m benchmarks.sizing --rate 250 --core-month 8 --log-share 0.01

Processor time is that of results/results.json and results/edge.json; prices are in prices.json, or yours."""

import argparse
import json
import math
import statistics
from dataclasses import dataclass, replace
from pathlib import Path

FOLDER = Path(__file__).parent
RATES = (10, 1_000, 100_000)
CONNECTIONS = 64  # at which the servers' figures were measured
SECONDS = 730 * 3600  # of a month
LINK = 1e9 / 8  # bytes a second of 1 Gbit/s
COMPOSE_LOG = 30e6  # bytes that docker-compose.yml keeps of each container
SERVERS = ("FastAPI full", "Flask full", "FastAPI full forest scikit-learn", "FastAPI naive forest async def")
KINDS = ("core_month", "log_gb", "egress_gb")


@dataclass(frozen=True)
class Measured:
    """What a request takes: µs of processor time, by part, and bytes."""

    servers: dict[str, float]
    kept: float  # µs of nginx, on a connection that is there already
    handshake: float  # µs of nginx besides, for a new one
    redis: float  # µs of Redis, which counts for the limits
    server_line: float  # bytes of a server's log
    proxy_line: float
    received: float  # bytes of the client's request, as nginx counts them
    sent: float


@dataclass(frozen=True)
class Plan:
    """What the reader decides."""

    zones: int = 3
    busy: float = 0.75  # of a core, at most, when one zone is gone
    new_connections: float = 0.1  # of requests
    log_share: float = 1.0  # of lines that are kept


def measured() -> Measured:
    found = json.loads((FOLDER / "results" / "results.json").read_text(encoding="utf-8"))["results"]
    rows = {row["server"]: row for row in found if row["connections"] == CONNECTIONS}
    around = json.loads((FOLDER / "results" / "edge.json").read_text(encoding="utf-8"))["figures"]
    cpu = {name: statistics.median(rows[name]["cpu_us"]) for name in SERVERS}
    guarded = {"FastAPI full, access and limits in Redis": around.pop("server")}
    return Measured({SERVERS[0]: cpu.pop(SERVERS[0])} | guarded | cpu, **around)


def quoted() -> dict[str, dict]:
    """Prices as they were found: euros, and where that is from."""
    found = json.loads((FOLDER / "prices.json").read_text(encoding="utf-8"))
    dollars = found.pop("euro_in_dollars")["value"]
    return {kind: {**one, "euros": one["dollars"] / dollars} for kind, one in found.items()}


def replicas(rate: float, us: float, plan: Plan) -> int:
    """Of one core each: as many in each zone, so that the others can do it all when one zone is gone."""
    left = max(plan.zones - 1, 1)
    return plan.zones * max(math.ceil(rate * us / 1e6 / (left * plan.busy)), 1)


def nginx_us(of: Measured, plan: Plan) -> float:
    return of.kept + plan.new_connections * of.handshake


def terabytes(rate: float, size: float) -> float:
    """A month of it."""
    return rate * SECONDS * size / 1e12


def euros(rate: float, of: Measured, plan: Plan, price: dict[str, float]) -> dict[str, float]:
    """A month at this rate, day and night: FastAPI's server, with nginx on the same machines."""
    return {
        "cores": replicas(rate, together(of, plan), plan) * price["core_month"],
        "log": terabytes(rate, line(of, plan)) * 1000 * price["log_gb"],
        "egress": terabytes(rate, of.sent) * 1000 * price["egress_gb"],
    }


def together(of: Measured, plan: Plan) -> float:
    """µs of a request in nginx and FastAPI's server."""
    return of.servers[SERVERS[0]] + nginx_us(of, plan)


def line(of: Measured, plan: Plan) -> float:
    """Bytes that both write of a request, and that are kept."""
    return (of.server_line + of.proxy_line) * plan.log_share


def arithmetic(rate: float, of: Measured, plan: Plan, price: dict[str, float]) -> str:
    us, busy = together(of, plan), rate * together(of, plan) / 1e6
    server, proxy = of.servers[SERVERS[0]], nginx_us(of, plan)
    each, left = replicas(rate, us, plan) // plan.zones, max(plan.zones - 1, 1)
    told = euros(rate, of, plan, price)
    return "\n".join(
        [
            f"cores   {rate:,}/s × ({server:.0f} + {proxy:.0f}) µs = {busy:.3g} busy",
            f"        {busy:.3g} ÷ ({left} zones left × {plan.busy:.0%}) = {busy / left / plan.busy:.3g},"
            f" so {each} a zone, {each * plan.zones} in all",
            f"        {each * plan.zones} × {price['core_month']:.2f} euros = {told['cores']:,.0f} euros",
            f"log     {rate:,}/s × {SECONDS:,} s × {line(of, plan):.0f} bytes"
            f" = {terabytes(rate, line(of, plan)):.3g} TB",
            f"        × {price['log_gb']:.3f} euros/GB = {told['log']:,.0f} euros",
            f"egress  {rate:,}/s × {SECONDS:,} s × {of.sent:.0f} bytes = {terabytes(rate, of.sent):.3g} TB",
            f"        × {price['egress_gb']:.3f} euros/GB = {told['egress']:,.0f} euros",
        ]
    )


def rows(head: list[str], body: list[list[str]]) -> str:
    """Markdown."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """Two digits that mean something, or all of those before the point."""
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}" if value >= 0.01 else "<0.01"


def share(value: float) -> str:
    return f"{value * 100:,.0f}%" if value >= 0.1 else f"{value * 100:.2g}%"


def costs(of: Measured, plan: Plan) -> str:
    """What a request costs each part, and so what one core of it does in a second."""
    parts = {f"{name}, a worker": us for name, us in of.servers.items()}
    parts["nginx, on a connection that is kept"] = of.kept
    parts["nginx, on a new connection"] = of.kept + of.handshake
    parts["Redis, counting for the limits"] = of.redis
    body = [[name, number(us), f"{1e6 / us:,.0f}"] for name, us in parts.items()]
    return rows(["part", "µs a request", "requests/s of one core"], body)


def servers(rates: list[float], of: Measured, plan: Plan) -> str:
    body = []
    for name, us in (of.servers | {"nginx": nginx_us(of, plan)}).items():
        told = [f"{replicas(rate, us, plan):,} ({number(rate * us / 1e6)})" for rate in rates]
        body.append([name, *told])
    return rows(["replicas (cores busy)", *(f"{rate:,}/s" for rate in rates)], body)


def limits(rates: list[float], of: Measured, plan: Plan) -> str:
    """How much of one of each a rate takes."""
    parts = {
        "one worker of FastAPI": of.servers["FastAPI full"] / 1e6,
        "one worker of Flask": of.servers["Flask full"] / 1e6,
        "one core of nginx": nginx_us(of, plan) / 1e6,
        "one Redis": of.redis / 1e6,
        "a link of 1 Gbit/s": max(of.sent, of.received) / LINK,
    }
    body = [[name, *(share(rate * one) for rate in rates)] for name, one in parts.items()]
    body.append(["log of the servers, MB/s", *(number(rate * of.server_line / 1e6) for rate in rates)])
    body.append(["30 MB of it last", *(lasting(COMPOSE_LOG / (rate * of.server_line)) for rate in rates)])
    return rows(["one of", *(f"{rate:,}/s" for rate in rates)], body)


def lasting(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.1f} minutes" if seconds >= 120 else f"{number(seconds)} seconds"


def money(rates: list[float], of: Measured, plan: Plan, price: dict[str, float]) -> str:
    told = [euros(rate, of, plan, price) for rate in rates]
    body = [[part, *(f"{one[part]:,.0f}" for one in told)] for part in told[0]]
    body.append(["in all", *(f"{sum(one.values()):,.0f}" for one in told)])
    hundredth = [sum(euros(rate, of, replace(plan, log_share=0.01), price).values()) for rate in rates]
    body.append(["in all, with 1 line in 100", *(f"{one:,.0f}" for one in hundredth)])
    return rows(["euros a month", *(f"{rate:,}/s" for rate in rates)], body)


def waiting() -> str:
    """The 99th percentile of M/M/1, in service times: ln(100) / (1 - busy)."""
    body = [[share(busy), f"{math.log(100) / (1 - busy):.0f}"] for busy in (0.5, 0.75, 0.9, 0.95, 0.99)]
    return rows(["a core is busy", "p99, in service times"], body)


def sources() -> str:
    names = {"core_month": "a core for a month", "log_gb": "a GB of log", "egress_gb": "a GB that is sent"}
    told = [(f"{names[kind]}: {one['euros']:.3g}", one) for kind, one in quoted().items()]
    return "\n".join(f"- {text} euros ([{one['from']}]({one['source']}))" for text, one in told)


def tables(rates: list[float], of: Measured, plan: Plan, price: dict[str, float]) -> list[str]:
    return [
        costs(of, plan),
        waiting(),
        servers(rates, of, plan),
        arithmetic(max(rates), of, plan, price),
        money(rates, of, plan, price),
        limits(rates, of, plan),
    ]


def at_least(lowest: float, highest: float = math.inf):
    def read(text: str) -> float:
        value = float(text)
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"expected {lowest:g} to {highest:g}, got {text}")
        return int(value) if value == int(value) else value

    return read


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__.split("\n")[0])
    plan = Plan()
    add = parser.add_argument
    add("--rate", type=at_least(0.1), action="append", help="requests a second; again for another")
    add("--zones", type=at_least(1, 9), default=plan.zones, help="of which one may be gone (default: 3)")
    add("--busy", type=at_least(0.1, 0.95), default=plan.busy, help="of a core then (default: 0.75)")
    add("--new-connections", type=at_least(0, 1), default=plan.new_connections, help="of requests (0.1)")
    add("--log-share", type=at_least(0, 1), default=plan.log_share, help="of lines that are kept (1)")
    add("--more-us", type=at_least(0), default=0, help="µs that each server takes besides (0)")
    for kind, one in quoted().items():
        name = f"--{kind.replace('_', '-')}"
        add(name, type=at_least(0), default=one["euros"], help=f"euros (default: {one['euros']:.3g})")
    options = parser.parse_args(argv)
    chosen = Plan(options.zones, options.busy, options.new_connections, options.log_share)
    price = {kind: getattr(options, kind) for kind in KINDS}
    of = measured()
    of = replace(of, servers={name: us + options.more_us for name, us in of.servers.items()})
    print("\n\n".join(tables(options.rate or list(RATES), of, chosen, price)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
