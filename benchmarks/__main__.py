"""`python -m benchmarks`: time everything, print a table, write results/bench.json and results/bench.png."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import mnist_step, parzen_protocol
from benchmarks.others import OtherPrograms
from benchmarks.report import table, write
from benchmarks.timing import QUICK, Effort
from gan_repro.paths import RESULTS
from gan_repro.results import machine, relative

TOPICS = (mnist_step.measure, parzen_protocol.measure)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    run(QUICK if options.quick else Effort(), options.json)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--threads", type=int, choices=(1, 2), help="of torch (default: all cores)")
    parser.add_argument("--quick", action="store_true", help="few repetitions; writes into results/quick/")
    parser.add_argument("--json", type=Path, metavar="PATH", help="where to write; the plot goes beside it as .png")
    options = parser.parse_args(arguments)
    if options.json is None:
        options.json = (RESULTS / "quick" if options.quick else RESULTS) / "bench.json"
    return options


def run(effort: Effort, path: Path) -> None:
    """Measure all topics with this much effort, print the table, write path (.json) and the plot beside it."""
    cpu = machine()
    print(f"{cpu['cpu']}, {cpu['threads']} threads, torch {torch.__version__}\n", flush=True)
    others = OtherPrograms()
    sections = [measure(effort) for measure in TOPICS]
    other_cores = others.cores()
    print(table(sections, other_cores))
    write(sections, effort, other_cores, path)
    print(f"written: {relative(path)} and {path.with_suffix('.png').name}")


if __name__ == "__main__":
    main()
