"""What the workflow knows of the notebooks: which results each writes and reads, and which parameters it takes.

Settings and variants are checked here, before anything runs: papermill would only warn of a name that a notebook does
not have, and train for hours at the default.
"""

import ast
import dataclasses
import difflib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from gan_repro.config import TrainingConfig, released
from gan_repro.dependencies import code_cells
from gan_repro.paths import BY_NUM_SAMPLES, FACE_PEERS, ORACLES, PEERS, ROOT, SAMPLES, STARTS, WEIGHTS, has_faces

NOTEBOOKS = ROOT / "notebooks"


def records_of(model: str, seeds: Iterable[int] = (0,)) -> list[str]:
    """The files of a model's runs of record, with what lies beside each."""
    beside = WEIGHTS if model.startswith("mnist") else SAMPLES
    return [f"{model}/seed{seed}{ending}" for seed in seeds for ending in (".json", beside)]


def draws_of(model: str, seeds: Iterable[int] = (0,)) -> list[str]:
    """The files of other ways to draw from the nets of a model's runs of record."""
    return [f"results/draws/{model}_seed{seed}{ending}" for seed in seeds for ending in (".json", SAMPLES)]


SEED_OF_RECORD = {"05_cifar10_mlp": 2}  # where it is not 0: at full width most starts of this pair fail
# Below the results folder of the settings.
RECORD = records_of("mnist")
WRITES = {  # of 09 to 11 the seeds that their num_seeds has in every settings
    "03_mnist": RECORD,
    # Without faces it says how to get them, and stops.
    "04_faces": [*records_of("faces"), *records_of("faces_stage_1")] if has_faces() else [],
    "05_cifar10_mlp": records_of("cifar10_mlp", [SEED_OF_RECORD["05_cifar10_mlp"]]),
    "06_cifar10_conv": records_of("cifar10_conv"),
    "08_parzen_window": [ORACLES, BY_NUM_SAMPLES],
    "09_dbn": records_of("dbn", range(3)),
    "10_stacked_cae": records_of("stacked_cae", range(3)),
    "11_deep_gsn": records_of("deep_gsn", range(3)),
    "12_more_models": [
        *records_of("rbm"),
        *records_of("vae"),
        PEERS,
        PEERS.replace(".json", SAMPLES),
    ],
}
OF_TABLE_1 = [
    "mnist/seed0.json",
    ORACLES,
    PEERS,
    *(f"{model}/seed{seed}.json" for model in ("dbn", "stacked_cae", "deep_gsn") for seed in range(3)),
    "rbm/seed0.json",
    "vae/seed0.json",
]
RECORDS_OF_OTHER_PAIRS = [
    file
    for name in ("04_faces", "05_cifar10_mlp", "06_cifar10_conv")
    for file in WRITES[name]
    if file.endswith(".json")
]
READS = {
    "00_start_here": [*OF_TABLE_1, *RECORDS_OF_OTHER_PAIRS],
    "01_theory": [],
    "02_one_dimensional_gan": [],
    "03_mnist": [],
    "04_faces": [],
    "05_cifar10_mlp": [],
    "06_cifar10_conv": WRITES["05_cifar10_mlp"][:1],
    "07_interpolation": RECORD,
    "08_parzen_window": RECORD,
    "09_dbn": [ORACLES],
    "10_stacked_cae": [ORACLES],
    "11_deep_gsn": [ORACLES],
    "12_more_models": [ORACLES],
    "13_table1": [*OF_TABLE_1, BY_NUM_SAMPLES],
    "14_table2": RECORD,
}
EXPERIMENTS = {  # the folders that these write to
    "03_mnist": "mnist",
    "04_faces": "faces",
    "05_cifar10_mlp": "cifar10_mlp",
    "06_cifar10_conv": "cifar10_conv",
    "09_dbn": "dbn",
    "10_stacked_cae": "stacked_cae",
    "11_deep_gsn": "deep_gsn",
}
# From the repository root, whatever the settings: no workflow makes these.
READS_OF_RECORD = {
    "03_mnist": [f"results/{ORACLES}", f"results/{BY_NUM_SAMPLES}"],
    "04_faces": [f"results/{FACE_PEERS}", "results/bench.json"],
    "05_cifar10_mlp": ["results/bench.json", *(f"results/{file}" for file in STARTS)],
    "06_cifar10_conv": ["results/bench.json"],
    "08_parzen_window": [
        *(f"results/{file}" for model in ("dbn", "stacked_cae", "deep_gsn") for file in records_of(model, range(3))),
        *(f"results/{file}" for model in ("rbm", "vae") for file in records_of(model)),
        *(file for model in ("dbn", "stacked_cae", "rbm") for file in draws_of(model)),
        *draws_of("deep_gsn", range(3)),
    ],
    "09_dbn": [
        "results/search/dbn_MNIST.json",
        *(f"results/dbn{what}/seed0.json" for what in ("", "_again", "_persistent")),
        *draws_of("dbn"),
    ],
    "10_stacked_cae": ["results/search/stacked_cae_MNIST.json", *draws_of("stacked_cae")],
    "11_deep_gsn": [
        *(f"results/search/deep_gsn_MNIST{tried}.json" for tried in ("", "_equal_bits")),
        *draws_of("deep_gsn", range(3)),
        *(f"results/{file}" for file in records_of("deep_gsn_long")),
        *draws_of("deep_gsn_long"),
    ],
    "12_more_models": draws_of("rbm"),
    "13_table1": [
        f"results/{FACE_PEERS}",
        *(f"results/{model}_FER-2013/seed0.json" for model in ("dbn", "stacked_cae", "deep_gsn")),
        "results/deep_gsn_FER-2013_lr2/seed0.json",
        *(f"results/{file}" for file in records_of("faces")),
    ],
    "14_table2": [
        "results/bench.json",
        *(f"results/{model}/seed{seed}.json" for model in ("dbn", "stacked_cae", "deep_gsn") for seed in range(3)),
        *(f"results/{model}/seed0.json" for model in ("rbm", "vae")),
    ],
}
# Which module trains what a notebook runs, where it is not the one that trains the pairs.
TRAINERS = dict.fromkeys(("09_dbn", "10_stacked_cae", "11_deep_gsn", "12_more_models"), "gan_repro.baselines.fit")

# A variant is what a sweep's folder is called: lr=0.05, or k=2,step=alternating, or this for the recipe itself.
AS_IS = "as_is"
# The pairs that these train. Their parameters are fields of a TrainingConfig, which knows what values can be used.
TRAINS = {
    "03_mnist": "mnist",
    "04_faces": "faces_stage_2",
    "05_cifar10_mlp": "cifar10_mlp",
    "06_cifar10_conv": "cifar10_conv",
}
NEEDS_CIFAR10 = {"05_cifar10_mlp", "06_cifar10_conv"}
# The workflow gives these, so that each run has its place.
PLACES = {"seed", "experiment", "results_dir", "runs_dir", "overwrite"}


class SettingsError(ValueError):
    """A parameter that a notebook does not have, or a value of another type; the message says where."""


def needs(name: str) -> set[str]:
    """The notebooks that write what this one reads, and those that they need."""
    direct = {other for other, files in WRITES.items() if set(files) & set(READS[name])}
    return direct.union(*map(needs, direct))


def settings(name: str, which: str) -> dict[str, Any]:
    """The parameters that settings/<which>/<name>.yaml gives a notebook, checked; none where there is no such file."""
    path = settings_path(name, which)
    if not path.exists():
        return {}
    where = path.relative_to(ROOT)
    try:
        parameters = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{where} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(parameters, dict):
        raise SettingsError(f"{where} holds no parameters: each line is to be `name: value`")
    check(name, parameters, f"{where}: ")
    return parameters


def settings_path(name: str, which: str) -> Path:
    return ROOT / "settings" / which / f"{name}.yaml"


def check_folder(which: str) -> None:
    """Raise SettingsError if there is no folder settings/<which>, or a file in it does not fit its notebook."""
    folder = ROOT / "settings" / which
    if not which or not folder.is_dir():
        there = ", ".join(sorted(path.name for path in folder.parent.iterdir() if path.is_dir()))
        raise SettingsError(f"there is no folder settings/{which}: there are {there}")
    for path in sorted(folder.glob("[!.]*")):
        if path.suffix != ".yaml" or not (NOTEBOOKS / f"{path.stem}.ipynb").exists():
            raise SettingsError(f"{path.relative_to(ROOT)} belongs to no notebook: name it after one, NN_name.yaml")
        settings(path.stem, which)


def check_places(name: str, which: str) -> None:
    """Raise SettingsError if the settings put the results elsewhere than the workflow looks for them."""
    given = settings(name, which)
    seed = SEED_OF_RECORD.get(name, 0)
    expected = {"seed": seed, "experiment": EXPERIMENTS.get(name), "results_dir": f"results/{which}"}
    for key, value in expected.items():
        if given.get(key, value) != value:
            raise SettingsError(
                f"settings/{which}/{name}.yaml: {key} is {given[key]!r}, but the workflow looks for {value!r}:"
                " leave it out (for other seeds see docs/cluster.md)"
            )


def check(name: str, parameters: dict[str, Any], where: str = "") -> None:
    """Raise SettingsError unless the notebook has all these parameters, with values of the types it states and, where
    it trains, such as can be used."""
    types = parameter_types(name)
    for key, value in parameters.items():
        if key not in types:
            near = difflib.get_close_matches(str(key), types, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"{where}{name} has no parameter {key}: its parameters cell lists what it has{hint}")
        if type(value).__name__ != types[key]:
            raise SettingsError(
                f"{where}{key} is {value!r}, {type(value).__name__}: {name} wants {EXAMPLES[types[key]]}"
            )
    if name in TRAINS:
        fields = {field.name for field in dataclasses.fields(TrainingConfig)}
        try:
            released(TRAINS[name], **{key: value for key, value in parameters.items() if key in fields})
        except ValueError as error:
            raise SettingsError(f"{where}{error}") from None


EXAMPLES = {
    "int": "a whole number",
    "float": "a number with a point, such as 1.0 or 1.0e-3",
    "bool": "true or false",
    "str": "text",
}


def variant(name: str, text: str) -> dict[str, Any]:
    """The parameters that the name of a variant states, such as lr=0.05 or k=2,step=alternating.

    Raises SettingsError.
    """
    if text == AS_IS:
        return {}
    parameters = values(name, text.split(","))
    if taken := PLACES & set(parameters):
        raise SettingsError(f"{text}: {', '.join(sorted(taken))} cannot be varied, since the workflow sets it itself")
    return parameters


def values(name: str, assignments: list[str]) -> dict[str, Any]:
    """Parameters of a notebook from texts like lr=0.05, each read as the type that the notebook states."""
    types, parameters = parameter_types(name), {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or key in parameters:
            raise SettingsError(f"{assignment!r} is not a parameter: write name=value, each name once ({name})")
        stated = types.get(key, "str")  # an unknown one is told below
        try:
            parameters[key] = READERS[stated](value)
        except (KeyError, ValueError):
            raise SettingsError(f"{assignment}: {name} wants {EXAMPLES[stated]} for {key}") from None
    check(name, parameters)
    return parameters


READERS = {"int": int, "float": float, "bool": {"true": True, "false": False}.__getitem__, "str": str}


@cache
def parameter_types(name: str) -> dict[str, str]:
    """Name and type of each parameter in a notebook's cell tagged `parameters`, as the cell states them.

    (papermill.inspect_notebook says the same, but takes seconds to import, and every start of the workflow asks.)
    """
    cells = [
        cell for cell in code_cells(NOTEBOOKS / f"{name}.ipynb") if "parameters" in cell["metadata"].get("tags", [])
    ]
    lines = [node for cell in cells for node in ast.parse(cell["source"]).body if isinstance(node, ast.AnnAssign)]
    return {line.target.id: line.annotation.id for line in lines}
