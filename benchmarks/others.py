"""How busy other programs kept the machine meanwhile: what tells a quiet run from a disturbed one."""

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")


class OtherPrograms:
    """From its making on, watches the processor time that neither this process nor its children take."""

    def __init__(self):
        self.began, self.other_seconds_before = time.perf_counter(), _other_seconds()

    def cores(self) -> float | None:
        """How many cores other programs kept busy on average, or None where the system does not tell (not Linux)."""
        if self.other_seconds_before is None:
            return None
        elapsed = time.perf_counter() - self.began
        return max(0.0, (_other_seconds() - self.other_seconds_before) / elapsed)


def _other_seconds() -> float | None:
    if not STAT.exists():
        return None
    ticks = [int(word) for word in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = ticks
    busy = (user + nice + system + interrupts + soft_interrupts + stolen) / os.sysconf("SC_CLK_TCK")
    return busy - sum(os.times()[:4])
