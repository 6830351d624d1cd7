"""What a run of the workflow came to: the tables, which notebooks are of this run, which failed and which therefore did
not run.

`python -m gan_repro.report quick` after the workflow; `python -m gan_repro.report --sweep released` for a sweep's.
"""

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

from gan_repro.notebooks import notebook_names, unfinished_path
from gan_repro.paths import RESULTS, ROOT
from gan_repro.results import ResultsError, relative
from gan_repro.seeds import count_of_seeds, records
from gan_repro.table1 import oracles, our_columns, table1
from gan_repro.workflow import needs

UNCHANGED = "as it was: nothing that it depends on has changed"
EARLIER = "of an earlier run"
EARLY = "; it ended itself early, and says why"  # as 04_faces does without faces


def report(settings: str, workflow_status: int = 0, since: float | None = None) -> int:
    """Print the tables and what became of each notebook. Returns 1 if the workflow failed or something is not there.

    since: when the workflow began, in seconds as time.time() counts them; without it nothing is said to be of this run.
    """
    print("\nTable 1, MNIST, nats. Of record (results/):\n")
    print_table(RESULTS)
    print(f"\nOf your own run with {settings} settings (results/{settings}/), not comparable with the paper:\n")
    print_table(RESULTS / settings)
    folder = ROOT / "executed" / settings
    fates = {name: fate(folder, name, since) for name in notebook_names()}
    troubled = {name for name, word in fates.items() if word.startswith(("FAILED", "NOT THERE"))}
    print(f"\nNotebooks, in executed/{settings}/:")
    for name, word in fates.items():
        if blocked_by := needs(name) & troubled:
            is_old = (folder / f"{name}.ipynb").exists()
            word = f"NOT RUN: it needs {', '.join(sorted(blocked_by))}"
            word += f"; there is one {EARLIER}" if is_old else ""
        elif word.startswith(UNCHANGED) and workflow_status and not troubled:
            word = word.replace(UNCHANGED, EARLIER)  # for then the workflow stopped before it came to this
        print(f"  {name}: {word}")
    if workflow_status or troubled:
        print("\nNOT ALL HAS RUN. What is finished is kept: put it right, and the same command goes on from here.")
    return int(bool(workflow_status or troubled))


def fate(folder: Path, name: str, since: float | None) -> str:
    """What became of one notebook, by the files that it left."""
    output = folder / f"{name}.ipynb"
    partial = unfinished_path(output)
    if partial.exists() and partial.stat().st_mtime >= (since or 0):
        where = f"what ran is in {partial.relative_to(ROOT)}"
        outside = "it was ended from outside before its last cell, or another process still runs it"
        return f"FAILED: {error_in(partial) or outside}\n    {where}"
    if not output.exists():
        return "NOT THERE: it did not begin, see above"
    early = EARLY if error_in(output) in ("SystemExit: 0", "SystemExit:") else ""  # which papermill takes for an end
    if since is None:
        return f"there{early}"
    return f"of this run{early}" if output.stat().st_mtime >= since else f"{UNCHANGED}{early}"


def error_in(notebook: Path) -> str | None:
    """The error that stopped a notebook, in one line; None where no cell has one."""
    try:
        cells = json.loads(notebook.read_text())["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        errors = [f"{output['ename']}: {output['evalue']}" for output in outputs if output["output_type"] == "error"]
    except (ValueError, LookupError, TypeError, AttributeError, OSError):
        return None  # no whole notebook: ended while it was written
    return " ".join(errors[-1].split()) if errors else None


def sweep_table(recipe: str) -> pd.DataFrame:
    """A sweep's rows, one for each variant and generator: mean over its seeds and their spread, in nats."""
    rows = []
    for folder in sorted((RESULTS / "sweeps" / recipe).glob("*")):
        for name, label in (("G", "G"), ("ema", "averaged G")):
            if runs := records(folder / "mnist"):
                row = {"variant": folder.name, "model": label, "seeds": count_of_seeds(folder / "mnist")}
                rows.append(row | our_columns(runs, name, oracles(RESULTS)))
    return pd.DataFrame(rows)


def print_table(results: Path) -> None:
    try:
        show(table1(results))
    except (ResultsError, ValueError, KeyError, OSError) as error:  # what became of the notebooks is told all the same
        print(f"no table, since a file in {relative(results)} cannot be read: {error}")


def show(table: pd.DataFrame) -> None:
    with pd.option_context("display.width", 200, "display.max_columns", None, "display.max_colwidth", 60):
        print(table.to_string(index=False))


def main() -> int:
    parser = argparse.ArgumentParser(description="The tables of a workflow's run, and what became of its notebooks.")
    parser.add_argument("settings", help="such as quick; with --sweep a recipe, such as released")
    parser.add_argument("workflow_status", nargs="?", type=int, default=0, help="exit code of the workflow")
    parser.add_argument("since", nargs="?", type=float, help="when it began, as `date +%%s` says")
    parser.add_argument("--sweep", action="store_true", help="the table of results/sweeps/<recipe>/ instead")
    arguments = parser.parse_args()
    if not arguments.sweep:
        return report(arguments.settings, arguments.workflow_status, arguments.since)
    try:
        table = sweep_table(arguments.settings)
    except ResultsError as error:
        sys.exit(str(error))
    if table.empty:
        sys.exit(f"results/sweeps/{arguments.settings} holds no records: docs/cluster.md says how to make them")
    show(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
