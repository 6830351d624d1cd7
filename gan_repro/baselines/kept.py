"""What is kept of the other models, as their notebooks show it: samples, a stretch of some chains, the search."""

from pathlib import Path

import pandas as pd
from torch import Tensor

from gan_repro.results import ResultsError, read_results, relative
from gan_repro.weights import kept_beside, unpack_samples


def read_kept(path: Path, name: str = "model") -> Tensor:
    """Samples beside the record at path, (n, d): "model", drawn at random from those of the test score; or "chain",
    a stretch of some chains, step by step, chain after chain.

    Raises ResultsError if the record or its samples cannot be read.
    """
    kept = kept_beside(path, read_results(path, "baseline"))
    try:
        return unpack_samples(kept.read_bytes(), name)
    except ValueError as error:
        raise ResultsError(f"the samples {relative(kept)} cannot be used: {error}") from None


def tries(path: Path) -> pd.DataFrame:
    """What a search tried, in its order, with each try's validation score in nats; the first column marks the best of
    all, which was chosen. Raises ResultsError if it cannot be read."""
    contents = read_results(path, "search")
    scores = [
        one["validation"]["authors"]["log_likelihood"] if "validation" in one else None for one in contents["tries"]
    ]
    best = max(score for score in scores if score is not None)
    rows = []
    for one, score in zip(contents["tries"], scores, strict=True):
        changed = ", ".join(f"{key} {value:g}" for key, value in one["changed"].items())
        row = {"": "chosen" if score == best else "", "stage": one["stage"], "tried": changed}
        row["validation"] = "failed" if score is None else f"{score:.1f}"
        rows.append(row | {"best epoch": one.get("epoch", "–")})
    return pd.DataFrame(rows)
