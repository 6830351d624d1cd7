"""Writing files that are never half there, and naming their contents by a hash."""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

TEMPORARY = ".{}.{}.tmp"  # its file's name, and what no other process has


def write_atomically(path: Path | str, *parts: bytes | str | memoryview) -> None:
    """Write data (in one or more parts; text as UTF-8) so that path holds either what it held before or all of it.

    Makes the parent folders. The bytes go to a temporary file in the same folder, are flushed to disk and renamed.
    Raises OSError as the system gives it (disk full, read-only); path is then as before and no temporary file stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files are closed to other users, whatever the umask says.
    temporary = path.with_name(TEMPORARY.format(path.name, f"{os.getpid()}-{secrets.token_hex(4)}"))
    try:
        with open(temporary, "xb") as file:
            for part in parts:
                file.write(part.encode() if isinstance(part, str) else part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C too
        temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of path that killed processes left. Only where no other process can be writing path."""
    for leftover in path.parent.glob(TEMPORARY.format(path.name, "*")):
        with contextlib.suppress(OSError):  # it is in nobody's way
            leftover.unlink()


def md5_of(path: Path | str) -> str:
    """MD5 of a file's contents, 32 hexadecimal digits: against damage, not against forgery."""
    return _hash_of(path, "md5")


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file's contents, 64 hexadecimal digits."""
    return _hash_of(path, "sha256")


def _hash_of(path: Path | str, algorithm: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
