"""What is kept beside a record: weights, or samples where these are too large, as safetensors in eight bits a number,
named by their hash in the record. Samples are compressed besides: digits, mostly black, to a third, others less.
"""

import lzma
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gan_repro.config import TrainingConfig
from gan_repro.files import sha256_of
from gan_repro.models import Generator
from gan_repro.paths import SAMPLES, WEIGHTS
from gan_repro.results import ResultsError, relative, write_whole

SCALE = ".scale"
PRECISION = "int8"
XZ = b"\xfd7zXZ\0"  # how a file that is compressed by xz begins


def pack(weights_by_name: dict[str, dict[str, Tensor]]) -> bytes:
    """The contents of a weights file: of each generator (its name: its state dict) every weight in eight bits."""
    kept = {}
    for name, weights in weights_by_name.items():
        for key, value in weights.items():
            kept |= in_eight_bits(f"{name}.{key}", value.cpu())
    return save(kept, metadata={"format": "pt"})


def in_eight_bits(key: str, value: Tensor) -> dict[str, Tensor]:
    """A weight matrix as whole numbers from -127 to 127 with a scale for each row; a vector as it is.

    A quarter of the size; the score of G moved by 0.01 and that of the average by 0.1 nats on the first run of record.
    """
    if value.dim() < 2:
        return {key: value.contiguous()}
    scale = (value.abs().amax(dim=1, keepdim=True) / 127).clamp_min(torch.finfo(value.dtype).tiny)
    return {key: (value / scale).round().to(torch.int8).contiguous(), key + SCALE: scale}


def unpack(data: bytes, config: TrainingConfig, name: str) -> Generator:
    """One generator of a weights file's contents, in float32: "G", or "ema" for the average of G's weights.

    Raises ValueError if the contents are not safetensors (pickles are never read), or are not the finite weights of
    the generator that config describes.
    """
    kept = _load(data)
    weights = {
        key.removeprefix(f"{name}."): value.float() * kept.get(key + SCALE, 1)
        for key, value in kept.items()
        if key.startswith(f"{name}.") and not key.endswith(SCALE)
    }
    G = Generator(num_z=config.num_z, num_hidden=config.num_hidden)
    expected = {key: tuple(value.shape) for key, value in G.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in weights.items()}
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            raise ValueError(f"{name}.{key} has shape {found.get(key)}, its generator has {expected.get(key)} there")
        if not weights[key].isfinite().all():
            raise ValueError(f"{name}.{key} holds NaN or infinity")
    G.load_state_dict(weights)
    return G.requires_grad_(False)


def _load(data: bytes) -> dict[str, Tensor]:
    try:
        return load(data)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"they are not in the safetensors format, and no other is read ({error})") from None


def pack_samples(samples_by_name: dict[str, Tensor]) -> bytes:
    """The contents of a samples file: of each generator (its name: samples, one a row) every number in eight bits."""
    kept = {}
    for name, samples in samples_by_name.items():
        kept |= in_eight_bits(name, samples.cpu())
    return lzma.compress(save(kept, metadata={"format": "pt"}))


def sample_names(data: bytes) -> set[str]:
    """The generators that a samples file's contents are of. Raises ValueError if they are not safetensors."""
    return {key for key in _load(_decompressed(data)) if not key.endswith(SCALE)}


def unpack_samples(data: bytes, name: str) -> Tensor:
    """One generator's samples, (n, num_pixels) float32. Raises ValueError if the contents are not safetensors, lack
    them, or are not finite."""
    kept = _load(_decompressed(data))
    if name not in kept or name + SCALE not in kept:
        raise ValueError(f'they have none of "{name}"')
    samples = kept[name].float() * kept[name + SCALE]
    if not samples.isfinite().all():
        raise ValueError(f"{name} holds NaN or infinity")
    return samples


def _decompressed(data: bytes) -> bytes:
    if not data.startswith(XZ):  # of a record from before samples were compressed, or no samples at all
        return data
    try:
        return lzma.decompress(data)
    except lzma.LZMAError as error:
        raise ValueError(f"they cannot be decompressed ({error})") from None


def write_beside(path: Path, what: str, kept: bytes) -> dict[str, str]:
    """Write the contents of a file of "weights" or "samples" beside the record at `path`, and return how it names them
    there.

    Raises ResultsError if it cannot be written.
    """
    file = path.with_suffix({"weights": WEIGHTS, "samples": SAMPLES}[what])
    write_whole(file, kept)
    return {"file": file.name, "sha256": sha256(kept).hexdigest()}


def what_is_kept(record: dict[str, Any]) -> str:
    """What a record has beside it: "weights" or "samples"."""
    return "weights" if "weights" in record else "samples"


def kept_beside(path: Path, record: dict[str, Any]) -> Path:
    """The file of weights or samples of the record at `path`.

    Raises ResultsError if it is missing or not the one by its hash.
    """
    what = what_is_kept(record)
    file = path.with_name(record[what]["file"])
    try:
        found = sha256_of(file)
    except FileNotFoundError:
        missing = f"the {what} {relative(file)} of {path.name} are missing"
        way_out = "restore them from git if they are kept there, or make them anew"
        raise ResultsError(f"{missing}: {way_out}") from None
    except OSError as error:
        raise ResultsError(f"the {what} {relative(file)} cannot be read: {error.strerror or error}") from None
    if found != record[what]["sha256"]:
        wrong = f"the {what} {relative(file)} are not those of {path.name}: their hash differs"
        raise ResultsError(f"{wrong}; restore both files from git if they are kept there, or make them anew")
    return file
