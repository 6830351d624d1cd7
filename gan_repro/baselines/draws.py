"""What the way of drawing decides: the net of a record, drawn from along other numbers of chains or from other starts.

Scored on validation images, by draws of its own: that of a training chose the epoch. No test image is looked at.
`python -m gan_repro.baselines.draws deep_gsn --seed 1` writes results/draws/deep_gsn_seed1.json, with samples beside
it, from the checkpoint of that run in runs/again/; where there is none, the run is trained anew.
"""

import argparse
import sys
import time
from dataclasses import replace
from typing import Any

import torch

from gan_repro.baselines.dbn import BITS, PERSISTENT
from gan_repro.baselines.fit import DATA, MODELS, Fit, locked_run, rng_for
from gan_repro.baselines.kept import in_nats, in_words
from gan_repro.download import DataError
from gan_repro.paths import RESULTS, RUNS
from gan_repro.results import read_results, relative, write_results
from gan_repro.scoring import REDRAWS
from gan_repro.weights import pack_samples, write_beside

WAYS: list[dict[str, Any]] = [
    {"num_chains": 1, "burn_in": 1, "thin": 1},  # every step is a sample: authors' run_gsn.py, but for its start
    *({"num_chains": number} for number in (10, 100, 1000)),
    {"burn_in": 5000},  # along the record's number of chains, but far from their start
]
STARTS_TRIED = {"rbm": [{"start": BITS}], "dbn": [{"start": PERSISTENT}]}  # where the record's begin elsewhere
NUMBERS = (max(REDRAWS) + 1, max(REDRAWS) + 2)  # two draws of each way, since scores of slow chains differ by much
FEW, MANY = 50, 500


def settings_of(record: dict[str, Any]) -> Fit:
    """What decided the run of a record."""
    config = record["config"]
    return Fit(**config | {"model_config": type(MODELS[config["model"]][1])(**config["model_config"])})


def draws(folder: str, seed: int) -> dict[str, Any]:
    """Score all WAYS to draw from the net of a record in a folder of results/, write what came of it, and return it.

    A net that is trained anew, on another machine or by other code, may be another: that is said. Raises ValueError
    where its model does not draw along chains, or the record is of other data or of an older recipe; ResultsError,
    DataError and RuntimeError as `fit.fit` does.
    """
    record_path, path = RESULTS / folder / f"seed{seed}.json", RESULTS / "draws" / f"{folder}_seed{seed}.json"
    record = read_results(record_path, "baseline")
    settings, data = settings_of(record), DATA[record["data"]]()
    if not hasattr(settings.model_config, "num_chains"):
        why = "whose samples are independent: it has no chains"
        raise ValueError(f"{relative(record_path)} is of a {settings.model}, {why}")
    if settings.identity(data.md5) != record["identity"]:
        raise ValueError(f"{relative(record_path)} is of other data or of an older recipe: make it anew first")
    ways, kept = [], {}
    with locked_run(settings, data, RUNS / "again", print) as fitter:
        fitter.train()
        epoch, state = fitter.best
        if not (same_net := fitter.best_scores() == record["metrics"]["validation"]):
            print(f"trained anew, not to the bits of {relative(record_path)}: the draws are of another net")
        fitter.model.load_state_dict(state)
        for changed in WAYS + STARTS_TRIED.get(settings.model, []):
            began = time.perf_counter()
            fitter.model.config = config = replace(settings.model_config, **changed)
            drawn = [fitter.draw(number) for number in NUMBERS]
            kept[in_words(changed)] = drawn[0][some_of(len(drawn[0]), config.num_chains, rng_for(seed, "kept"))]
            ways.append({"changed": changed, "validation": [fitter.validation_scores(samples) for samples in drawn]})
            ways[-1] |= {"kept": len(kept[in_words(changed)]), "seconds": round(time.perf_counter() - began, 1)}
            print(f"{in_words(changed)}: {in_nats(ways[-1])} nats ({ways[-1]['seconds']:.0f} s)")
    contents = {
        "experiment": folder,
        "data": record["data"],
        "data_md5": data.md5,
        "seed": seed,
        "epoch": epoch,
        "same_net": same_net,
        "ways": ways,
        "samples": write_beside(path, "samples", pack_samples(kept)),
    }
    command = f".venv/bin/python -m gan_repro.baselines.draws {folder} --seed {seed}"
    return write_results(path, "draws", contents, command=command, trainer="gan_repro.baselines.fit")


def some_of(num_samples: int, num_chains: int, rng: torch.Generator) -> torch.Tensor:
    """Rows to keep of samples along chains: MANY, of different chains, where there are so many (08_parzen_window judges
    these by other measures; they are independent if the chains begin so); else FEW to look at, of different chains if
    possible."""
    first = min(num_chains, num_samples)  # these are of one chain each: chains.along_chains
    count = MANY if first >= MANY else FEW
    return torch.randperm(first if first >= FEW else num_samples, generator=rng)[:count]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gan_repro.baselines.draws", description="Score other ways to draw from the net of a record."
    )
    parser.add_argument("folder", help="of results/, such as deep_gsn")
    parser.add_argument("--seed", type=int, default=0, help="of the record in it")
    arguments = parser.parse_args()
    try:
        draws(arguments.folder, arguments.seed)
    except (ValueError, DataError, RuntimeError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
