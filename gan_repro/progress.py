"""The progress report of a training run: plain lines, which read the same in a terminal, in Jupyter and in papermill.

(papermill keeps neither widgets nor lines that overwrite themselves; so only a terminal gets one of the latter.)
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from gan_repro.config import TrainingConfig

HEADER = "epoch    D(x)  D(G(z))   D loss   G loss   validation: G   average   s/epoch   left at most"


class Progress:
    """Prints a row for every scored epoch, and between them, in a terminal, where the epoch stands."""

    def __init__(self, config: TrainingConfig, epochs_done: int, show: Callable[[str], None] | None):
        self.config, self.show, self.first = config, show, epochs_done
        self.in_terminal = show is print and sys.stdout.isatty()
        self.began = self.last_status = time.perf_counter()
        self.rows = 0

    def step(self, step: int, seconds: float) -> None:
        """A step of the epoch is done: at most four status lines a second."""
        now = time.perf_counter()
        if self.in_terminal and now - self.last_status > 0.25:
            self.last_status = now
            epoch = self.epochs_done() + 1
            print(f"\repoch {epoch}: step {step} of {self.config.steps_per_epoch}", end="\033[K", flush=True)

    def epochs_done(self) -> int:
        return self.first + self.rows

    def epoch(self, row: dict[str, Any], seconds: float) -> None:
        """An epoch is done: row as in `Run.history`."""
        self.rows += 1
        if self.show is None or "G" not in row:
            return
        if self.in_terminal:
            print("\r\033[K", end="")
        if not getattr(self, "header_shown", False):
            self.header_shown = True
            self.show(HEADER)
        per_epoch = (time.perf_counter() - self.began) / self.rows
        left = per_epoch * (self.config.max_epochs - row["epoch"])
        self.show(
            f"{row['epoch']:5d}  {row['D_x']:6.3f}  {row['D_G_z']:7.3f} {row['d_loss']:8.4f} {row['g_loss']:8.4f}  "
            f"{row['G']['authors']['log_likelihood']:9.1f} nats {row['ema']['authors']['log_likelihood']:9.1f}  "
            f"{per_epoch:8.1f}   {duration(left)}"
        )


def duration(seconds: float) -> str:
    """1:02:03, or 2:03 below an hour."""
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{s:02d}" if hours else f"{minutes}:{s:02d}"
