"""What the way of drawing decides: a run of record of a model with chains, drawn from along other numbers of them.

All ways are scored on validation images, as the tries of a search are, and no test image is looked at.
`python -m gan_repro.baselines.draws deep_gsn` writes results/search/deep_gsn_MNIST_chains.json, from the run's
checkpoint in runs/again/; where there is none, the run is trained anew.
"""

import argparse
import sys
from typing import Any

from gan_repro.baselines.fit import DATA, MODELS, Fit
from gan_repro.baselines.search import search
from gan_repro.download import DataError
from gan_repro.paths import RESULTS, RUNS
from gan_repro.results import read_results

WITH_CHAINS = {  # the models that draw along chains, with the ways to try
    "deep_gsn": [
        {"num_chains": 1, "burn_in": 1, "thin": 1},  # every step of one chain: authors' run_gsn.py, but for its start
        {"num_chains": 10},
        {"num_chains": 1000},
        {"num_chains": 10_000},  # one sample of each: independent draws
    ],
}


def settings_of(record: dict[str, Any]) -> Fit:
    """What decided the run of a record."""
    config = record["config"]
    return Fit(**config | {"model_config": type(MODELS[config["model"]][1])(**config["model_config"])})


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gan_repro.baselines.draws", description="Score other ways to draw from a run of record, seed 0."
    )
    parser.add_argument("model", choices=WITH_CHAINS)
    model, data = parser.parse_args().model, "MNIST"
    try:
        settings = settings_of(read_results(RESULTS / model / "seed0.json", "baseline"))
        search(
            settings,
            DATA[data](),
            RESULTS / "search" / f"{model}_{data}_chains.json",
            trainings=[{"num_chains": settings.model_config.num_chains}],
            draws=WITH_CHAINS[model],
            runs=RUNS / "again",
            command=f".venv/bin/python -m gan_repro.baselines.draws {model}",
        )
    except (ValueError, DataError, RuntimeError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
