"""Running notebooks headless: by papermill with other parameters, or in place for what is committed."""

import argparse
import sys
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from gan_repro.files import write_atomically
from gan_repro.paths import ROOT
from gan_repro.workflow import NOTEBOOKS, check, settings, values


def notebook_names() -> list[str]:
    """The numbered notebooks in order, without the ending."""
    return sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def run(name: str, parameters: dict[str, Any], output: Path) -> None:
    """Run a notebook by papermill into output, which appears only when the whole notebook has run.

    Raises ValueError for a parameter that the notebook does not have (papermill would only warn),
    papermill's PapermillExecutionError for a cell that fails, and nbclient's DeadKernelError where the notebook's
    process ends; what ran until then stands in <output>.unfinished.ipynb, as it does while the notebook runs.
    """
    check(name, parameters)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = unfinished_path(output)
    papermill.execute_notebook(
        NOTEBOOKS / f"{name}.ipynb",
        partial,
        parameters,
        cwd=NOTEBOOKS,
        kernel_name="python3",
        progress_bar=False,
        log_output=False,
    )
    partial.replace(output)


def unfinished_path(output: Path) -> Path:
    """Where a notebook stands until it has run to its end."""
    return output.with_suffix(".unfinished.ipynb")


def run_in_place(name: str) -> None:
    """Run a notebook at its defaults and keep the outputs in it: execution counts 1, 2, 3, no times.

    One that ends itself early, as 04_faces does without faces, is left as it was.
    """
    path = NOTEBOOKS / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:  # else what a cell printed the last time would stand as what this run said last
        if cell.cell_type == "code":
            cell.outputs = []
    client = NotebookClient(
        notebook, timeout=None, kernel_name="python3", record_timing=False, resources={"metadata": {"path": NOTEBOOKS}}
    )
    try:
        client.execute()
    except CellExecutionError as error:
        if error.ename != "SystemExit" or error.evalue not in ("", "0"):
            raise
        print(f"{name}: left as it was, since it ended early; it said: {said_last(notebook)}", flush=True)
        return
    # A busy machine sends what a cell prints in parts.
    notebook, _ = CoalesceStreamsPreprocessor(enabled=True)(notebook, {})
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    write_atomically(path, nbformat.writes(notebook) + "\n")


def said_last(notebook: nbformat.NotebookNode) -> str:
    """What the last cell that ran printed."""
    printed = [
        output.text for cell in notebook.cells for output in cell.get("outputs", []) if output.get("name") == "stdout"
    ]
    return printed[-1].strip() if printed else "nothing"


def main() -> None:
    parser = argparse.ArgumentParser(description="Run notebooks in place, or one with the settings of a folder.")
    parser.add_argument("names", nargs="*", help="such as 03_mnist; all if none is given")
    parser.add_argument("--settings", help="folder below settings/; without it the notebooks run in place")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="name=value", help="instead of the settings' (likewise)"
    )
    parser.add_argument("--output", type=Path, help="where the executed notebook goes (with --settings, one name)")
    arguments = parser.parse_args()
    for name in arguments.names or notebook_names():
        if arguments.settings is None:
            print(f"{name}: running in place", flush=True)
            run_in_place(name)
            continue
        output = arguments.output or ROOT / "executed" / arguments.settings / f"{name}.ipynb"
        try:
            run(name, settings(name, arguments.settings) | values(name, arguments.set), output)
        except DeadKernelError:
            sys.exit(f"{name} failed: its process was ended from outside, perhaps since memory ran out")
        except (ValueError, papermill.PapermillExecutionError) as error:
            sys.exit(f"{name} failed: {error}")


if __name__ == "__main__":
    main()
