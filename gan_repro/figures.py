"""One look for all figures: the same colour for p_data, p_g and D everywhere, readable in grey and at half size."""

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import seaborn as sns
import torch
from matplotlib.axes import Axes
from torch import Tensor
from torchvision.utils import make_grid

from gan_repro.data import to_unit

COLOURS = {"p_data": "#111111", "p_g": "#1b7f5c", "D": "#3b6fd4", "average": "#c2571a", "grey": "#8c8c8c"}
LINES = {"p_data": ":", "p_g": "-", "D": "--", "average": "-.", "grey": (0, (4, 1))}  # so that colour is never needed


def set_style() -> None:
    """Seaborn's white grid with larger type; PNGs small enough for git."""
    sns.set_theme(context="notebook", style="whitegrid", font_scale=1.05)
    plt.rcParams.update(
        {"figure.dpi": 90, "savefig.dpi": 90, "savefig.bbox": "tight", "figure.constrained_layout.use": True}
    )


def image_grid(images: Tensor, ax: Axes, *, columns: int, value_range: tuple[float, float] = (0.0, 1.0)) -> Axes:
    """Images in rows of `columns`, none chosen by looks: images (n, 784) or (n, channels, height, width)."""
    if images.dim() == 2:
        side = round(images.shape[1] ** 0.5)
        images = images.reshape(-1, 1, side, side)
    sheet = make_grid(
        images, nrow=columns, padding=2, pad_value=value_range[1], normalize=True, value_range=value_range
    )
    ax.imshow(sheet.permute(1, 2, 0), interpolation="nearest", aspect="equal")
    ax.set_axis_off()
    return ax


def nearest_training_images(
    samples: Tensor, train: Tensor, chunk_size: int = 10_000, *, see: Callable[[Tensor], Tensor] = to_unit
) -> Tensor:
    """For each sample its nearest training image in squared L2, as the authors' show_samples scripts find it.

    samples: (n, d) as G draws them; train: (N, d) uint8; see: what D sees of bytes, of CIFAR-10 their normalisation.
    Returns the rows' numbers in train, (n,) int64. Exact.
    """
    best = torch.full((len(samples),), torch.inf)
    rows = torch.zeros(len(samples), dtype=torch.int64)
    for start in range(0, len(train), chunk_size):
        distance = torch.cdist(samples, see(train[start : start + chunk_size]))  # (n, chunk)
        nearest = distance.min(dim=1)
        closer = nearest.values < best
        best[closer], rows[closer] = nearest.values[closer], nearest.indices[closer] + start
    return rows


def figure_2(
    samples: Tensor,
    train: Tensor,
    ax: Axes,
    *,
    see: Callable[[Tensor], Tensor] = to_unit,
    as_pictures: Callable[[Tensor], Tensor] = lambda images: images,
) -> Axes:
    """Figure 2: rows of five samples, then the training example nearest to the fifth, set off by a line.

    samples: (5 * rows, d), fair draws; train: (N, d) uint8; see: as in `nearest_training_images`; as_pictures: what
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
