"""Highest resident memory of a piece of work, as the Linux kernel counts it (man 5 proc)."""

from collections.abc import Callable
from pathlib import Path

CLEAR_REFS = Path("/proc/self/clear_refs")  # where it is missing, the peak cannot be taken


def peak_above_present(work: Callable[[], object]) -> int:
    """Bytes by which work() raises this process's resident memory, at its highest, above what it holds before.

    Counted by VmHWM from zero: getrusage's maximum would begin with the peak of the process that started this one.
    """
    CLEAR_REFS.write_text("5")  # VmHWM counts from now on
    before = _resident("VmRSS")
    work()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    """Bytes of resident memory, now (VmRSS) or at its highest (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field + ":"))
    return 1024 * int(line.split()[1])
