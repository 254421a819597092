"""Euros a month over requests a second, drawn as the book draws: python -m benchmarks.sizing_picture"""

import math
from pathlib import Path

from benchmarks.sizing import KINDS, Plan, euros, measured, quoted

FILE = Path(__file__).resolve().parents[1] / "docs" / "explanations" / "sizing.svg"
DECADES = 5  # of both axes, from 1
LEFT, TOP, WIDTH, HEIGHT = 70, 16, 320, 270
PARTS = {"cores": ("#0072B2", ""), "log": ("#D55E00", "7 4"), "egress": ("#009E73", "2 3")}
STEPS = 50  # in which a line is drawn


def picture() -> str:
    of, plan, price = measured(), Plan(), {kind: quoted()[kind]["euros"] for kind in KINDS}
    rates = [10 ** (DECADES * step / STEPS) for step in range(STEPS + 1)]
    told = [euros(rate, of, plan, price) for rate in rates]
    lines = [
        '<svg class="drawing" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 340" role="img" '
        'aria-labelledby="sizing-title sizing-desc">',
        '<title id="sizing-title">Euros a month over requests a second</title>',
        '<desc id="sizing-desc">Cores cost the same up to thousands of requests a second. Log and egress '
        "cost as much more as there are more requests: the log is dearer than the cores from about "
        f"{crossing(rates, told, 'log'):,} requests a second on, egress from about "
        f"{crossing(rates, told, 'egress'):,}.</desc>",
    ]
    for decade in range(DECADES + 1):
        value = f"{10**decade:,}"
        lines += [
            f'<path class="arrow" stroke-opacity="0.25" d="M{across(10**decade)} {TOP}v{HEIGHT}"/>',
            f'<path class="arrow" stroke-opacity="0.25" d="M{LEFT} {up(10**decade)}h{WIDTH}"/>',
            f'<text class="small" x="{across(10**decade)}" y="{TOP + HEIGHT + 18}" text-anchor="middle">'
            f"{value}</text>",
            f'<text class="small" x="{LEFT - 8}" y="{up(10**decade) + 4}" text-anchor="end">{value}</text>',
        ]
    for part, (color, dash) in PARTS.items():
        points = [
            (across(rate), up(one[part])) for rate, one in zip(rates, told, strict=True) if one[part] >= 1
        ]
        path = "L".join(f"{x} {y}" for x, y in points)
        lines += [
            f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2.5" stroke-dasharray="{dash}"/>',
            f'<text class="name" x="{points[-1][0] + 8}" y="{points[-1][1] + 5}">{part}</text>',
        ]
    middle = LEFT + WIDTH / 2
    lines.append(
        f'<text x="{middle:g}" y="{TOP + HEIGHT + 42}" text-anchor="middle">requests a second</text>'
    )
    return "\n".join([*lines, "</svg>\n"])


def across(rate: float) -> float:
    return round(LEFT + WIDTH * math.log10(rate) / DECADES, 1)


def up(amount: float) -> float:
    return round(TOP + HEIGHT * (1 - math.log10(amount) / DECADES), 1)


def crossing(rates: list[float], told: list[dict[str, float]], part: str) -> int:
    """From where on it is dearer than the cores, in one digit."""
    found = next(rate for rate, one in zip(rates, told, strict=True) if one[part] > one["cores"])
    return int(float(f"{found:.0e}"))


if __name__ == "__main__":
    FILE.write_text(picture(), encoding="utf-8")
