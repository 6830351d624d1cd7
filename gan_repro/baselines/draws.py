"""What the way of drawing decides: the net of a record, drawn from along other numbers of chains.

All ways are scored on validation images, as the tries of a search are, and no test image is looked at.
`python -m gan_repro.baselines.draws deep_gsn` writes results/search/deep_gsn_chains.json, of the net of seed 0 in
results/deep_gsn/, from the run's checkpoint in runs/again/; where there is none, the run is trained anew.
"""

import argparse
import sys
from typing import Any

from gan_repro.baselines.fit import DATA, MODELS, Fit
from gan_repro.baselines.search import search
from gan_repro.download import DataError
from gan_repro.paths import RESULTS, RUNS
from gan_repro.results import read_results, relative

WAYS: list[dict[str, Any]] = [
    {
        "num_chains": 1,
        "burn_in": 1,
        "thin": 1,
    },  # every step of one chain: the GSN authors' run_gsn.py, but for its start
    {"num_chains": 10},
    {"num_chains": 1000},
    {"num_chains": 10_000},  # one sample of each: independent draws
]


def settings_of(record: dict[str, Any]) -> Fit:
    """What decided the run of a record."""
    config = record["config"]
    return Fit(**config | {"model_config": type(MODELS[config["model"]][1])(**config["model_config"])})


def draws(folder: str) -> dict[str, Any]:
    """Score all WAYS to draw from the net of seed 0 in a folder of results/, write what came of it, and return it.

    Raises ValueError where its model does not draw along chains; ResultsError, DataError and RuntimeError as
    `fit.fit` does.
    """
    path = RESULTS / folder / "seed0.json"
    record = read_results(path, "baseline")
    settings = settings_of(record)
    if not hasattr(settings.model_config, "num_chains"):
        raise ValueError(f"{relative(path)} is of a {settings.model}, whose samples are independent: it has no chains")
    return search(
        settings,
        DATA[record["data"]](),
        RESULTS / "search" / f"{folder}_chains.json",
        trainings=[{"num_chains": settings.model_config.num_chains}],
        draws=WAYS,
        runs=RUNS / "again",
        command=f".venv/bin/python -m gan_repro.baselines.draws {folder}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gan_repro.baselines.draws", description="Score other ways to draw from the net of a record."
    )
    parser.add_argument("folder", help="of results/, such as deep_gsn; its seed 0 is drawn from")
    try:
        draws(parser.parse_args().folder)
    except (ValueError, DataError, RuntimeError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
