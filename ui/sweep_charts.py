"""The charts of what is answered when one feature takes other values. Beside each are its figures."""

import altair
import pandas

from ui.charts import CLASS_COLOURS, CLASS_DASHES, colour_of, ink, is_dark
from ui.prediction import number, percent, shown, value_words
from ui.what_if import Sweep

LEAST_NAMED = 0.22  # of a bar, in which the name of a class has room


def along(sweep: Sweep) -> altair.LayerChart:
    """The probability of each class, or the value, along one feature. The values of its training are shaded,
    and an upright line is at the value that was entered."""
    values, feature = sweep.values, sweep.feature
    domain = [values[0], values[-1]]
    unit = f" ({feature.unit})" if feature.unit else ""
    x = altair.X(
        "value:Q", title=shown(feature.name) + unit, scale=altair.Scale(domain=domain, nice=False, clamp=True)
    )
    entered, layers = sweep.row[sweep.position], []
    if feature.observed:
        low, high = (min(max(bound, domain[0]), domain[1]) for bound in feature.observed)
        band = altair.Chart(pandas.DataFrame([{"value": low, "end": high}]))
        layers.append(band.mark_rect(color=ink(), opacity=0.09).encode(x=x, x2="end:Q"))
    if entered is not None:
        now = altair.Chart(pandas.DataFrame([{"value": min(max(entered, domain[0]), domain[1])}]))
        layers.append(now.mark_rule(color=ink(), strokeWidth=1.5, strokeDash=[1, 3]).encode(x=x))
    if sweep.classes:
        layers += chances(sweep, x)
    else:
        frame = pandas.DataFrame({"value": values, "answer": sweep.numbers})
        y = altair.Y("answer:Q", title=None, scale=altair.Scale(zero=False), axis=altair.Axis(tickCount=5))
        tips = [altair.Tooltip("value:Q", format=".4~g"), altair.Tooltip("answer:Q", format=".4~g")]
        line = altair.Chart(frame).mark_line(strokeWidth=2.5, color=colour_of(sweep.server))
        layers.append(line.encode(x=x, y=y, tooltip=tips))
    return altair.layer(*layers).properties(height=280).configure(background="transparent")


def chances(sweep: Sweep, x: altair.X) -> list[altair.Chart]:
    """A line for each class, with its name at its highest point."""
    names = sweep.classes
    rows = [
        {"value": value, "class": shown(name), "probability": dict(prediction.probabilities)[name]}
        for value, prediction in zip(sweep.values, sweep.predictions, strict=True)
        for name in names
    ]
    frame = pandas.DataFrame(rows)
    peaks = frame.loc[frame.groupby("class", sort=False)["probability"].idxmax()].copy()
    middle = (sweep.values[0] + sweep.values[-1]) / 2
    domain = [shown(name) for name in names]
    palette = CLASS_COLOURS["dark" if is_dark() else "light"]
    y = altair.Y("probability:Q", title=None, scale=altair.Scale(domain=[0, 1.12]))
    y = y.axis(altair.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]))
    colour = altair.Color("class:N", scale=altair.Scale(domain=domain, range=palette), legend=None)
    dash = altair.StrokeDash("class:N", scale=altair.Scale(domain=domain, range=CLASS_DASHES), legend=None)
    tips = [
        "class:N",
        altair.Tooltip("value:Q", format=".4~g"),
        altair.Tooltip("probability:Q", format=".1%"),
    ]
    lines = altair.Chart(frame).mark_line(strokeWidth=2.5)
    written = [lines.encode(x=x, y=y, color=colour, strokeDash=dash, tooltip=tips)]
    for align, part in (("left", peaks[peaks["value"] <= middle]), ("right", peaks[peaks["value"] > middle])):
        label = altair.Chart(part).mark_text(align=align, dy=-10, fontSize=13, fontWeight=600)
        written.append(label.encode(x=x, y=y, color=colour, text="class:N"))
    return written


def by_category(sweep: Sweep) -> altair.LayerChart:
    """A bar for each category: the probabilities of the classes, each with its name in its part of the bar;
    or the value, with the figure at its end."""
    axis = altair.Axis(labelLimit=140, labelFontSize=13, labelColor=ink(), ticks=False, domain=False)
    y = altair.Y("category:N", sort=None, title=None, axis=axis)
    layers = shares(sweep, y) if sweep.classes else values(sweep, y)
    chart = altair.layer(*layers).properties(height=altair.Step(36))
    return chart.configure(background="transparent").configure_view(strokeWidth=0)


def shares(sweep: Sweep, y: altair.Y) -> list[altair.Chart]:
    rows = []
    for value, prediction in zip(sweep.values, sweep.predictions, strict=True):
        chances, start = dict(prediction.probabilities), 0.0
        for name in sweep.classes:
            end = start + chances[name]
            text = f"{shown(name)[:14]} {percent(chances[name])}" if chances[name] >= LEAST_NAMED else ""
            rows.append((value_words(value), shown(name), chances[name], start, end, (start + end) / 2, text))
            start = end
    columns = ["category", "class", "probability", "start", "end", "middle", "text"]
    base = altair.Chart(pandas.DataFrame(rows, columns=columns)).encode(y=y)
    palette = CLASS_COLOURS["dark" if is_dark() else "light"]
    scale = altair.Scale(domain=[shown(name) for name in sweep.classes], range=palette)
    x = altair.X("start:Q", scale=altair.Scale(domain=[0, 1], nice=False), axis=None)
    tips = ["category:N", "class:N", altair.Tooltip("probability:Q", format=".1%")]
    edge = "#1a2129" if is_dark() else "#ffffff"
    bars = base.mark_bar(height=24, stroke=edge).encode(
        x=x, x2="end:Q", color=altair.Color("class:N", scale=scale, legend=None), tooltip=tips
    )
    names = base.mark_text(fontSize=12, fontWeight=600, color=edge).encode(x="middle:Q", text="text:N")
    return [bars, names]


def values(sweep: Sweep, y: altair.Y) -> list[altair.Chart]:
    rows = zip(map(value_words, sweep.values), sweep.numbers, map(number, sweep.numbers), strict=True)
    frame = pandas.DataFrame(rows, columns=["category", "answer", "text"])
    least, most = min(0.0, frame["answer"].min()), max(0.0, frame["answer"].max())
    domain = [least * 1.2, (most or 1.0) * 1.2]
    base = altair.Chart(frame).encode(
        y=y,
        x=altair.X("answer:Q", scale=altair.Scale(domain=domain, nice=False), axis=None),
        tooltip=["category:N", altair.Tooltip("answer:Q", format=".4~g")],
    )
    bars = base.mark_bar(color=colour_of(sweep.server), height=20)
    return [bars, base.mark_text(align="left", dx=6, fontSize=13, color=ink()).encode(text="text:N")]
