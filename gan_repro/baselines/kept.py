"""What is kept of the other models, as their notebooks show it: samples, a stretch of some chains, search and draws."""

from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from gan_repro.results import ResultsError, damaged, read_results, relative
from gan_repro.weights import kept_beside, unpack_samples


def read_kept(path: Path, name: str = "model") -> Tensor:
    """Samples beside the file at path, (n, d): of a record "model", drawn at random from those of the test score, or
    "chain", a stretch of some chains, step by step, chain after chain; of a file of draws those of a way, in words.

    Raises ResultsError if the file or its samples cannot be read.
    """
    kept = kept_beside(path, read_results(path))
    try:
        return unpack_samples(kept.read_bytes(), name)
    except ValueError as error:
        raise ResultsError(f"the samples {relative(kept)} cannot be used: {error}") from None


def tries(path: Path) -> pd.DataFrame:
    """What a search tried, in its order, with each try's validation score in nats and its best epoch.

    Stages: "training", and "draws": other ways to draw from the best of these. Raises ResultsError if the file cannot
    be read.
    """
    rows = []
    for one in read_results(path, "search")["tries"]:
        row = {"stage": one["stage"], "tried": in_words(one["changed"]), "validation": "failed"}
        if "validation" in one:
            row["validation"] = f"{one['validation']['authors']['log_likelihood']:.1f}"
        rows.append(row | {"best epoch": one.get("epoch", "–")})
    return pd.DataFrame(rows)


def minutes(path: Path) -> float:
    """What all tries of a search took, by the clock. Raises ResultsError likewise."""
    return sum(one.get("seconds", 0.0) for one in read_results(path, "search")["tries"]) / 60


def ways(path: Path) -> "pd.Series[str]":
    """Validation scores, in nats, of ways to draw from one net, one a draw, by the ways in words. Raises ResultsError
    likewise."""
    return pd.Series({in_words(one["changed"]): in_nats(one) for one in read_results(path, "draws")["ways"]})


def in_nats(way: dict[str, Any]) -> str:
    """The validation score of each draw of a way."""
    return ", ".join(f"{scores['authors']['log_likelihood']:.1f}" for scores in way["validation"])


def chosen(path: Path) -> str:
    """What the best try of a search changed, in words. Raises ResultsError if it cannot be read."""
    return in_words(read_results(path, "search")["chosen"])


def history(path: Path, **changed: float) -> list[dict[str, float]]:
    """What each epoch told of the training of a search that changed just this.

    Raises ResultsError if the search cannot be read or has no such training.
    """
    for one in read_results(path, "search")["tries"]:
        if one["stage"] == "training" and one["changed"] == changed and "history" in one:
            return one["history"]
    raise damaged(path, f"it has no training with {in_words(changed)}, epoch by epoch")


def in_words(changed: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in changed.items())
