"""What a training run leaves on disk between epochs: one file with everything that resuming bit for bit needs.

Its first line is "sha256 " and the hash of the rest, which is in torch's format: torch itself overlooks flipped bits.
"""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch

from gan_repro.files import remove_leftovers, write_atomically

NAME = "checkpoint.pt"
LENGTH_OF_FIRST_LINE = len("sha256 ") + 64 + 1


def save_checkpoint(folder: Path, tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write folder/checkpoint.pt: state dicts and tensors as torch saves them, facts (JSON) as text.

    The older checkpoint stays until the new one is whole on disk; raises OSError if it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"tensors": tensors, "facts": json.dumps(facts)}, buffer)
    content = buffer.getbuffer()
    write_atomically(folder / NAME, _first_line(content), content)


def _first_line(content: memoryview) -> bytes:
    return b"sha256 %s\n" % hashlib.sha256(content).hexdigest().encode()


def remove_unfinished(folder: Path) -> None:
    """Remove checkpoints that a killed process began to write in this folder. Only for who holds the folder's lock."""
    remove_leftovers(folder / NAME)


def load_checkpoint(folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The tensors and facts of folder/checkpoint.pt, or None if there is none.

    Nothing in the file is executed (weights_only). Raises RuntimeError if the file is damaged, by a single bit too.
    """
    path = folder / NAME
    try:
        data = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RuntimeError(f"the checkpoint {path} cannot be read: {error.strerror}") from None
    content = data[LENGTH_OF_FIRST_LINE:]
    if data[:LENGTH_OF_FIRST_LINE] != _first_line(content):
        raise damaged(folder, "its contents are not those of the hash in its first line")
    try:
        saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return saved["tensors"], json.loads(saved["facts"])
    except Exception as error:  # torch raises a dozen kinds, from EOFError to UnpicklingError
        raise damaged(folder, type(error).__name__) from error


def damaged(folder: Path, why: str) -> RuntimeError:
    """That the checkpoint in a folder cannot be used, with the way out."""
    return RuntimeError(
        f"the checkpoint {folder / NAME} cannot be read ({why}): it is damaged or not a checkpoint of this project. "
        f"Delete its folder {folder} to train this run from the start."
    )
