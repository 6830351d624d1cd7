"""Train one model of Table 1's other rows from the command line: what the command in every record calls."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from gan_repro.baselines.fit import DATA, FIXED, MODELS, Fit, fit
from gan_repro.download import DataError
from gan_repro.pairs import Images
from gan_repro.paths import RESULTS, RUNS
from gan_repro.results import read_results, relative
from gan_repro.words import check_all_taken, split_words, with_fields


def parse(model: str, data: Images, words: list[str], chosen: dict[str, Any] | None = None) -> Fit:
    """The settings that words like lr=0.1 make of a model's defaults, and of what the data are. Raises ValueError.

    chosen: of the model's configuration, what a search chose; words win over it.
    """
    given = split_words(words)
    config = replace(MODELS[model][1], num_visible=data.train.shape[1], **chosen or {})
    config = with_fields(config, given, FIXED)
    settings = Fit(model=model, model_config=config, num_train=len(data.train), num_valid=len(data.valid))
    settings = with_fields(settings, given, FIXED)
    check_all_taken(given, model, settings, config, fixed=FIXED)
    return settings


def choice(search: Path, data: Images, words: list[str]) -> dict[str, Any]:
    """What a search chose. Raises ValueError where it was on other data, or where words do not say how long to train:
    a search's trainings are short. Raises ResultsError if it cannot be read."""
    found = read_results(search, "search")
    if found["data_md5"] != data.md5:
        raise ValueError(f"{relative(search)} was made on other data: search anew, or leave --chosen out")
    if not any(word.startswith("epochs=") for word in words):
        tried = found["budget"]["epochs"]
        raise ValueError(f"--chosen leaves the length open: add epochs=N (the search trained for {tried} a try)")
    return found["chosen"]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gan_repro.baselines", description="Train a model into results/again/ and runs/again/."
    )
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--data", choices=DATA, default="MNIST")
    parser.add_argument(
        "parameters", nargs="*", metavar="name=value", help="of fit.Fit and of the model's configuration"
    )
    parser.add_argument(
        "--chosen",
        action="store_true",
        help="start from what results/search/<model>_<data>.json chose",
    )
    parser.add_argument("--experiment", help="folder of its record below --results; model and data if not given")
    parser.add_argument("--results", type=Path, help="instead of results/again/; its checkpoints stay in runs/again/")
    arguments = parser.parse_intermixed_args()  # options may stand before, between or after the parameters
    try:
        data = DATA[arguments.data]()
        experiment = f"{arguments.model}_{arguments.data}"
        search = RESULTS / "search" / f"{experiment}.json"
        chosen = choice(search, data, arguments.parameters) if arguments.chosen else None
        settings = parse(arguments.model, data, arguments.parameters, chosen)
        results = arguments.results or RESULTS / "again"
        fit(settings, data, results / (arguments.experiment or experiment), runs=RUNS / "again")
    except (ValueError, FloatingPointError, DataError, RuntimeError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
