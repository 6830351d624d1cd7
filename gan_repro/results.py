"""Results files: one format, described by results_schema.json here, checked when a file is written and when read."""

import functools
import hashlib
import json
import math
import os
import re
from pathlib import Path
from typing import Any

from gan_repro.dependencies import TRAINER
from gan_repro.files import write_atomically
from gan_repro.paths import ROOT
from gan_repro.provenance import session

SCHEMA = Path(__file__).with_name("results_schema.json")
VERSION = 1  # of the schema
CHECKSUM = re.compile(rb'\n "checksum": "([0-9a-f]{64})"\n}\n\Z')  # how every results file ends
EMPTY = b'\n "checksum": ""\n}\n'
_checked: set[bytes] = set()  # checksums of files that keep to the schema: a table reads a file several times


class ResultsError(RuntimeError):
    """A results or weights file is missing, damaged, or of another run than the one asked for."""


def write_results(
    path: Path, kind: str, contents: dict[str, Any], *, command: str, trainer: str = TRAINER
) -> dict[str, Any]:
    """Write one results file whole or not at all, and return what stands in it.

    kind and contents: as the schema has them; command: what makes this file again, in a clone of this repository;
    trainer: as of `provenance.session`.
    Raises ResultsError if the schema does not allow the contents or the file cannot be written.
    """
    made_by = {"command": command} | session(trainer=trainer)
    contents = {"schema": VERSION, "kind": kind} | contents | {"made_by": made_by}
    text = encode(contents)
    contents = json.loads(text)  # as a reader will get it
    _check(contents, path)
    write_whole(path, text)
    return contents


def write_whole(path: Path, data: bytes) -> None:
    """`files.write_atomically`, with a ResultsError that names the file where the system refuses."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise ResultsError(f"{relative(path)} cannot be written: {error.strerror or error}") from None


def encode(contents: dict[str, Any]) -> bytes:
    """The bytes of a results file: JSON in UTF-8, at its end the SHA-256 of all bytes but its own digits."""
    try:
        text = json.dumps(contents | {"checksum": ""}, indent=1, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ResultsError(f"results cannot be written: {error}; a number in them is NaN or infinite") from None
    data = text.encode() + b"\n"
    return data.removesuffix(EMPTY) + EMPTY.replace(b'""', b'"%s"' % hashlib.sha256(data).hexdigest().encode())


def read_results(path: Path, kind: str | None = None) -> dict[str, Any]:
    """The contents of a results file, of this kind if one is given.

    Raises ResultsError, with a way out, if the file is missing, cannot be read, was changed since it was written
    (by a single bit), does not keep to the schema, or is of another kind.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ResultsError(f"there is no results file {relative(path)}: run the notebook that makes it") from None
    except OSError as error:
        raise ResultsError(f"the results file {relative(path)} cannot be read: {error.strerror or error}") from None
    end = CHECKSUM.search(data)
    if end is None:
        raise damaged(path, "it does not end with its checksum")
    if hashlib.sha256(data[: end.start()] + EMPTY).hexdigest().encode() != end[1]:
        raise damaged(path, "it was changed after it was written")
    try:
        contents = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"it is not JSON ({error})") from None
    if end[1] not in _checked:
        _check(contents, path)
        _checked.add(end[1])
    if kind not in (None, contents["kind"]):
        raise damaged(path, f'it is of the kind "{contents["kind"]}", not "{kind}"')
    return contents


def record_paths(folder: Path) -> list[Path]:
    """The files seed<number>.json of a results folder, in the order of their seeds."""
    found = [path for path in folder.glob("seed*.json") if path.stem.removeprefix("seed").isdecimal()]
    return sorted(found, key=lambda path: int(path.stem.removeprefix("seed")))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def damaged(path: Path, why: str) -> ResultsError:
    """That a file is not what it should be, with the way out."""
    way_out = "restore it from git if it is kept there, or remove it and make it anew"
    return ResultsError(f"the results file {relative(path)} is damaged: {why}; {way_out}")


def _check(contents: Any, path: Path) -> None:
    """Raises ResultsError where the schema does not allow the contents."""
    from jsonschema.exceptions import best_match  # here: it takes a tenth of a second

    if error := best_match(_validator().iter_errors(contents)):
        where = error.json_path.removeprefix("$").removeprefix(".") or "its top level"
        problem = f"{where}: {error.message[:300]}"
        raise damaged(path, f"it does not keep to {relative(SCHEMA)}: {problem}")


@functools.cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA.read_text()))


def relative(path: Path) -> str:
    """A path as a reader of this repository writes it."""
    path = Path(os.path.abspath(path))  # not resolve: a loop of links has no end
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def nats(value: float, error: float | None = None) -> str:
    """A log-likelihood as tables print it: 225.1 or 225.1 ± 1.9."""
    if not math.isfinite(value):
        return "not finite"
    return f"{value:.1f}" if error is None else f"{value:.1f} ± {error:.1f}"
