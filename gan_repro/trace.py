"""`python -m gan_repro.trace "table 1" "Adversarial nets" ours`: where a number in README.md or docs/speed.md comes
from.

Names the results files behind one cell of one table, with parameters, seed, commits, machine and the command that makes
each again. With fewer words it lists what there is to ask for: tables, then rows, then columns.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gan_repro.config import TrainingConfig
from gan_repro.paths import BY_NUM_SAMPLES, FACE_PEERS, ORACLES, PEERS, RESULTS
from gan_repro.provenance import changed_since
from gan_repro.records import not_as_released, read_record
from gan_repro.results import ResultsError, read_results, record_paths, relative
from gan_repro.seeds import (
    FOLDERS,
    OF_OTHER_PAIRS,
    OTHERS,
    OURS,
    is_lost,
    paths_of_other,
    paths_of_row,
    records,
    why_not_averaged,
)
from gan_repro.table1 import peers
from gan_repro.table1_faces import ADVERSARIAL, BELOW, FACE_FOLDERS, FACES, NOT_PUBLIC, ON_TFD, folder_of
from gan_repro.tables import TABLES
from gan_repro.weights import what_is_kept

LABELS = {  # the columns that tell a table's rows apart
    "table 1": ["model"],
    "faces": ["model"],
    "seeds": ["lr divided by", "seed"],
    "samples": ["samples"],
    "costs": ["run"],
    "speed": ["of", "measured"],
    "memory": ["work"],
}
PAPER = {"paper": "table1.PAPER_MNIST", "paper, on TFD": "table1_faces.PAPER_TFD"}  # columns of the paper's numbers


class TraceError(ValueError):
    """There is no such table, row or column; the message lists what there is."""


def rows(name: str, results: Path = RESULTS) -> dict[str, "pd.Series[Any]"]:
    """The rows of a README table by their labels."""
    table = TABLES[name](results)
    return {", ".join(str(row[key]) for key in LABELS[name]): row for _, row in table.iterrows()}


def files(name: str, label: str, column: str, results: Path = RESULTS) -> list[Path]:
    """The results files that a cell is made from; none where it is a name, a dash or a number of the paper's."""
    row = rows(name, results)[label]
    if column in [*LABELS[name], *PAPER] or row[column] in ("–", NOT_PUBLIC):
        return []
    if name == "samples":
        return [results / BY_NUM_SAMPLES]
    if name in ("speed", "memory"):
        return [results / "bench.json"]
    if name == "table 1":
        ours = {model: results / folder for folder, _, model in OURS}
        others = {model: results / folder for folder, model in OTHERS}
        of_runs = paths_of_column(ours[label], column) if label in ours else []
        if label in others:
            of_runs = paths_of_other(others[label])
        if label in peers(results):
            of_runs = [results / PEERS]
        if not of_runs and column == "source":  # words of ours: quoted, or computed
            return []
        needs_oracle = column == "below real data" or not of_runs
        return of_runs + [results / ORACLES] * needs_oracle
    if name == "faces":
        faces = {"faces": "TFD"} if column == ON_TFD else {}
        others = {model: results / folder_of(folder, **faces) for folder, model in OTHERS}
        of_runs = paths_of_other(others[label]) if label in others else []
        if label in {model for _, model in ADVERSARIAL}:
            of_runs = paths_of_column(results / FACE_FOLDERS["TFD" if column == ON_TFD else FACES], column)
        return of_runs + [results / FACE_PEERS] * (column == BELOW or not of_runs)
    folders = (*FOLDERS, *OF_OTHER_PAIRS) if name == "costs" else FOLDERS
    listed = [path for folder in folders for path in record_paths(results / folder)]
    return [listed[list(rows(name, results)).index(label)]]


def paths_of_column(folder: Path, column: str) -> list[Path]:
    """Of a folder's records those that a column of a row is made of. *seeds* counts all: also those in which G was
    lost, and those of another length."""
    if column == "seeds":
        return record_paths(folder)
    paths = paths_of_row(folder)
    return [path for path in paths if not is_lost(read_record(path))] or paths


def describe(path: Path) -> list[str]:
    """What one results file is, in lines."""
    contents = read_results(path)
    kind, by = contents["kind"], contents["made_by"]
    lines = [f"{relative(path)}  (sha256 {contents['checksum'][:12]}...)"]
    if kind == "run":
        other = not_as_released(contents["config"])
        changed = ", ".join(f"{key} {value}" for key, value in other.items() if key not in ("pair", "seed"))
        run = f"{contents['config'].get('pair', 'mnist')}, seed {contents['seed']}"
        lines.append(f"  {run}; parameters as released{f', but {changed}' if changed else ''}")
        ends = ", ".join(f"{name}: epoch {scores['epoch']}" for name, scores in contents["metrics"].items())
        lines.append(f"  {contents['epochs']} epochs, stopped by {contents['stopped_by']}; best {ends}")
        what = what_is_kept(contents)
        lines.append(f"  {what} {contents[what]['file']}  (sha256 {contents[what]['sha256'][:12]}...)")
        if why := why_not_averaged(contents, records(path.parent)):
            lines.append(f"  {why}: counted among the seeds, not in the mean")
        lines += trained_by(contents)
    elif kind == "baseline":
        changed = ", ".join(f"{key} {value}" for key, value in contents["config"]["model_config"].items())
        lines.append(f"  {contents['experiment']} on {contents['data']}, seed {contents['seed']}; {changed}")
        lines.append(f"  {contents['epochs']} epochs; best epoch {contents['metrics']['epoch']}")
        lines += [f"  trained by commit {session['commit']}, {machine(session)}" for session in contents["sessions"]]
    elif kind == "scores":
        lines.append("  " + ", ".join(f"{key} {value}" for key, value in contents["parameters"].items()))
    if kind != "bench":
        lines += [f"  data {name}: md5 {md5}" for name, md5 in contents["data_md5"].items()]
    lines.append(f"  {'scored' if kind in ('run', 'baseline') else 'made'} by commit {by['commit']}")
    lines.append(f"  on {machine(by)}")
    lines.append(f"  again: {by['command']}")
    if kind == "run":
        lines += since(contents["sessions"][-1])
    return lines


def trained_by(record: dict[str, Any]) -> list[str]:
    """Which code on which machine trained which steps of a run."""
    sessions, config = record["sessions"], TrainingConfig(**record["config"])
    starts = [session["from_step"] for session in sessions]
    ends = [*starts[1:], record["epochs"] * config.steps_per_epoch]
    lines = [f"  steps 1 to {starts[0]:,}: by which commit was not kept"] if starts[0] else []
    for session, start, end in zip(sessions, starts, ends, strict=True):
        if end > start:
            lines.append(f"  steps {start + 1:,} to {end:,}: commit {session['commit']}, {machine(session)}")
    return lines


def since(session: dict[str, Any]) -> list[str]:
    """That a command would now run other code than a run's last session, if so."""
    other = "by the code of now the command may round or draw otherwise"
    if "code" not in session:
        return [f"  which code trained it was not noted in full: {other}"]
    changed = changed_since(session)
    return [f"  since commit {session['commit']} {', '.join(changed)} changed: {other}"] if changed else []


def machine(session: dict[str, Any]) -> str:
    """Processor, threads and versions of one process."""
    of = session["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in session["versions"].items())
    return f"{of['cpu']}, {of['threads']} thread(s), {of['platform']}; {versions}"


def trace(words: Sequence[str], results: Path = RESULTS) -> list[str]:
    """The lines to print for the words of the command line. Raises TraceError, and ResultsError as reading does."""
    name, label, column = [*words[:3], None, None, None][:3]
    _must_be("table", name, list(TABLES))
    found = rows(name, results)
    _must_be("row", label, list(found))
    _must_be("column", column, [key for key in found[label].index])
    lines = [f"{name}, {label}, {column}: {found[label][column]}"]
    behind = files(name, label, column, results)
    for path in behind:
        lines += ["", *describe(path)]
    if behind:
        return [*lines, "", "From these files into the page: make tables"]
    if column in PAPER:
        return [*lines, f"Table 1 of Goodfellow et al. (2014), as printed there: {PAPER[column]}"]
    return [*lines, "No number of ours: a name, words of ours, or a dash where there is nothing to compare."]


def _must_be(what: str, word: str | None, known: list[str]) -> None:
    if word not in known:
        wrong = f"there is no {what} {word!r}; " if word is not None else ""
        raise TraceError("\n".join([f"{wrong}name a {what}, one of:", *(f"  {name}" for name in known)]))


if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.exit(print(__doc__))
    try:
        print("\n".join(trace(sys.argv[1:])))
    except (TraceError, ResultsError) as error:
        sys.exit(str(error))
