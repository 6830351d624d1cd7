"""One look for all figures: the same colour for p_data, p_g and D everywhere, readable in grey and at half size."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from torch import Tensor
from torchvision.utils import make_grid

from gan_repro.data import to_unit
from gan_repro.memorisation import nearest_training_images

COLOURS = {
    "p_data": "#111111",
    "p_g": "#1b7f5c",
    "D": "#3b6fd4",
    "average": "#c2571a",
    "other": "#7a4fa3",
    "grey": "#8c8c8c",
}
LINES = {
    "p_data": ":",
    "p_g": "-",
    "D": "--",
    "average": "-.",
    "other": (0, (3, 1, 1, 1, 1, 1)),
    "grey": (0, (4, 1)),
}  # so that colour is never needed


def set_style() -> None:
    """Seaborn's white grid with larger type; PNGs small enough for git."""
    sns.set_theme(context="notebook", style="whitegrid", font_scale=1.05)
    plt.rcParams.update(
        {"figure.dpi": 90, "savefig.dpi": 90, "savefig.bbox": "tight", "figure.constrained_layout.use": True}
    )


def image_grid(
    images: Tensor,
    ax: Axes,
    *,
    columns: int,
    value_range: tuple[float, float] = (0.0, 1.0),
    numbered: bool = False,
) -> Axes:
    """Images in rows of `columns`, none chosen by looks: images (n, 784) or (n, channels, height, width).

    numbered: write 1, 2, ... into their upper left corners, for someone who is to name some of them.
    """
    if images.dim() == 2:
        side = round(images.shape[1] ** 0.5)
        images = images.reshape(-1, 1, side, side)
    sheet = make_grid(
        images, nrow=columns, padding=2, pad_value=value_range[1], normalize=True, value_range=value_range
    )
    ax.imshow(sheet.permute(1, 2, 0), interpolation="nearest", aspect="equal")
    ax.set_axis_off()
    for i in range(len(images) if numbered else 0):
        row, column = divmod(i, columns)
        height, width = images.shape[-2] + 2, images.shape[-1] + 2
        box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        ax.text(column * width + 3, row * height + 3, str(i + 1), size=7, va="top", color="#a00000", bbox=box)
    return ax


def figure_2(
    samples: Tensor,
    train: Tensor,
    ax: Axes,
    *,
    see: Callable[[Tensor], Tensor] = to_unit,
    as_pictures: Callable[[Tensor], Tensor] = lambda images: images,
) -> Axes:
    """Figure 2: rows of five samples, then the training example nearest to the fifth, set off by a line.

    samples: (5 * rows, d), fair draws; train: (N, d) uint8; see: as in `memorisation`; as_pictures: what
    makes (n, d) images into ones that `image_grid` takes, where they are not grey and in [0, 1].
    """
    fifth = samples[4::5]
    nearest = see(train[nearest_training_images(fifth, train, see=see)])
    rows = [torch.cat([samples[5 * i : 5 * i + 5], nearest[i : i + 1]]) for i in range(len(fifth))]
    image_grid(as_pictures(torch.cat(rows)), ax, columns=6)
    width = (ax.images[0].get_array().shape[1] - 2) // 6  # make_grid: of an image and the 2 pixels beside it
    ax.axvline(1 + 5 * width - 0.5, color="#e0b400", linewidth=4)
    return ax


def plot_curves(
    ax: Axes, x: Sequence[float], curves: dict[str, Sequence[float]], colours: Sequence[str], *, linewidth: float = 2
) -> Axes:
    """Several curves over one x, each in the colour and line of its role (a key of COLOURS)."""
    for (label, y), role in zip(curves.items(), colours, strict=True):
        ax.plot(x, y, label=label, color=COLOURS[role], linestyle=LINES[role], linewidth=linewidth)
    ax.legend()
    return ax


def plot_distances(ax: Axes, distances: dict[str, Tensor], roles: Sequence[str], *, nearest: str) -> Axes:
    """Which share of each set of images lies within a distance of its nearest training image.

    distances: by a set's name, each (n,), as `memorisation.distances_to_training_set`; roles: keys of COLOURS, one for
    each set; nearest: what the nearest is called on the axis.
    """
    for (label, of_set), role in zip(distances.items(), roles, strict=True):
        ax.ecdf(of_set.numpy(), label=label, color=COLOURS[role], linestyle=LINES[role], linewidth=2)
    ax.set(xlabel=f"L2 distance to the nearest {nearest}", ylabel="share within it", xlim=(0, None))
    ax.legend()
    return ax


def plot_training(record: dict[str, Any], axes: Sequence[Axes]) -> Sequence[Axes]:
    """A record's history: what D gives to data and to samples on axes[0], the validation scores on axes[1]."""
    history = record["history"]
    epochs = [row["epoch"] for row in history]
    players = {"D(x), data": "D_x", "D(G(z)), samples": "D_G_z"}
    curves = {label: [row[key] for row in history] for label, key in players.items()}
    plot_curves(axes[0], epochs, curves, ["D", "p_g"])
    axes[0].axhline(0.5, color="0.6", linewidth=1)
    axes[0].set(xlabel="epoch", ylabel="mean probability of data", ylim=(-0.02, 1.02))
    scored = [row for row in history if "G" in row]
    generators = {"average of G's weights": "ema", "G": "G"}
    curves = {label: [row[key]["authors"]["log_likelihood"] for row in scored] for label, key in generators.items()}
    plot_curves(axes[1], [row["epoch"] for row in scored], curves, ["average", "p_g"])
    axes[1].set(xlabel="epoch", ylabel="validation score (nats)")
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))  # no half epochs
    return axes
