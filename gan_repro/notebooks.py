"""Running notebooks headless: by papermill with other parameters, or in place for what is committed."""

import argparse
import sys
from pathlib import Path
from typing import Any

import nbformat
import papermill
import yaml
from nbclient import NotebookClient

from gan_repro.files import write_atomically
from gan_repro.paths import ROOT

NOTEBOOKS = ROOT / "notebooks"


def notebook_names() -> list[str]:
    """The numbered notebooks in order, without the ending."""
    return sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def settings(name: str, which: str) -> dict[str, Any]:
    """The parameters settings/<which>/<name>.yaml gives a notebook: none where there is no such file."""
    path = ROOT / "settings" / which / f"{name}.yaml"
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def run(name: str, parameters: dict[str, Any], output: Path) -> None:
    """Run a notebook by papermill into output, which appears only when the whole notebook has run.

    Raises ValueError for a parameter that the notebook does not have (papermill would only warn), and
    papermill's PapermillExecutionError for a cell that fails; what ran then stands in <output>.failed.ipynb.
    """
    source = NOTEBOOKS / f"{name}.ipynb"
    unknown = set(parameters) - set(papermill.inspect_notebook(source))
    if unknown:
        raise ValueError(f"{name} has no parameter {', '.join(sorted(unknown))}: its parameters cell lists what it has")
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_suffix(".failed.ipynb")
    papermill.execute_notebook(
        source, partial, parameters, cwd=NOTEBOOKS, kernel_name="python3", progress_bar=False, log_output=False
    )
    partial.replace(output)


def run_in_place(name: str) -> None:
    """Run a notebook at its defaults and keep the outputs in it: execution counts 1, 2, 3, no times."""
    path = NOTEBOOKS / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=None, kernel_name="python3", record_timing=False, resources={"metadata": {"path": NOTEBOOKS}}
    )
    client.execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    write_atomically(path, nbformat.writes(notebook) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Run notebooks in place, or one with the settings of a folder.")
    parser.add_argument("names", nargs="*", help="such as 03_mnist; all if none is given")
    parser.add_argument("--settings", help="folder below settings/; without it the notebooks run in place")
    parser.add_argument("--seed", type=int, help="instead of the settings' (with --settings)")
    parser.add_argument("--output", type=Path, help="where the executed notebook goes (with --settings, one name)")
    arguments = parser.parse_args()
    for name in arguments.names or notebook_names():
        if arguments.settings is None:
            print(f"{name}: running in place", flush=True)
            run_in_place(name)
            continue
        output = arguments.output or ROOT / "executed" / arguments.settings / f"{name}.ipynb"
        seed = {} if arguments.seed is None else {"seed": arguments.seed}
        try:
            run(name, settings(name, arguments.settings) | seed, output)
        except (ValueError, papermill.PapermillExecutionError) as error:
            sys.exit(f"{name} failed: {error}")


if __name__ == "__main__":
    main()
