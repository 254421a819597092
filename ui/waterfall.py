"""One request, step by step: what the page saw of it, and what the server says of it in Server-Timing.

https://www.w3.org/TR/server-timing/"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter

import altair
import pandas

from ui.charts import colour_of, ink
from ui.servers import Server

TOKEN, QUOTED = r"[\w!#$%&'*+.^`|~-]+", r'"(?:[^"\\]|\\.)*"'
METRIC = re.compile(rf"\s*({TOKEN})((?:\s*;\s*{TOKEN}(?:\s*=\s*(?:{QUOTED}|[^\s\",;]+))?)*)\s*(?:,|$)")
DURATION = re.compile(r";\s*dur\s*=\s*([0-9.]{1,20})", re.IGNORECASE | re.ASCII)
LONGEST = 3_600_000  # ms; whatever says more was not measured
WIDER = 1.22  # than its bars is a chart: their figures stand at their ends
SERVERS = {  # a server's phases by their names in the header, and as the page calls them, in their order
    "receive": "received",
    "queue": "taken up",
    "validate": "validated",
    "wait": "waited",
    "predict": "predicted",
    "encode": "encoded",
}
CONNECTED, SENT, ANSWERED, BACK = "connected", "sent", "answered", "sent back"


@dataclass(frozen=True)
class Step:
    """What was done from `start` to `end`, in milliseconds since the page began to send. `by`: the server, or
    the page."""

    name: str
    start: float
    end: float
    by: str

    @property
    def milliseconds(self) -> float:
        return self.end - self.start


@dataclass
class Clock:
    """The page's own times of one request, in seconds, by what httpx calls them."""

    times: dict[str, float] = field(default_factory=dict)

    def __call__(self, event: str, _: dict) -> None:
        name = event.partition(".")[2]
        if name == "send_request_headers.started" and "receive_response_body.complete" in self.times:
            self.times.clear()  # a minimal server is asked twice: the second time counts
        self.times[name] = perf_counter()


def timing(headers: Mapping[str, str]) -> dict[str, float]:
    """The milliseconds in the header Server-Timing, by name; empty where there is none that can be read."""
    found = {}
    for metric in METRIC.finditer(headers.get("server-timing", "")[:4000]):
        duration = DURATION.search(re.sub(QUOTED, '""', metric[2]))
        try:
            milliseconds = float(duration[1]) if duration else math.nan
        except ValueError:
            continue
        if 0 <= milliseconds < LONGEST:
            found[metric[1]] = milliseconds
    return found


def steps(clock: Clock, headers: Mapping[str, str], server: Server) -> list[Step]:
    """A request's steps in their order. Without Server-Timing, what the server did is one.

    Two processes have two clocks. Of the time between sending and the answer's head that the server does not
    account for, half is taken to have passed before it began and half after.
    """
    times = clock.times
    first = times.get("connect_tcp.started", times["send_request_headers.started"])
    at = {event: (moment - first) * 1000 for event, moment in times.items()}
    begun, sent = at["send_request_headers.started"], at["send_request_body.complete"]
    head, end = at["receive_response_headers.complete"], at["receive_response_body.complete"]
    found = [Step(CONNECTED, 0, at["connect_tcp.complete"], "page")] if "connect_tcp.complete" in at else []
    found.append(Step(SENT, begun, sent, "page"))
    told = timing(headers)
    if "total" not in told:
        return [*found, Step(ANSWERED, sent, head, server.name), Step(BACK, head, end, "page")]
    now = begun + max(0, head - begun - told["total"]) / 2
    over = now + told["total"]
    for phase, name in SERVERS.items():
        if phase in told:
            found.append(Step(name, now, now + told[phase], server.name))
            now += told[phase]
    if now < over and "encode" not in told:  # a request that was refused, or asked for something else
        found.append(Step(ANSWERED, now, over, server.name))
        now = over
    return [*found, Step(BACK, now, max(now, end), "both")]


def figure(milliseconds: float) -> str:
    """To two decimals: the clock knows more, and no two requests agree in it."""
    return f"{milliseconds:.2f}" if milliseconds >= 0.01 or milliseconds == 0 else "under 0.01"


def chart(found: list[Step], server: Server, end: float) -> altair.LayerChart:
    """A bar for each step, one below the other, from its start to its end; `end`: that of the axis, in ms.
    What the page did is hollow, what the server did filled."""
    colour = colour_of(server)
    frame = pandas.DataFrame(
        {
            "step": [step.name for step in found],
            "start": [step.start for step in found],
            "end": [step.end for step in found],
            "by": [step.by for step in found],
            "filled": [0.15 if step.by == "page" else 0.55 if step.by == "both" else 1 for step in found],
            "ink": [ink() if step.by == "page" else colour for step in found],
            "text": [f"{figure(step.milliseconds)} ms" for step in found],
        }
    )
    axis = altair.Axis(labelLimit=110, labelFontSize=13, labelColor=ink(), ticks=False, domain=False)
    base = altair.Chart(frame).encode(y=altair.Y("step:N", sort=None, title=None, axis=axis))
    x = altair.X(
        "start:Q",
        title="milliseconds since the page began to send",
        scale=altair.Scale(domain=[0, end * WIDER], nice=False),
        axis=altair.Axis(tickCount=5, grid=True),
    )
    colour = altair.Color("ink:N", scale=None)
    tooltip = ["step:N", "by:N", *(altair.Tooltip(f"{name}:Q", format=".3f") for name in ("start", "end"))]
    bars = base.mark_bar(height=16, strokeWidth=1.5).encode(
        x=x,
        x2="end:Q",
        color=colour,
        stroke=altair.Stroke("ink:N", scale=None),
        fillOpacity=altair.FillOpacity("filled:Q", scale=None),
        tooltip=tooltip,
    )
    texts = base.mark_text(align="left", dx=6, fontSize=12, color=ink()).encode(x="end:Q", text="text:N")
    return (
        (bars + texts)
        .properties(height=altair.Step(26))
        .configure(background="transparent")
        .configure_view(strokeWidth=0)
    )
