"""Table 1 from the files in results/, and its place in README.md. `python -m gan_repro.tables` writes the latter."""

import math
import re
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from gan_repro.config import TrainingConfig
from gan_repro.files import write_atomically
from gan_repro.paths import BY_NUM_SAMPLES, ORACLES, RESULTS, ROOT
from gan_repro.records import Record, not_as_released, read_record, record_paths
from gan_repro.results import ResultsError, damaged, nats, read_results, relative

# Table 1 of the paper, MNIST column: nats, and the standard error it states.
PAPER_MNIST = {
    "DBN": (138.0, 2.0),
    "Stacked CAE": (121.0, 1.6),
    "Deep GSN": (214.0, 1.1),
    "Adversarial nets": (225.0, 2.0),
}
QUOTED = "quoted from the paper, not yet rerun"


def paths_of_row(folder: Path) -> list[Path]:
    """The records of a results folder that can be averaged: they differ in nothing but the seed.

    Of several kinds (parameters, length, data, recipe) the one with most seeds, of equals the longest.
    """
    found = {path: read_record(path) for path in record_paths(folder)}
    kinds = [[path for path in found if kind(found[path]) == kind(first)] for first in found.values()]
    return max(kinds, key=lambda runs: (len(runs), found[runs[0]]["config"]["max_epochs"]), default=[])


def records(folder: Path) -> list[Record]:
    """The records of a results folder that can be averaged, in the order of their seeds."""
    return [read_record(path) for path in paths_of_row(folder)]


def all_records(folder: Path) -> list[Record]:
    """All records of a results folder, in the order of their seeds."""
    return [read_record(path) for path in record_paths(folder)]


def kind(record: Record) -> tuple[Any, ...]:
    """All that decides a run but its seed. (A field that an older record lacks has its default.)"""
    return replace(TrainingConfig(**record["config"]), seed=0), record["data_md5"], record["recipe"]


# Our rows of Table 1: folder of the records, which generator, and the row's name. The second recipe has the learning
# rate's decay from a co-author's paper on conditional nets (Mirza and Osindero, 2014), and else the released values.
OURS = (
    ("mnist", "G", "Adversarial nets"),
    ("mnist", "ema", "Adversarial nets, averaged G"),
    ("mnist_fast", "G", "Adversarial nets, faster decay"),
    ("mnist_fast", "ema", "Adversarial nets, faster decay, averaged G"),
)

FOLDERS = tuple(dict.fromkeys(folder for folder, _, _ in OURS))


LOST = 0.01  # ours: mean probability of data that D gives to samples, in the last epoch


def is_lost(run: Record) -> bool:
    """Whether D was still winning outright in the last epoch. It looks at D alone, not at a score."""
    return run["history"][-1]["D_G_z"] < LOST


def learned(runs: list[Record]) -> list[Record]:
    """The runs in which G was not lost; all, if there are no others."""
    return [run for run in runs if not is_lost(run)] or runs


def describe_runs(runs: list[Record], name: str) -> str:
    """Which epochs of which runs a number is of, in words. The runs differ in their seeds."""
    epochs, run = sorted(run["metrics"][name]["epoch"] for run in runs), runs[0]
    words = f"epoch {epochs[0]}" if epochs[0] == epochs[-1] else f"epochs {epochs[0]} to {epochs[-1]}"
    words += f", the best of {' or '.join(str(n) for n in sorted({run['epochs'] for run in runs}))}"
    by_rule = sum(run["stopped_by"] == "patience" for run in runs)
    if by_rule in (0, len(runs)):
        words += "; stopped by the rule" if by_rule else "; not yet at the stopping rule"
    else:
        words += f"; {by_rule} of {len(runs)} stopped by the rule"
    length = {"seed", "max_epochs", "patience", "score_every"}
    other = [f"{key} {value}" for key, value in not_as_released(run["config"]).items() if key not in length]
    return words + (f"; not as released: {', '.join(other)}" if other else "")


def table1(results: Path = RESULTS) -> pd.DataFrame:
    """Table 1, MNIST column: the paper's value, ours, and ours below real data, all in nats.

    results: the folder that holds mnist/, mnist_fast/ and parzen/; rows without files in it show the paper's value
    alone.
    """
    oracle = oracles(results)
    ours = {}
    for folder, name, model in OURS:
        if runs := records(results / folder):
            ours[model] = our_columns(runs, name, oracle)
            if left_out := len(all_records(results / folder)) - len(runs):
                ours[model]["seeds"] += f" (and {left_out} of another length)"
    rows = []
    for model in [*PAPER_MNIST, *(model for model in ours if model not in PAPER_MNIST)]:
        row = {"model": model}
        if model in PAPER_MNIST:
            value, error = PAPER_MNIST[model]
            row |= {"paper": f"{value:g} ± {error:g}", "source": QUOTED}
        rows.append(row | ours.get(model, {}))
    if oracle:
        ours_is = nats(oracle["authors"]["log_likelihood"], oracle["authors"]["standard_error"])
        row = {"model": "Real data: 10,000 training images", "ours": ours_is, "source": "computed"}
        fine = nats(oracle["fine"]["log_likelihood"], oracle["fine"]["standard_error"])
        rows.append(row | {"sigma": f"{oracle['authors']['sigma']:.4f}", "fine grid": fine, "below real data": "0.0"})
    columns = ["model", "paper", "ours", "sigma", "fine grid", "below real data", "seeds"]
    columns += ["between seeds", "between draws", "source"]
    return pd.DataFrame([{column: row.get(column, "–") for column in columns} for row in rows])


def our_columns(runs: list[Record], name: str, oracle: dict[str, Any] | None = None) -> dict[str, str]:
    """Our side of a row: mean over seeds, with the test images' standard error, averaged over the seeds.

    between seeds: standard deviation of the score between seeds; between draws: of one G's score between draws of its
    10,000 samples, the root mean square over seeds; oracle: the score of real data. "–" where there is nothing to
    compare. Runs in which G was lost are counted, but not in the mean, unless there are no others.
    """
    num_seeds, num_lost = len(runs), sum(map(is_lost, runs))
    runs = learned(runs)
    scores = [run["metrics"][name]["test"] for run in runs]

    def mean(grid: str, key: str) -> float:
        return statistics.fmean(score[grid][key] for score in scores)

    ours = mean("authors", "log_likelihood")
    log_likelihoods = [score["authors"]["log_likelihood"] for score in scores]
    noise = [spread for run in runs if (spread := between_draws(run, name)) is not None]
    return {
        "ours": nats(ours, mean("authors", "standard_error")),
        "sigma": ", ".join(sorted({f"{score['authors']['sigma']:.4f}" for score in scores})),
        "fine grid": nats(mean("fine", "log_likelihood"), mean("fine", "standard_error")),
        "below real data": f"{oracle['authors']['log_likelihood'] - ours:.1f}" if oracle else "–",
        "seeds": f"{num_seeds}, {num_lost} lost" if num_lost else str(num_seeds),
        "between seeds": f"{statistics.stdev(log_likelihoods):.1f}" if len(log_likelihoods) > 1 else "–",
        "between draws": f"{math.sqrt(statistics.fmean(s**2 for s in noise)):.1f}" if noise else "–",
        "source": describe_runs(runs, name),
    }


def between_draws(run: Record, name: str) -> float | None:
    """Standard deviation of the test score between draws of G's samples, in nats; None in records from before it was
    measured."""
    scores = run["metrics"][name]
    if "redraws" not in scores:
        return None
    return statistics.stdev([scores["test"]["authors"]["log_likelihood"], *scores["redraws"]])


def seeds(results: Path = RESULTS) -> pd.DataFrame:
    """Every run of record: its length, the test scores of G and of the average at their best epochs, in nats, and the
    mean probability that D gave to samples in its last epoch: near 0 where G was lost."""
    rows = []
    for folder in FOLDERS:
        for run in all_records(results / folder):
            row = {"lr divided by": run["config"]["lr_decay"], "seed": run["seed"], "epochs": run["epochs"]}
            for name, label in (("G", "G"), ("ema", "averaged G")):
                test = run["metrics"][name]["test"]
                row[f"{label}: epoch"] = run["metrics"][name]["epoch"]
                row[label] = nats(test["authors"]["log_likelihood"], test["authors"]["standard_error"])
                row[f"{label}, fine grid"] = nats(test["fine"]["log_likelihood"], test["fine"]["standard_error"])
            row["last D(G(z))"] = f"{run['history'][-1]['D_G_z']:.3f}"
            rows.append(row)
    return pd.DataFrame(rows)


def costs(results: Path = RESULTS) -> pd.DataFrame:
    """What the runs of record took: hours of training and scoring, and on what."""
    rows = []
    for folder in FOLDERS:
        for record in all_records(results / folder):
            last = record["sessions"][-1]["machine"]
            hours, minutes = record["seconds"] / 3600, record["seconds"] / record["epochs"] / 60
            row = {"run": f"{folder}, seed {record['seed']}", "epochs": record["epochs"], "hours": f"{hours:.2f}"}
            on = f"{last['cpu']}, {last['threads']} thread(s)"
            rows.append(row | {"minutes an epoch": f"{minutes:.2f}", "on": on})
    return pd.DataFrame(rows, columns=["run", "epochs", "hours", "minutes an epoch", "on"])


def speed(results: Path = RESULTS) -> pd.DataFrame:
    """What `make bench` measured on the machine of record, beside what was aimed at. Medians, quartiles in brackets."""
    record = read_results(results / "bench.json", "bench")
    rows = []
    for part in [*record["sections"], *record["growth"], {"title": "", "bars": record["memory"]}]:
        for bar in part["bars"]:
            unit = "" if bar["unit"] == "ratio" else f" {bar['unit']}"
            lower, upper = bar["quartiles"]
            spread = f" ({lower:.2f} to {upper:.2f})" if lower < upper else ""
            limits = [f"{word} {bar[key]:.3g}{unit}" for key, word in LIMITS.items() if key in bar]
            row = {"of": part["title"].split(";")[0].split(":")[0], "measured": bar["name"]}
            row["median"] = f"{bar['median']:.2f}{unit}{spread}"
            met = "–" if not limits else "yes" if bar["met"] else "no"
            rows.append(row | {"aim": ", ".join(limits) or "–", "met": met})
    return pd.DataFrame(rows)


LIMITS = {"at_least": "at least", "at_most": "at most"}


def oracles(results: Path = RESULTS) -> dict[str, Any] | None:
    """The score of 10,000 real training images under the same protocol, as 08_parzen_window wrote it, or None."""
    path = results / ORACLES
    return read_results(path, "scores")["scores"].get("real_data_10000") if path.exists() else None


def by_num_samples(results: Path = RESULTS) -> pd.DataFrame | None:
    """Test score against the number of samples, finer grid, as 08_parzen_window wrote it, or None: a row for each
    number; for "real data", "G" and "ema" the columns (name, "nats") and (name, "error"), over test images."""
    path = results / BY_NUM_SAMPLES
    if not path.exists():
        return None
    contents = read_results(path, "scores")
    if missing := {"seed", "sizes", "weights"} - set(contents["parameters"]):
        raise damaged(path, f"its parameters lack {', '.join(sorted(missing))}")
    names = [f"{name}, {size}" for name in ("real data", "ema", "G") for size in contents["parameters"]["sizes"]]
    if lacking := [name for name in names if name not in contents["scores"]]:
        raise damaged(path, f"it lacks the score of {lacking[0]}")
    record = read_record(results / "mnist" / f"seed{contents['parameters']['seed']}.json")
    if contents["parameters"]["weights"] != record["weights"]["sha256"]:
        raise ResultsError(f"{relative(path)} is of other weights of G: remove it and run 08_parzen_window")
    table = {}
    for name in ("real data", "ema", "G"):
        for size in contents["parameters"]["sizes"]:
            score = contents["scores"][f"{name}, {size}"]["fine"]
            table.setdefault((name, "nats"), {})[size] = score["log_likelihood"]
            table.setdefault((name, "error"), {})[size] = score["standard_error"]
    return pd.DataFrame(table)


def samples_needed(results: Path = RESULTS) -> pd.DataFrame:
    """`by_num_samples` as text for README.md."""
    scores = by_num_samples(results)
    if scores is None:
        raise ResultsError(f"{relative(results / 'parzen')} lacks by_num_samples.json: run 08_parzen_window")
    columns = {"real data": "real data", "ema": "averaged G", "G": "G"}
    rows = [
        {"samples": f"{size:,}"}
        | {label: nats(scores[name, "nats"][size], scores[name, "error"][size]) for name, label in columns.items()}
        for size in scores.index
    ]
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown, every cell as it stands."""
    rows = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).values.tolist()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def between_markers(text: str, name: str, content: str) -> str:
    """text with what stands between <!-- name --> and <!-- end name --> replaced by content."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"there are no lines <!-- {name} --> and <!-- end {name} -->")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def readme(text: str) -> str:
    """README.md's text with its generated parts made anew."""
    for name, table in TABLES.items():
        text = between_markers(text, name, markdown(table()))
    return text


# The tables of README.md by their markers there; each takes a results folder.
TABLES = {"table 1": table1, "seeds": seeds, "samples": samples_needed, "costs": costs, "speed": speed}


if __name__ == "__main__":
    path = ROOT / "README.md"
    try:
        write_atomically(path, readme(path.read_text()))
    except ResultsError as error:
        sys.exit(str(error))
    sys.stdout.write("README.md: tables written from results/\n")
