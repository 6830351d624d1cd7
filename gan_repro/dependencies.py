"""Which modules of this package a notebook imports, and a fingerprint of the code that trains.

Both are read from the code's text, so nothing is imported or run: the workflow asks before it starts anything, and
`provenance.session` asks when a training begins.
"""

import ast
import contextlib
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

from gan_repro.paths import ROOT

TRAINER = "gan_repro.training"  # what trains the pairs
# What it imports, but decides no weight: a run is the same run after a change of these.
PLUMBING = {"__init__", "checkpoints", "dependencies", "download", "files", "paths", "progress", "provenance"}
# These score a run while it trains, and again when its record is written. A change of them rescores a finished run and
# does not train it anew; the epoch that was chosen stays the one that the run's own scores chose.
SCORING = {"faces", "parzen", "scoring"}


def sources() -> dict[Path, str]:
    """The text of each file of this package as it is now. (What is hidden or no text cannot be imported either.)"""
    found = {}
    for path in sorted((ROOT / "gan_repro").rglob("[!.]*.py")):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found[path] = path.read_text()
    return found


AT_START = sources()  # a process that lasts for hours goes on with the code that it imported


def notebook_modules(notebook: Path) -> list[Path]:
    """The files of this package that a notebook imports, and all that these import, in order of their names."""
    return closure({name for cell in code_cells(notebook) for name in imports(without_magics(cell["source"]))})


def module_modules(name: str) -> list[Path]:
    """The file of one module, such as "gan_repro.training", and of all that it imports in this package."""
    return closure({name})


@cache
def code_fingerprints(trainer: str = TRAINER) -> dict[str, str]:
    """A fingerprint for each module that decides what a training computes and what score it gets.

    trainer: the module that trains, of the pairs or of other models.
    """
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts[1:]): path for path in trained_by(trainer)}
    return {name: fingerprint(AT_START[path]) for name, path in modules.items() if name not in PLUMBING}


def training_fingerprint(trainer: str = TRAINER) -> str:
    """One fingerprint, 12 hexadecimal digits, of the modules that decide the weights of a training."""
    trains = {name: value for name, value in code_fingerprints(trainer).items() if name not in SCORING}
    return short_hash(json.dumps(trains, sort_keys=True))


def trained_by(trainer: str = TRAINER) -> list[Path]:
    return closure({trainer}, AT_START)


def fingerprint(code: str) -> str:
    """12 hexadecimal digits that change with the code, but not with comments, docstrings or layout.

    Another minor version of Python may write the same code in other words, and so have another fingerprint.
    """
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return short_hash(ast.unparse(tree))


def short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def code_cells(notebook: Path) -> list[dict]:
    """The code cells of a notebook file, each with its source as one text."""
    cells = json.loads(notebook.read_text())["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in cells if cell["cell_type"] == "code"]


def without_magics(source: str) -> str:
    """A cell's source with IPython's own lines (%magic, !command) as calls; nothing of a cell that is not Python.

    Such a cell imports nothing: it fails when it runs, and says why then.
    """
    from IPython.core.inputtransformer2 import TransformerManager  # here: a training does not need IPython

    try:
        source = TransformerManager().transform_cell(source)
        ast.parse(source)
    except SyntaxError:
        return ""
    return source


def imports(code: str, package: str = "gan_repro") -> Iterator[str]:
    """The dotted names that code may import from this package; package: where its relative imports start from."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]  # as in: from gan_repro import data
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "gan_repro")


def closure(names: set[str], texts: dict[Path, str] | None = None) -> list[Path]:
    """The files of the modules with these names, of the packages they lie in, and of all that these import.

    texts: as `sources` gives them; those of now if None.
    """
    texts = sources() if texts is None else texts
    found: set[Path] = set()
    waiting = list(names)
    while waiting:
        parts = waiting.pop().split(".")
        for end in range(1, len(parts) + 1):  # importing a.b runs a first
            folder = ROOT.joinpath(*parts[:end])
            is_package = folder / "__init__.py" in texts
            path = folder / "__init__.py" if is_package else folder.with_suffix(".py")
            if path not in found and path in texts:  # else it is the name of a function or class in a module
                found.add(path)
                package = parts[:end] if is_package else parts[: end - 1]
                waiting += imports(texts[path], ".".join(package))
    return sorted(found)
