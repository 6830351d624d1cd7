"""`python -m gan_repro.verify`: recompute the numbers of record from the kept weights, without training.

Says at the end which numbers of README.md it cannot check so, and the command that makes each of those again.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from gan_repro.config import TrainingConfig
from gan_repro.data import MNIST, DataError, load_mnist, to_unit
from gan_repro.paths import RESULTS
from gan_repro.records import read_generator, read_record
from gan_repro.results import ResultsError, nats, record_paths, relative
from gan_repro.scoring import NUM_VALID_FOR_SIGMA, REDRAWS, parzen_scores, scores_on_test_set
from gan_repro.seeds import FOLDERS, OTHERS
from gan_repro.table1 import PAPER_MNIST, QUOTED, oracles, peers, table1
from gan_repro.tables import TABLES

# What other orders of float32 sums can make of the same samples: nats, and the same sigma of the same grid.
TOLERANCES = {"log_likelihood": 0.05, "standard_error": 0.005, "sigma": 1e-9}

RERUNS = {  # what the kept weights cannot show, and what shows it
    "that these weights come out of this training": 'the command that `.venv/bin/python -m gan_repro.trace "table 1" '
    '"Adversarial nets" ours` prints (hours)',
    "table 1, between draws": ".venv/bin/python -m gan_repro.verify --redraws (half a minute a seed more)",
    "faces": 'by `.venv/bin/python -m gan_repro.trace faces "<row>" "ours, on FER-2013"`: commands (minutes to hours)',
    "samples": ".venv/bin/python -m gan_repro.notebooks 08_parzen_window (minutes)",
    "costs, epochs, stopped by": "facts of the trainings themselves, made again with them (hours a seed)",
    "speed, memory": "make bench (some twenty minutes on a machine that does nothing else)",
}


def verify(path: Path, mnist: MNIST, *, redraws: bool = False) -> list[str]:
    """Recompute the test scores of one record from its weights; the differences found, in words, none if it holds.

    redraws: those with other draws of the samples too, which takes four times as long.
    """
    record = read_record(path)
    config, problems = TrainingConfig(**record["config"]), []
    if record["data_md5"] != mnist.md5:
        problems.append(f"{relative(path)} is of other data than that of now")
    if record["experiment"] != path.parent.name:
        problems.append(f'{relative(path)} is of the experiment "{record["experiment"]}", not of its folder')
    for name, metrics in record["metrics"].items():
        G, label = read_generator(path, name), f"{relative(path)}, {name}"
        problems += compare(label, scores_on_test_set(G, mnist, config), metrics["test"])
        told = metrics.get("redraws", []) if redraws else []  # old records have none
        for draw, recorded in zip(REDRAWS, told, strict=False):
            score = scores_on_test_set(G, mnist, config, draw=draw)["authors"]["log_likelihood"]
            print(f"{label}, draw {draw}: {nats(score)} nats", flush=True)
            if not abs(score - recorded) <= TOLERANCES["log_likelihood"]:
                problems.append(f"{label}, draw {draw}: {score:.4f} nats, but the record says {recorded:.4f}")
    return problems


def verify_real_data(mnist: MNIST, results: Path = RESULTS) -> list[str]:
    """Recompute the row of real data, the first 10,000 training images as samples; the differences found."""
    recorded = oracles(results)
    if recorded is None:
        return ["results/parzen holds no scores of real data: restore it from git, or run 08_parzen_window"]
    scores = parzen_scores(mnist.test, mnist.valid[:NUM_VALID_FOR_SIGMA], to_unit(mnist.train[:10_000]))
    return compare("real data", scores, recorded)


def compare(label: str, scores: dict[str, Any], recorded: dict[str, Any]) -> list[str]:
    """Print recomputed scores; the differences from the recorded ones, in words."""
    problems = []
    for grid, score in scores.items():
        ours = nats(score["log_likelihood"], score["standard_error"])
        print(f"{label}, {grid} grid: {ours} nats at sigma {score['sigma']:.4f}, recomputed", flush=True)
        for key, tolerance in TOLERANCES.items():
            if not abs(score[key] - recorded[grid][key]) <= tolerance:
                found, told = score[key], recorded[grid][key]
                problems.append(f"{label}, {grid} grid: {key} is {found:.4f}, but the record says {told:.4f}")
    return problems


def not_recomputed(*, redraws: bool) -> list[str]:
    """What was not checked, in lines: the numbers of README.md that need a rerun, and by which command."""
    sources, lines = table1().set_index("model")["source"], []
    if quoted := [model for model in PAPER_MNIST if sources[model] == QUOTED]:
        lines.append(f"  table 1, {', '.join(quoted)}: quoted from the paper, nothing of ours to rerun yet")
    if others := [model for _, model in OTHERS if sources.get(model, QUOTED) != QUOTED]:
        how = 'by `.venv/bin/python -m gan_repro.trace "table 1" "<row>" ours`: commands (up to 75 minutes a seed)'
        lines.append(f"  table 1, {', '.join(others)}: {how}")
    if computed := list(peers()):
        how = "remove results/peers/MNIST.json, then .venv/bin/python -m gan_repro.notebooks 12_more_models (minutes)"
        lines.append(f"  table 1, {', '.join(computed)}: {how}")
    return lines + [f"  {what}: {how}" for what, how in RERUNS.items() if not (redraws and "draws" in what)]


def main() -> None:
    """Verify every record in results/ that has weights, and the row of real data. Exit code 1 if one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redraws", action="store_true", help="the scores with other draws of the samples too")
    redraws, problems = parser.parse_args().redraws, []
    try:
        mnist = load_mnist()
        for folder in FOLDERS:
            listed = record_paths(RESULTS / folder)
            if not listed:
                problems.append(f"results/{folder} holds no record: restore it from git, or run `make seeds` (hours)")
            for path in listed:
                problems += verify(path, mnist, redraws=redraws)
        problems += verify_real_data(mnist)
        for table in TABLES.values():  # what they read is whole, at least
            table()
        left = not_recomputed(redraws=redraws)
    except (DataError, ResultsError) as error:
        sys.exit(f"does not hold: {error}")
    for problem in problems:
        print(f"does not hold: {problem}", file=sys.stderr)
    if not problems:
        print("all hold: the numbers of record are those of the kept weights and of real data")
    print("\nNot recomputed, but made again by:", *left, sep="\n")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
