"""One palette and one style for every plot of the lessons.

The palette is Okabe and Ito's, which people with any kind of colour vision can tell apart
(https://jfly.uni-koeln.de/color/). Colour never carries a meaning alone: give each series its own marker,
dash or label as well, and each plot a caption.
"""

import io
from dataclasses import dataclass

import matplotlib.pyplot as plt
from IPython.display import Image, Markdown, display


@dataclass(frozen=True)
class Palette:
    fastapi: str = "#0072B2"
    flask: str = "#D55E00"
    good: str = "#009E73"
    third: str = "#CC79A7"
    warning: str = "#E69F00"
    sky: str = "#56B4E9"
    ink: str = "#1F2933"
    muted: str = "#5F6B7A"

    @property
    def series(self) -> tuple[str, ...]:
        """Colours for groups that have none of their own, in the order to use them."""
        return (self.fastapi, self.warning, self.good, self.third, self.flask, self.sky)


palette = Palette()
markers = ("o", "s", "^", "D", "v", "P")

STYLE = {
    "figure.facecolor": "white",
    "figure.figsize": (7.2, 3.8),
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "text.color": palette.ink,
    "axes.prop_cycle": plt.cycler(color=palette.series, marker=markers),
    "axes.edgecolor": palette.muted,
    "axes.labelcolor": palette.ink,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E7EB",
    "xtick.color": palette.muted,
    "ytick.color": palette.muted,
    "legend.frameon": False,
}
plt.rcParams.update(STYLE)


def figure(title: str = "", *, x: str = "", y: str = "", columns: int = 1, **kwargs):
    """A figure in the lessons' style with `columns` axes: (figure, axes). The rest goes to `subplots`."""
    drawn, axes = plt.subplots(1, columns, **kwargs)
    if columns == 1:
        axes.set(title=title, xlabel=x, ylabel=y)
    elif title:
        drawn.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return drawn, axes


def show(drawn, caption: str) -> None:
    """Display the figure with its caption as text, which a screen reader reads too, and close it."""
    png = io.BytesIO()
    drawn.savefig(png, format="png", metadata={"Software": None})
    plt.close(drawn)
    display(Image(png.getvalue(), alt="A plot; its caption follows."), Markdown(f"*{caption}*"))
