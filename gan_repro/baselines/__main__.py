"""Train one model of Table 1's other rows from the command line: what the command in every record calls."""

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from gan_repro.baselines.fit import DATA, MODELS, Fit, fit
from gan_repro.download import DataError
from gan_repro.pairs import Images
from gan_repro.paths import RESULTS, RUNS
from gan_repro.results import read_results, relative


def with_fields(config: Any, given: dict[str, str]) -> Any:
    """config with the fields of these names, which are taken out of given, read as their types; not those of FIXED."""
    changed = {}
    for field in fields(config):
        if field.name in given and field.name not in FIXED:
            before, text = getattr(config, field.name), given.pop(field.name)
            try:
                changed[field.name] = READERS[type(before)](text)
            except (KeyError, ValueError):
                raise ValueError(f"{field.name} is {text!r}: it must be a value such as {before!r}") from None
    return replace(config, **changed)


FIXED = {"model", "model_config", "num_visible"}  # by the model's name and the data
READERS = {
    int: int,
    float: float,
    bool: {"True": True, "False": False}.__getitem__,
    tuple: lambda text: tuple(map(int, text.split(","))),
}


def parse(model: str, data: Images, words: list[str], chosen: dict[str, Any] | None = None) -> Fit:
    """The settings that words like lr=0.1 make of a model's defaults, and of what the data are. Raises ValueError.

    chosen: of the model's configuration, what a search chose; words win over it.
    """
    if bad := [word for word in words if "=" not in word]:
        raise ValueError(f"{bad[0]!r} is not a parameter: write name=value")
    given = dict(word.split("=", 1) for word in words)
    if len(given) < len(words):
        raise ValueError("a parameter is given twice")
    config = replace(MODELS[model][1], num_visible=data.train.shape[1], **chosen or {})
    config = with_fields(config, given)
    settings = with_fields(
        Fit(model=model, model_config=config, num_train=len(data.train), num_valid=len(data.valid)), given
    )
    if given:
        known = [field.name for one in (settings, config) for field in fields(one) if field.name not in FIXED]
        raise ValueError(f"{model} has no parameter {', '.join(given)}: it has {', '.join(known)}")
    return settings


def choice(search: Path, data: Images, words: list[str]) -> dict[str, Any]:
    """What a search chose. Raises ValueError where it was on other data, or where words do not say how long to train:
    a search's trainings are short. Raises ResultsError if it cannot be read."""
    found = read_results(search, "search")
    if found["data_md5"] != data.md5:
        raise ValueError(f"{relative(search)} was made on other data: search anew, or leave --chosen out")
    if not any(word.startswith("epochs=") for word in words):
        tried = found["budget"]["epochs"]
        raise ValueError(f"--chosen wants epochs=N: those of the search, {tried} a try, are no length for a run")
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
