"""The first updates of a training: does a start come through, or is a number soon not finite? For 05_cifar10_mlp.

    .venv/bin/python -m gan_repro.starts pair=cifar10_mlp seed=0

writes a file of results/starts/; words are fields of TrainingConfig, as of `python -m gan_repro.records`.
"""

import argparse
import math
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gan_repro import products
from gan_repro.config import TrainingConfig
from gan_repro.data import DataError
from gan_repro.game import Game
from gan_repro.pairs import Images
from gan_repro.paths import RESULTS
from gan_repro.records import config_of, load_images, not_as_released
from gan_repro.results import ResultsError, relative, write_results
from gan_repro.training import check_enough, recipe_of
from gan_repro.words import positive

EVERY = 10  # updates between two rows
NUM_UPDATES = 400  # an epoch of cifar10_mlp


def first_updates(
    config: TrainingConfig, data: Images, num_updates: int, show: Callable[[str], None] | None = print
) -> dict[str, Any]:
    """The first num_updates updates of a run, or as many as D's logits and G's draws are finite; nothing is kept of the
    nets.

    Returns came_through; updates, how many were done; rows, one for every tenth update and one before the first:
    update, norm (mean L2 norm of the draws from the first minibatch's z, as D sees images) and largest_logit (of these
    ten updates, absolute; none before the first). Raises ValueError as `training.train` does for the data, and for a
    stage 2, which begins with a trained stage 1.
    """
    if config.stage_1_epochs:
        raise ValueError(f"{config.pair} begins with a trained stage 1: look at the start of faces_stage_1")
    check_enough(config, data)
    game = Game(config, data.train[: config.num_train])
    z, rows, largest = game.noise("z", 0), [], 0.0

    def look(**found: float) -> bool:
        """Add a row, if the draws are finite, and say whether they are."""
        with torch.no_grad():
            norm = game.G(z).norm(dim=1).mean().item()
        if math.isfinite(norm):
            rows.append({"update": game.step, "norm": norm} | found)
            if show is not None:
                show(", ".join(f"{key} {value:.4g}" for key, value in rows[-1].items()))
        return math.isfinite(norm)

    look()
    while game.step < num_updates:
        game.update()
        logits = game.last_logits()
        is_finite = bool(logits.isfinite().all())
        largest = max(largest, logits.abs().max().item())
        if is_finite and game.step % EVERY == 0:
            is_finite, largest = look(largest_logit=largest), 0.0
        if not is_finite:
            return {"came_through": False, "updates": game.step, "rows": rows}
    return {"came_through": True, "updates": game.step, "rows": rows}


def file_of(config: TrainingConfig, num_updates: int) -> str:
    """The name of a start's file: its pair, its seed, and all else that decides what is in it."""
    other = {key: value for key, value in not_as_released(asdict(config)).items() if key not in ("pair", "seed")}
    words = [config.pair, f"seed{config.seed}", *(f"{key}_{value}" for key, value in other.items())]
    words += [f"updates_{num_updates}"] if num_updates != NUM_UPDATES else []
    words += ["plain_products"] if products.ONEDNN is None else []
    words += [f"threads_{threads}"] if (threads := torch.get_num_threads()) != 1 else []  # which rounds otherwise
    return "_".join(words) + ".json"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gan_repro.starts",
        description="The first updates of a run, into results/starts/.",
        epilog="Example: pair=cifar10_mlp seed=0 (minutes).",
    )
    parser.add_argument("--updates", type=positive, default=NUM_UPDATES, help=f"how many (default: {NUM_UPDATES})")
    parser.add_argument("--plain-products", action="store_true", help="torch's matrix products, not oneDNN's")
    parser.add_argument("--results", type=Path, default=RESULTS / "starts", help="the folder to write to")
    parser.add_argument("parameters", nargs="*", metavar="name=value", help="fields of TrainingConfig")
    arguments = parser.parse_intermixed_args()
    try:
        config = config_of(arguments.parameters)
        if arguments.plain_products:
            products.ONEDNN = None
        data, began = load_images(config.pair), time.perf_counter()
        found = first_updates(config, data, arguments.updates)
        contents = {"config": asdict(config), "recipe": recipe_of(config), "data_md5": data.md5, **found}
        contents |= {"plain_products": products.ONEDNN is None, "seconds": round(time.perf_counter() - began, 1)}
        path = arguments.results / file_of(config, arguments.updates)
        options = ["--updates", str(arguments.updates)] if arguments.updates != NUM_UPDATES else []
        options += ["--plain-products"] if arguments.plain_products else []
        command = ["python", "-m", "gan_repro.starts", *options, *arguments.parameters]
        threads = f"OMP_NUM_THREADS={torch.get_num_threads()}"  # another number rounds otherwise
        write_results(path, "start", contents, command=f"{threads} .venv/bin/{shlex.join(command)}")
    except (ValueError, DataError, ResultsError) as error:
        sys.exit(str(error))
    ended = "came through" if found["came_through"] else "a number is not finite"
    print(f"update {found['updates']}: {ended}; written: {relative(path)}")


if __name__ == "__main__":
    main()
