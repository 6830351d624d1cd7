"""What a run of the benchmarks leaves: a table, a JSON file and a plot."""

import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.timing import Bar, Effort, Section, Spread, ratio, spread
from gan_repro.figures import COLOURS, set_style
from gan_repro.files import write_atomically
from gan_repro.provenance import session

DISTURBED = 0.1  # cores: above it, other programs disturbed the run


def disturbance(other_cores: float | None) -> str | None:
    """Why a run with so many cores busy with other programs (None: not known) is no run of record, or None."""
    if other_cores is None:
        return "whether other programs were busy meanwhile is not known on this system"
    if other_cores > DISTURBED:
        return f"other programs kept {other_cores:.2f} cores busy meanwhile, more than {DISTURBED:g}"
    return None


def table(sections: Sequence[Section], other_cores: float | None) -> str:
    """All measurements, and the bars beside them: numbers are medians, with the quartiles in brackets."""
    lines = []
    for section in sections:
        lines += [section.title, f"  {'':34}{'median (quartiles), ms':>28}{'times bare':>12}{'GFLOP/s':>9}"]
        for name, seconds in section.seconds.items():
            median, lower, upper = (1e3 * value for value in spread(seconds))
            times = ratio(seconds, section.seconds[section.reference]).median
            rate = f"{section.gflop[name] / median * 1e3:9.0f}" if name in section.gflop else ""
            lines.append(f"  {name:34}{f'{median:.1f} ({lower:.1f} to {upper:.1f})':>28}{times:12.2f}{rate}".rstrip())
        lines += ["", *(bar_line(bar) for bar in section.bars), ""]
    if why := disturbance(other_cores):
        lines.append(f"No run of record, the ratios may be noisy: {why}.")
    else:
        lines.append(f"Other programs kept {other_cores:.2f} cores busy meanwhile.")
    return "\n".join(lines)


def bar_line(bar: Bar) -> str:
    median, lower, upper = (f"{value:.0f}" if bar.unit else f"{value:.2f}" for value in bar.measured)
    measured = f"{median} {bar.unit}" if bar.unit else f"{median} ({lower} to {upper})"
    wanted = f"{'at least' if bar.at_least else 'at most'} {bar.limit:g} {bar.unit}".rstrip()
    return f"  {bar.name:34}{measured:>28}   bar: {wanted}: {'met' if bar.met else 'missed'}"


def record(sections: Sequence[Section], effort: Effort, other_cores: float | None) -> dict[str, Any]:
    """Everything measured, as it goes into the JSON file. Times are in seconds."""
    return {
        "environment": {name: os.environ[name] for name in ("GLIBC_TUNABLES",) if name in os.environ},
        **session(),
        "effort": asdict(effort),
        "cores_busy_with_other_programs": other_cores,
        "disturbed": disturbance(other_cores) is not None,
        "sections": [
            {
                "title": section.title,
                "rows": {name: row_record(section, name) for name in section.seconds},
                "bars": [
                    {
                        "name": bar.name,
                        **spread_record(bar.measured),
                        "at_least" if bar.at_least else "at_most": bar.limit,
                        "unit": bar.unit or "ratio",
                        "met": bar.met,
                    }
                    for bar in section.bars
                ],
            }
            for section in sections
        ],
    }


def row_record(section: Section, name: str) -> dict[str, Any]:
    seconds = section.seconds[name]
    row = {
        "rounds": len(seconds),
        "seconds": spread_record(spread(seconds)),
        "times_bare_products": spread_record(ratio(seconds, section.seconds[section.reference])),
    }
    if name in section.gflop:
        row["gflop"] = section.gflop[name]
        row["gflop_per_second"] = section.gflop[name] / row["seconds"]["median"]
        row["gflop_per_second_at_best"] = section.gflop[name] / min(seconds)
    return row


def spread_record(values: Spread) -> dict[str, Any]:
    return {"median": values.median, "quartiles": [values.lower, values.upper]}


def plot(sections: Sequence[Section], other_cores: float | None) -> bytes:
    """A PNG: for each topic the time of every row as a multiple of the bare matrix products, with quartiles."""
    set_style()
    heights = [len(section.seconds) for section in sections]
    figure, axes = plt.subplots(
        len(sections), 1, figsize=(8, 1.3 * len(sections) + 0.45 * sum(heights)), height_ratios=heights, squeeze=False
    )
    for ax, section in zip(axes[:, 0], sections, strict=True):
        bars_of(section, ax)
    axes[-1, 0].set_xlabel("time, as a multiple of the bare matrix products (whiskers: quartiles)")
    if other_cores is not None and other_cores > DISTURBED:
        figure.suptitle(f"disturbed run: other programs kept {other_cores:.1f} cores busy", fontsize="medium")
    png = io.BytesIO()
    figure.savefig(png, format="png")
    plt.close(figure)
    return png.getvalue()


def bars_of(section: Section, ax: Axes) -> Axes:
    """One topic's bars: hatched grey where a row is bare matrix products, its median time written at the end."""
    multiples = [ratio(seconds, section.seconds[section.reference]) for seconds in section.seconds.values()]
    whiskers = [[m.median - m.lower for m in multiples], [m.upper - m.median for m in multiples]]
    bare = [name in section.gflop for name in section.seconds]
    bars = ax.barh(
        list(section.seconds),
        [multiple.median for multiple in multiples],
        xerr=whiskers,
        color=[COLOURS["grey"] if is_bare else COLOURS["p_g"] for is_bare in bare],
        hatch=["//" if is_bare else "" for is_bare in bare],
        height=0.65,
    )
    medians = [spread(seconds).median for seconds in section.seconds.values()]
    ax.bar_label(bars, [f"{m:.2f} s" if m >= 1 else f"{1e3 * m:.1f} ms" for m in medians], padding=6)
    ax.set_xlim(0, 1.3 * max(multiple.upper for multiple in multiples))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set_title(section.title.replace("; ", "\n", 1), loc="left", fontsize="small")
    return ax


def write(sections: Sequence[Section], effort: Effort, other_cores: float | None, path: Path) -> None:
    """The record to path (a .json file) and the plot beside it as .png, each whole or not at all."""
    write_atomically(path, json.dumps(record(sections, effort, other_cores), indent=1) + "\n")
    write_atomically(path.with_suffix(".png"), plot(sections, other_cores))
