"""What a run of the benchmarks leaves: a table, a JSON file and a plot."""

import io
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.timing import Bar, Effort, Growth, Section, Spread, ratio, spread
from gan_repro.figures import COLOURS, set_style
from gan_repro.files import write_atomically
from gan_repro.results import write_results

DISTURBED = 0.1  # cores: above it, other programs disturbed the run


@dataclass(frozen=True)
class Measured:
    """All that one run of the benchmarks found."""

    sections: Sequence[Section]
    growths: Sequence[Growth]
    memory: Sequence[Bar]
    other_cores: float | None  # busy with other programs meanwhile; None: not known


def disturbance(other_cores: float | None) -> str | None:
    """Why a run with so many cores busy with other programs (None: not known) is no run of record, or None."""
    if other_cores is None:
        return "whether other programs were busy meanwhile is not known on this system"
    if other_cores > DISTURBED:
        return f"other programs kept {other_cores:.2f} cores busy meanwhile, more than {DISTURBED:g}"
    return None


def table(measured: Measured) -> str:
    """All measurements, and the bars beside them: numbers are medians, with the quartiles in brackets."""
    lines = []
    for section in measured.sections:
        lines += [section.title, f"  {'':38}{'median (quartiles), ms':>30}{'times reference':>17}{'GFLOP/s':>9}"]
        for name, seconds in section.seconds.items():
            median, lower, upper = (1e3 * value for value in spread(seconds))
            times = f"{times_reference(section, name).median:17.2f}"
            rate = f"{section.gflop[name] / median * 1e3:9.0f}" if name in section.gflop else ""
            lines.append(f"  {name:38}{f'{median:.1f} ({lower:.1f} to {upper:.1f})':>30}{times}{rate}".rstrip())
        lines += ["", *(bar_line(bar) for bar in section.bars), ""]
    for growth in measured.growths:
        lines += [growth.title]
        lines += [f"  {size:>10,}: {1e3 * spread(seconds).median:.1f} ms" for size, seconds in growth.seconds.items()]
        p = growth.exponent
        lines += [f"  time ~ size^p, p = {p.median:.2f} ({p.lower:.2f} to {p.upper:.2f})"]
        lines += [*(bar_line(bar) for bar in growth.bars), ""]
    lines += [*(bar_line(bar) for bar in measured.memory), ""]
    if why := disturbance(measured.other_cores):
        lines.append(f"No run of record, the ratios may be noisy: {why}.")
    else:
        lines.append(f"Other programs kept {measured.other_cores:.2f} cores busy meanwhile.")
    return "\n".join(lines)


def times_reference(section: Section, name: str) -> Spread:
    """A row's time as a multiple of the reference's, round by round; of medians where the rounds differ in number."""
    over, under = section.seconds[name], section.seconds[section.reference]
    return ratio(over, under if len(over) == len(under) else [spread(under).median] * len(over))


def bar_line(bar: Bar) -> str:
    median, lower, upper = (f"{value:.3g}" if bar.unit else f"{value:.2f}" for value in bar.measured)
    measured = f"{median} {bar.unit}" if bar.unit else f"{median} ({lower} to {upper})"
    low, high = (None if value is None else f"{value:.3g}" for value in (bar.at_least, bar.at_most))
    wanted = f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}" if high else None
    said = f"   bar: {wanted} {bar.unit}".rstrip() + f": {'met' if bar.met else 'missed'}" if wanted else ""
    return f"  {bar.name:50}{measured:>26}{said}".rstrip()


def record(measured: Measured, effort: Effort) -> dict[str, Any]:
    """Everything measured, for the results file. Times are in seconds."""
    return {
        "environment": {name: os.environ[name] for name in ("GLIBC_TUNABLES",) if name in os.environ},
        "effort": asdict(effort),
        "cores_busy_with_other_programs": measured.other_cores,
        "disturbed": disturbance(measured.other_cores) is not None,
        "sections": [
            {
                "title": section.title,
                "reference": section.reference,
                "rows": {name: row_record(section, name) for name in section.seconds},
                "bars": [bar_record(bar) for bar in section.bars],
            }
            for section in measured.sections
        ],
        "growth": [
            {
                "title": growth.title,
                "seconds": {size: spread_record(spread(seconds)) for size, seconds in growth.seconds.items()},
                "exponent": spread_record(growth.exponent),
                "bars": [bar_record(bar) for bar in growth.bars],
            }
            for growth in measured.growths
        ],
        "memory": [bar_record(bar) for bar in measured.memory],
    }


def bar_record(bar: Bar) -> dict[str, Any]:
    limits = {"at_least": bar.at_least, "at_most": bar.at_most}
    kept = {name: limit for name, limit in limits.items() if limit is not None}
    return {"name": bar.name, **spread_record(bar.measured), **kept, "unit": bar.unit or "ratio", "met": bar.met}


def row_record(section: Section, name: str) -> dict[str, Any]:
    seconds = section.seconds[name]
    row = {
        "rounds": len(seconds),
        "seconds": spread_record(spread(seconds)),
        "times_reference": spread_record(times_reference(section, name)),
    }
    if name in section.gflop:
        row["gflop"] = section.gflop[name]
        row["gflop_per_second"] = section.gflop[name] / row["seconds"]["median"]
        row["gflop_per_second_at_best"] = section.gflop[name] / min(seconds)
    return row


def spread_record(values: Spread) -> dict[str, Any]:
    return {"median": values.median, "quartiles": [values.lower, values.upper]}


def plot(measured: Measured) -> bytes:
    """A PNG: for each topic the time of every row as a multiple of its reference, with quartiles; then the growths."""
    set_style()
    heights = [len(section.seconds) for section in measured.sections]
    figure, axes = plt.subplots(
        len(heights) + 1, 1, figsize=(8, 1.2 * len(heights) + 0.4 * sum(heights) + 4), height_ratios=[*heights, 8]
    )
    for ax, section in zip(axes, measured.sections, strict=False):
        bars_of(section, ax)
    lines_of(measured.growths, axes[-1])
    if measured.other_cores is not None and measured.other_cores > DISTURBED:
        figure.suptitle(f"disturbed run: other programs kept {measured.other_cores:.1f} cores busy", fontsize="medium")
    png = io.BytesIO()
    figure.savefig(png, format="png")
    plt.close(figure)
    return png.getvalue()


def bars_of(section: Section, ax: Axes) -> Axes:
    """One topic's bars, as multiples of the reference, on a logarithmic axis where they differ by far: hatched grey
    where a row is bare matrix products, its median time written at the end."""
    multiples = [times_reference(section, name) for name in section.seconds]
    whiskers = [[m.median - m.lower for m in multiples], [m.upper - m.median for m in multiples]]
    bare = [name in (section.gflop if section.bare is None else section.bare) for name in section.seconds]
    bars = ax.barh(
        list(section.seconds),
        [multiple.median for multiple in multiples],
        xerr=whiskers,
        color=[COLOURS["grey"] if is_bare else COLOURS["p_g"] for is_bare in bare],
        hatch=["//" if is_bare else "" for is_bare in bare],
        height=0.65,
    )
    medians = [spread(seconds).median for seconds in section.seconds.values()]
    ax.bar_label(bars, [f"{m:.3g} s" if m >= 1 else f"{1e3 * m:.1f} ms" for m in medians], padding=6)
    largest, smallest = (pick(multiple.median for multiple in multiples) for pick in (max, min))
    if largest > 20:
        ax.set(xscale="log", xlim=(0.5 * smallest, 5 * largest))
    else:
        ax.set_xlim(0, 1.3 * max(multiple.upper for multiple in multiples))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set_title(section.title.replace("; ", "\n", 1), loc="left", fontsize="small")
    ax.set_xlabel(f"times {section.reference}", fontsize="small")
    return ax


def lines_of(growths: Sequence[Growth], ax: Axes) -> Axes:
    """Each growth as multiples of its smallest size and time, on logarithmic axes: proportional is the grey line."""
    for growth, marker in zip(growths, "os^DvP"[: len(growths)], strict=True):
        first, *_ = growth.seconds
        medians = {size / first: spread(seconds).median for size, seconds in growth.seconds.items()}
        label = f"{growth.title}: exponent {growth.exponent.median:.2f}"
        ax.plot(list(medians), [m / medians[1.0] for m in medians.values()], marker=marker, label=label)
    ax.plot([1, 50], [1, 50], color=COLOURS["grey"], linewidth=1)
    ax.set(xscale="log", yscale="log", xlabel="size, times the smallest", ylabel="time, times the first")
    if growths:
        ax.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(0, -0.18))  # beside the lines there is no room
    return ax


def write(measured: Measured, effort: Effort, path: Path, *, command: str) -> None:
    """The record to path (a .json file) and the plot beside it as .png, each whole or not at all; command: what makes
    the record."""
    png = plot(measured)
    write_results(path, "bench", record(measured, effort), command=command)
    write_atomically(path.with_suffix(".png"), png)
