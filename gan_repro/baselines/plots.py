"""The figures that the notebooks of the other models share."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from gan_repro.curve import OFF, distance_to_curve, on_curve, share_covered
from gan_repro.figures import COLOURS, LINES

STYLES = ("-", "--", "-.", ":")  # of the seeds, so that colour is not needed
FORGOTTEN = 0.1  # ours: an autocorrelation below this counts as none


MINIMISED = {  # by their names in a history
    "reconstruction_error": "mean squared error",
    "loss": "loss (nats an input)",
    "cross_entropy": "cross entropy (nats a pixel)",
    "negative_elbo": "minus the bound (nats)",
}


def plot_fit(records: Sequence[dict[str, Any]], axes: Sequence[Axes], minimised: str) -> Sequence[Axes]:
    """Histories of a model's seeds: what was minimised (of MINIMISED) on axes[0], the validation scores on axes[1]."""
    for record, line in zip(records, itertools.cycle(STYLES), strict=False):
        history = record["history"]
        epochs = [row["epoch"] for row in history]
        label = f"seed {record['seed']}"
        axes[0].plot(epochs, [row[minimised] for row in history], label=label, linestyle=line, linewidth=1.3)
        scored = [row for row in history if "validation" in row]
        nats = [row["validation"]["authors"]["log_likelihood"] for row in scored]
        axes[1].plot(
            [row["epoch"] for row in scored], nats, label=label, linestyle=line, marker="o", markersize=3, linewidth=1.3
        )
    axes[0].set(xlabel="epoch", ylabel=MINIMISED[minimised])
    axes[1].set(xlabel="epoch", ylabel="validation score (nats)")
    axes[1].legend()
    return axes


def plot_mixing(records: Sequence[dict[str, Any]], ax: Axes) -> Axes:
    """How fast the chains of a model's seeds forget where they were; lag 0 has no place on a logarithmic axis."""
    for record, line in zip(records, itertools.cycle(STYLES), strict=False):
        mixing = record["mixing"]
        ax.plot(
            mixing["lags"][1:],
            mixing["autocorrelation"][1:],
            linestyle=line,
            marker="o",
            markersize=4,
            label=f"seed {record['seed']}",
        )
    ax.axhline(FORGOTTEN, color=COLOURS["grey"], linestyle=LINES["grey"], label="taken as none")
    ax.set(xscale="log", xlabel="steps of a chain between two samples", ylabel="autocorrelation", ylim=(-0.1, 1.05))
    ax.legend()
    return ax


def steps_to_forget(record: dict[str, Any]) -> str:
    """Between which of the lags looked at the autocorrelation first fell below FORGOTTEN, in words."""
    before = 0
    for lag, value in zip(record["mixing"]["lags"], record["mixing"]["autocorrelation"], strict=True):
        if value < FORGOTTEN:
            return f"after {before:,} to {lag:,} steps"
        before = lag
    return f"not within {before:,} steps"


def plot_on_curve(points: Tensor, ax: Axes, title: str, role: str) -> Axes:
    """The first 1,000 of points of the plane, (n, 2), and the curve; role: a key of COLOURS."""
    ax.plot(*on_curve(torch.linspace(-1, 1, 1001)).T, color=COLOURS["grey"], linewidth=0.8)
    ax.plot(*points[:1000].T, ".", markersize=2.5, color=COLOURS[role])
    ax.set(title=title, aspect="equal", xlabel="$x_1$", xlim=(-3, 3), ylim=(-2, 2))
    return ax


def off_and_covered(points: Tensor) -> str:
    """How much of a model's mass is off the curve, and how much of the curve it covers, in words."""
    off = (~(distance_to_curve(points) <= OFF)).double().mean()  # a point that is not a number is off, too
    covered = f"{share_covered(points):.0%} of the curve has a sample within {2 * OFF:g}"
    return f"{off:.1%} of the samples are further than {OFF:g} off; {covered}"
