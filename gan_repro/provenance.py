"""What a number was computed with: commit, versions, processor. Nothing that names a host or a user."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from gan_repro.dependencies import TRAINER, code_fingerprints
from gan_repro.paths import ROOT

# What a number may depend on: a change of tests, texts or other results makes no other number.
DECIDES = ("gan_repro", "benchmarks", "notebooks", "settings", "Makefile", "Snakefile", "requirements.lock")


def session(device: torch.device | str = "cpu", *, trainer: str = TRAINER) -> dict[str, Any]:
    """The commit, code, versions, machine and device of the computation that goes on now.

    code: a fingerprint of each module that decides weights or scores, since a commit with "+" does not tell the code;
    trainer: the module that trains.
    """
    return {
        "commit": commit(),
        "code": dict(code_fingerprints(trainer)),
        "versions": versions(),
        "machine": machine(),
        "device": torch.device(device).type,
    }


def changed_since(before: dict[str, Any], *, trainer: str = TRAINER) -> list[str]:
    """The modules that decide weights or scores and are not what they were in a session; none if it did not say."""
    then = before.get("code", {})
    return [name for name, now in code_fingerprints(trainer).items() if then and then.get(name) != now]


def machine() -> dict[str, Any]:
    """Processor model, number of threads, and system."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = models[0] if models else model
    return {"cpu": model, "threads": torch.get_num_threads(), "platform": f"{platform.system()} {platform.machine()}"}


def versions() -> dict[str, str]:
    """Of what decides the bits of a result."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("torch", "torchvision", "numpy")}


@cache  # as the code was when this process began
def commit() -> str:
    """The commit of this repository's working tree, "+" where files of DECIDES differ; "unknown" outside git."""
    try:
        top = _git("rev-parse", "--show-toplevel")
        if Path(top).resolve() != ROOT:  # the project lies inside another repository
            return "unknown"
        changed = _git("status", "--porcelain", "--", *DECIDES)
        return _git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


commit()  # asked at once: see dependencies.AT_START
