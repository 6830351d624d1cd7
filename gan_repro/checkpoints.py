"""What a training run leaves on disk between epochs: one file with everything that resuming bit for bit needs."""

import io
import json
from pathlib import Path
from typing import Any

import torch

from gan_repro.files import write_atomically

NAME = "checkpoint.pt"


def save_checkpoint(folder: Path, tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write folder/checkpoint.pt: state dicts and tensors as torch saves them, facts (JSON) as text.

    The older checkpoint stays until the new one is whole on disk.
    """
    buffer = io.BytesIO()
    torch.save({"tensors": tensors, "facts": json.dumps(facts)}, buffer)
    write_atomically(folder / NAME, buffer.getbuffer())


def load_checkpoint(folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The tensors and facts of folder/checkpoint.pt, or None if there is none.

    Nothing in the file is executed (weights_only). Raises RuntimeError if the file is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        return saved["tensors"], json.loads(saved["facts"])
    except Exception as error:  # torch raises a dozen kinds, from EOFError to UnpicklingError
        raise RuntimeError(
            f"the checkpoint {path} cannot be read ({type(error).__name__}): it is damaged or not a checkpoint of "
            f"this project. Delete its folder {folder} to train this run from the start."
        ) from error
