"""What needs new processes: imports, the way to the first step, two trainings side by side."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence

import torch

from benchmarks.mnist_step import made_images
from benchmarks.timing import Bar, Effort, Section, Spread, interleaved, ratio, spread
from gan_repro.config import TrainingConfig
from gan_repro.game import Game
from gan_repro.paths import ROOT

TORCH, OURS, FIRST_STEP = "import torch", "import gan_repro.training", "start to first step, on made images"
ALONE, PAIR, ONE_OF_TWO_THREADS = "one thread", "one thread, another beside it", "one process with two threads"


def measure_start(effort: Effort) -> Section:
    rows = {
        TORCH: lambda: run(["-c", "import torch"]),
        OURS: lambda: run(["-c", "import gan_repro.training"]),
        FIRST_STEP: lambda: run(["-m", __name__, "1", str(effort.num_train), "1"]),
    }
    seconds = interleaved(rows, effort.slow_rounds)
    more = spread([ours - torchs for ours, torchs in zip(seconds[OURS], seconds[TORCH], strict=True)])
    return Section(
        title="Start of a new process",
        seconds=seconds,
        reference=TORCH,
        bars=[Bar("import gan_repro.training over import torch", more, at_most=0.3, unit="s")],
    )


def measure_side_by_side(effort: Effort) -> Section:
    """Seconds a step of one process, alone and beside another, each on a core of its own where that can be chosen."""
    n, rows = effort.steps_side_by_side, {}
    for _ in range(effort.slow_rounds):
        for name, cores, threads in ((ALONE, [0], 1), (PAIR, [0, 1], 1), (ONE_OF_TWO_THREADS, [None], 2)):
            rows.setdefault(name, []).append(max(train_together(cores, threads, n, effort.num_train)) / n)
    return Section(
        title=f"MNIST step in processes side by side; {effort.slow_rounds} rounds of {n} steps",
        seconds=rows,
        reference=ALONE,
        bars=[
            Bar("throughput of two / of one", doubled(ratio(rows[ALONE], rows[PAIR])), at_least=1.8),
            Bar("throughput of two / of two threads", doubled(ratio(rows[ONE_OF_TWO_THREADS], rows[PAIR])), at_least=1),
        ],
    )


def doubled(values: Spread) -> Spread:
    return Spread(*(2 * value for value in values))


def train_together(cores: Sequence[int | None], threads: int, num_steps: int, num_train: int) -> list[float]:
    """Seconds that each of several processes takes for its steps, all started at once when all are ready."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    processes = []
    for core in cores:
        command = [sys.executable, "-m", __name__, str(threads), str(num_train), str(num_steps), "wait"]
        pin = (lambda core=core: os.sched_setaffinity(0, {core})) if core is not None and can_pin(core) else None
        processes.append(
            subprocess.Popen(
                command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                preexec_fn=pin,
            )
        )  # fmt: skip
    try:
        for process in processes:
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("a process of the benchmark ended before it was ready: its message stands above")
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        return [float(process.communicate()[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()


def can_pin(core: int) -> bool:
    return hasattr(os, "sched_setaffinity") and core in os.sched_getaffinity(0)


def run(arguments: Sequence[str]) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def main(threads: int, num_train: int, num_steps: int, wait: bool) -> None:
    """Train; with wait, warm up, say ready, wait for a line, train, and print the seconds."""
    torch.set_num_threads(threads)
    game = Game(TrainingConfig(num_train=num_train), made_images(num_train))
    if wait:
        for _ in range(5):
            game.update()
        print("ready", flush=True)
        sys.stdin.readline()
    began = time.perf_counter()
    for _ in range(num_steps):
        game.update()
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), "wait" in sys.argv)
