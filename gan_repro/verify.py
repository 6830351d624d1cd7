"""`python -m gan_repro.verify`: recompute the numbers of record from the kept weights, without training."""

import sys
from pathlib import Path

from gan_repro.config import TrainingConfig
from gan_repro.data import MNIST, DataError, load_mnist
from gan_repro.paths import RESULTS
from gan_repro.records import read_generator, read_record
from gan_repro.results import ResultsError, nats, relative
from gan_repro.scoring import scores_on_test_set
from gan_repro.tables import FOLDERS

# What other orders of float32 sums can make of the same samples: nats, and the same sigma of the same grid.
TOLERANCES = {"log_likelihood": 0.05, "standard_error": 0.005, "sigma": 1e-9}


def verify(path: Path, mnist: MNIST) -> list[str]:
    """Recompute the test scores of one record from its weights; the differences found, in words, none if it holds.

    The scores with other draws (`redraws`) are left out: they would take four times as long.
    """
    record = read_record(path)
    problems = []
    for name, metrics in record["metrics"].items():
        scores = scores_on_test_set(read_generator(path, name), mnist, TrainingConfig(**record["config"]))
        for grid, score in scores.items():
            recorded = metrics["test"][grid]
            label = f"{relative(path)}, {name}, {grid} grid"
            ours = nats(score["log_likelihood"], score["standard_error"])
            print(f"{label}: {ours} nats at sigma {score['sigma']:.4f}, recomputed from the kept weights", flush=True)
            for key, tolerance in TOLERANCES.items():
                if not abs(score[key] - recorded[key]) <= tolerance:
                    problems.append(f"{label}: {key} is {score[key]:.4f}, but the record says {recorded[key]:.4f}")
    return problems


def main() -> None:
    """Verify every record in results/ that has weights. Exit code 1 if one does not hold."""
    problems = []
    try:
        mnist = load_mnist()
        paths = [path for name in FOLDERS for path in sorted((RESULTS / name).glob("seed*.json"))]
        if not any(path.parent.name == "mnist" for path in paths):
            problems.append("results/mnist holds no record: restore it from git, or run `make seeds` (hours)")
        for path in paths:
            problems += verify(path, mnist)
    except (DataError, ResultsError) as error:
        problems.append(str(error))
    for problem in problems:
        print(f"does not hold: {problem}", file=sys.stderr)
    if not problems:
        print("all hold: the numbers of record are those of the kept weights")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
