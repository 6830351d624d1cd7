"""Learning rate and steps of sampling of each model, chosen on validation images with as many tries a row of Table 1.

Five trainings that differ in what matters most for learning, then five ways to draw from the best of them (none for the
VAE, whose samples are independent), the longest search less than twice as long as the shortest. Every try is listed in
results/search/<model>_<data>.json, with its validation score; no test image is looked at.
`python -m gan_repro.baselines.search dbn`
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gan_repro.baselines.fit import DATA, MODELS, Fit, data_name, locked_run
from gan_repro.download import DataError
from gan_repro.pairs import Images
from gan_repro.paths import RESULTS, RUNS
from gan_repro.results import write_results
from gan_repro.training import score_of

# Of each training: the budget, six to ten minutes on a core. An epoch of the GSN costs as much as five of the DBN's.
EPOCHS = dict.fromkeys(MODELS, 20) | {"deep_gsn": 5}
TRAININGS: dict[str, list[dict[str, Any]]] = {
    "rbm": [{"lr": lr} for lr in (0.01, 0.02, 0.05, 0.1, 0.2)],
    "dbn": [{"lr": lr} for lr in (0.01, 0.02, 0.05, 0.1, 0.2)],
    "stacked_cae": [
        {"lr": lr, "contraction": contraction}
        for lr, contraction in ((0.0003, 1.0), (0.001, 1.0), (0.003, 1.0), (0.001, 0.1), (0.001, 3.0))
    ],
    "deep_gsn": [{"lr": lr} for lr in (0.25, 0.5, 1.0, 2.0, 4.0)],  # the authors' is for 1,000 epochs
    "vae": [{"lr": lr, "num_z": z} for lr, z in ((0.0003, 20), (0.001, 20), (0.003, 20), (0.001, 10), (0.001, 50))],
}
DRAWS: dict[str, list[dict[str, Any]]] = {
    "rbm": [{"burn_in": b, "thin": t} for b, t in ((200, 10), (200, 50), (1000, 10), (5000, 50), (5000, 200))],
    "dbn": [
        *({"burn_in": b, "thin": t} for b, t in ((200, 10), (1000, 10), (5000, 50), (5000, 200))),
        {"burn_in": 200, "thin": 10, "mean_field": False},
    ],
    "stacked_cae": [
        {"step_size": size, "burn_in": burn_in, "thin": 10}
        for size, burn_in in ((1.0, 200), (2.0, 200), (5.0, 200), (10.0, 200), (3.0, 1000))
    ],
    "deep_gsn": [{"burn_in": b, "thin": t} for b, t in ((100, 5), (100, 20), (1000, 1), (1000, 5), (1000, 20))],
    "vae": [],  # its samples are independent: there is nothing to choose
}  # fmt: skip


def search(
    settings: Fit,
    data: Images,
    path: Path,
    *,
    trainings: list[dict[str, Any]],
    draws: list[dict[str, Any]],
    runs: Path = RUNS,
    show: Callable[[str], None] | None = print,
) -> dict[str, Any]:
    """Try all, write what came of it to path, and return it.

    settings: what the tries have in common; the epochs of its model_config are the budget. A training that fails (a
    weight not finite) is listed with the reason in place of a score. Raises as `fit.fit` does, and RuntimeError if all
    trainings fail.
    """
    tries, best = [], None
    for changed in trainings:
        one = replace(settings, model_config=replace(settings.model_config, **changed))
        with locked_run(one, data, runs, show) as fitter:
            try:
                fitter.train()
            except FloatingPointError as error:
                tries.append({"stage": "training", "changed": changed, "failed": str(error)})
                continue
        scores = fitter.best_scores()
        tries.append({"stage": "training", "changed": changed, "epoch": fitter.best[0], "validation": scores})
        tries[-1]["seconds"] = round(fitter.seconds, 1)
        tries[-1]["history"] = [{k: v for k, v in row.items() if k != "validation"} for row in fitter.history]
        if best is None or score_of(scores) > score_of(best[1]):
            best = fitter, scores, changed
    if best is None:
        raise RuntimeError(f"every training of {settings.model} failed: try lower rates")
    fitter, scores, chosen = best
    fitter.model.load_state_dict(fitter.best[1])
    for changed in draws:
        began = time.perf_counter()
        fitter.model.config = replace(fitter.settings.model_config, **changed)
        drawn = fitter.validation_scores()
        tries.append({"stage": "draws", "changed": changed, "validation": drawn})
        tries[-1]["seconds"] = round(time.perf_counter() - began, 1)
        if score_of(drawn) > score_of(scores):
            scores, chosen = drawn, best[2] | changed
    contents = {
        "experiment": settings.model,
        "data": data_name(data),
        "data_md5": data.md5,
        "seed": settings.seed,
        "budget": {
            "epochs": settings.model_config.epochs,
            "num_train": settings.num_train,
            "num_valid": settings.num_valid,
            "num_samples": settings.num_samples,
        },
        "tries": tries,
        "chosen": chosen,
    }
    command = f".venv/bin/python -m gan_repro.baselines.search {settings.model} --data {data_name(data)}"
    return write_results(path, "search", contents, command=command, trainer="gan_repro.baselines.fit")


def main() -> None:
    parser = argparse.ArgumentParser(description="Choose a model's parameters on validation images.")
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--data", choices=DATA, default="MNIST")
    arguments = parser.parse_args()
    model, path = arguments.model, RESULTS / "search" / f"{arguments.model}_{arguments.data}.json"
    try:
        data = DATA[arguments.data]()
        config = replace(MODELS[model][1], num_visible=data.train.shape[1], epochs=EPOCHS[model])
        settings = Fit(model=model, model_config=config, num_train=len(data.train), num_valid=len(data.valid))
        search(settings, data, path, trainings=TRAININGS[model], draws=DRAWS[model])
    except (ValueError, DataError, RuntimeError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
