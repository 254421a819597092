"""The chart of an explanation. Beside it are its figures in words and in a table."""

import altair
import pandas

from ui.charts import CLASS_COLOURS, MOST_BARS, ink, is_dark
from ui.explanation import Explanation

MOST_LETTERS = 26  # of a feature's name with its value
SAME = "\u200b"  # nothing to be seen, so that two features whose names look alike are two bars


def bars(explanation: Explanation) -> altair.LayerChart:
    """A bar for each feature, the largest first: to the right where it raised the answer, to the left where
    it lowered it, with its figure at the end and its standard error as a thin line."""
    parts, rest = explanation.parts[:MOST_BARS], explanation.parts[MOST_BARS:]
    rows = [
        (short(part.name) + SAME * index, part.contribution, part.error) for index, part in enumerate(parts)
    ]
    if rest:
        rows.append((f"{len(rest)} others together", sum(part.contribution for part in rest), 0.0))
    frame = pandas.DataFrame(rows, columns=["feature", "contribution", "error"])
    frame["from"], frame["to"] = (
        frame["contribution"] - frame["error"],
        frame["contribution"] + frame["error"],
    )
    frame["text"] = [explanation.signed(value) for value in frame["contribution"]]
    low, high = min(0.0, frame["from"].min()), max(0.0, frame["to"].max())
    margin = (high - low) * 0.24 or 1.0
    raised = frame["contribution"] >= 0
    domain = [low - (0 if raised.all() else margin), high + (margin if raised.any() else 0)]
    axis = altair.Axis(labelLimit=190, labelFontSize=13, labelColor=ink(), ticks=False, domain=False)
    colour_up, colour_down = CLASS_COLOURS["dark" if is_dark() else "light"][:2]
    tips = [
        "feature:N",
        altair.Tooltip("contribution:Q", format="+.4~g"),
        altair.Tooltip("error:Q", format=".2~g"),
    ]
    base = altair.Chart(frame).encode(y=altair.Y("feature:N", sort=None, title=None, axis=axis), tooltip=tips)
    x = altair.X("contribution:Q", scale=altair.Scale(domain=domain, nice=False), axis=None)
    up = altair.condition("datum.contribution >= 0", altair.value(colour_up), altair.value(colour_down))
    layers = [base.mark_bar(cornerRadiusEnd=3, height=16).encode(x=x, color=up)]
    layers.append(base.mark_rule(color=ink(), strokeWidth=1.5).encode(x="from:Q", x2="to:Q"))
    zero = altair.Chart(pandas.DataFrame([{"zero": 0.0}]))
    layers.append(zero.mark_rule(color=ink(), strokeWidth=1).encode(x="zero:Q"))
    for align, dx, test, end in (("left", 5, ">= 0", "to:Q"), ("right", -5, "< 0", "from:Q")):
        label = base.transform_filter(f"datum.contribution {test}")
        layers.append(
            label.mark_text(align=align, dx=dx, fontSize=13, color=ink()).encode(x=end, text="text:N")
        )
    chart = altair.layer(*layers).properties(height=altair.Step(28))
    return chart.configure(background="transparent").configure_view(strokeWidth=0)


def short(name: str, most: int = MOST_LETTERS) -> str:
    """The beginning of a name and its end, where its value is."""
    return name if len(name) <= most else f"{name[: most - 11]}…{name[-10:]}"
