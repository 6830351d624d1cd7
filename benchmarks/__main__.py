"""`python -m benchmarks`: time everything (some twenty minutes) and print a table; JSON and plot go to results/quick/.

The figures of record, results/bench.json and results/bench.png, are made on a machine that does nothing else by
`GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python -m benchmarks --record` (make sets that variable by itself). Where other
programs disturbed the run, they are left as they were.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import epoch, growth, memory, mnist_step, neighbours, other_models, pairs, parzen_protocol, processes
from benchmarks.others import OtherPrograms
from benchmarks.report import Measured, disturbance, table, write
from benchmarks.timing import QUICK, Effort
from gan_repro.paths import RESULTS
from gan_repro.provenance import machine
from gan_repro.results import relative
from gan_repro.words import positive

OF_RECORD = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1 .venv/bin/python -m benchmarks --record"
TOPICS = (
    mnist_step.measure,
    mnist_step.measure_one_thread,
    epoch.measure,
    parzen_protocol.measure,
    parzen_protocol.measure_others,
    neighbours.measure,
    neighbours.measure_photographs,
    pairs.measure,
    other_models.measure,
    processes.measure_side_by_side,
    processes.measure_start,
)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    run(QUICK if options.quick else Effort(), options.json, of_record=options.record)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--threads", type=positive, metavar="N", help="of torch (default: all cores)")
    parser.add_argument("--quick", action="store_true", help="few repetitions")
    parser.add_argument("--json", type=Path, metavar="PATH", help="where to write; the plot goes beside it as .png")
    parser.add_argument("--record", action="store_true", help="write results/bench.json, if nothing disturbed the run")
    options = parser.parse_args(arguments)
    if options.record and (options.quick or options.json):
        parser.error("--record goes with neither --quick nor --json")
    if options.json is None:
        options.json = (RESULTS if options.record else RESULTS / "quick") / "bench.json"
    return options


def run(effort: Effort, path: Path, *, of_record: bool = False) -> None:
    """Measure all topics with this much effort, print the table, write path (.json) and the plot beside it.

    of_record: write nothing and exit if other programs disturbed the run, or if that is not known.
    """
    cpu = machine()
    print(f"{cpu['cpu']}, {cpu['threads']} threads, torch {torch.__version__}\n", flush=True)
    others = OtherPrograms()
    measured = Measured(
        sections=[measure(effort) for measure in TOPICS],
        growths=growth.measure(effort),
        memory=memory.measure(effort),
        other_cores=others.cores(),
    )
    print(table(measured))
    if of_record and (why := disturbance(measured.other_cores)):
        sys.exit(f"not recorded, {relative(path)} is left as it was: {why}")
    write(measured, effort, path, command=OF_RECORD if of_record else "make bench")
    print(f"written: {relative(path)} and {path.with_suffix('.png').name}")


if __name__ == "__main__":
    main()
