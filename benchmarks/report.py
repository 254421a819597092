"""The results as a table, as JSON with all that is needed to believe them, and as a picture."""

import json
import math
import platform
import statistics
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from benchmarks.arena import Result
from benchmarks.environments import versions
from benchmarks.peers import ENVIRONMENT_OF
from benchmarks.typed import TYPED_ENVIRONMENTS

PACKAGES = (
    *("fastapi", "starlette", "uvicorn", "httptools", "uvloop", "flask", "werkzeug", "waitress", "granian"),
    *("pydantic", "msgspec", "onnxruntime", "scikit-learn", "structlog", "prometheus-client"),
)
COLORS = {"FastAPI": "#0072B2", "Flask": "#D55E00"}


def ratio(result: Result, results: list[Result]) -> float | None:
    """Its rate as a share of its framework's hello-world, in the same run at the same connections."""
    for other in results:
        if other.contender.name == result.contender.base and other.connections == result.connections:
            return result.rate / other.rate
    return None


def table(results: list[Result], absent: dict[str, str]) -> str:
    """Markdown, one row for each contender and number of connections."""
    lines = [
        "| server | connections | answers/s | of its hello | CPU µs | p50 ms | p99 ms | errors | MB "
        "| start s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        share = ratio(result, results)
        lines.append(
            f"| {result.contender.name} | {result.connections} | {result.rate:,.0f} | "
            f"{'' if share is None else f'{share:.0%}'} | {result.cost:.0f} | "
            f"{statistics.median(result.p50):.1f} | {statistics.median(result.p99):.1f} | "
            f"{result.errors} | {result.memory / 1e6:.0f} | {result.first:.1f} |"
        )
    lines += [f"| {name} | did not start | | | | | | | | |" for name in absent]
    return "\n".join(lines)


def conditions() -> dict:
    """The machine and the versions, without which no figure means anything."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": platform.system(),
        "processor": processor(),
        "cores": psutil.cpu_count(),
        "python": platform.python_version(),
        "versions": found,
    }


def processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def as_json(results: list[Result], absent: dict[str, str]) -> str:
    rows = [
        {
            "server": result.contender.name,
            "connections": result.connections,
            "answers_per_second": result.rates,
            "p50_ms": [None if math.isnan(value) else value for value in result.p50],
            "p99_ms": [None if math.isnan(value) else value for value in result.p99],
            "cpu_us": result.cpu,
            "errors": result.errors,
            "memory_bytes": result.memory,
            "first_answer_seconds": round(result.first, 2),
        }
        for result in results
    ]
    environment_of = ENVIRONMENT_OF | TYPED_ENVIRONMENTS
    peers = {environment_of.get(result.contender.name): None for result in results}
    found = {peer: versions(peer) for peer in peers if peer}
    everything = {**conditions(), "peers": found, "results": rows, "did_not_start": absent}
    return json.dumps(everything, indent=2) + "\n"


def plot(results: list[Result], path: Path) -> None:
    """Bars of answers in a second, each round a dot, at the smallest number of connections."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    fewest = min(result.connections for result in results)
    shown = [result for result in results if result.connections == fewest][::-1]
    figure, axes = plt.subplots(figsize=(8, 0.4 * len(shown) + 1.2), layout="constrained")
    for place, result in enumerate(shown):
        framework = result.contender.name.split()[0]
        hatch = "//" if framework == "Flask" else None
        axes.barh(place, result.rate, color=COLORS.get(framework, "#999999"), hatch=hatch, edgecolor="white")
        axes.plot(result.rates, [place] * len(result.rates), "k.", markersize=4)
    axes.set_yticks(range(len(shown)), [result.contender.name for result in shown])
    axes.set_ylim(-1, len(shown))
    axes.set_xlim(left=0)
    axes.set_xlabel(f"answers/s at {fewest} connections (dots: rounds)")
    figure.savefig(path, dpi=120)
    plt.close(figure)
