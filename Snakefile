# Which notebook needs which; papermill runs each one, with the parameters in settings/<settings>/<notebook>.yaml.
#     .venv/bin/snakemake --cores 2 --config settings=quick      (or smoke, or paper)
#     .venv/bin/snakemake --cores 2 seeds                        (the runs of record: hours each)
# A job computes with one thread: two side by side do more than one job with two, and do not get into each other's way.

import sys
from pathlib import Path

SEEDS = {"released": [0, 1], "fast": [0, 1, 2, 3, 4]}  # of record: settings/released and settings/fast
SETTINGS = config.get("settings", "quick")
NEEDS = {  # a notebook reads results that these write
    "00_start_here": ["03_mnist", "08_parzen_window"],
    "03_mnist": [],
    "08_parzen_window": ["03_mnist"],
    "13_table1": ["03_mnist", "08_parzen_window"],
}


wildcard_constraints:
    settings="[^/]+",
    name="|".join(NEEDS),
    recipe="|".join(SEEDS),
    seed="[0-9]+",


rule all:
    input:
        [f"executed/{SETTINGS}/{name}.ipynb" for name in NEEDS],


rule notebook:
    input:
        notebook="notebooks/{name}.ipynb",
        settings=lambda wildcards: [
            str(path) for path in [Path(f"settings/{wildcards.settings}/{wildcards.name}.yaml")] if path.exists()
        ],
        package=[str(path) for path in sorted(Path("gan_repro").glob("*.py"))],
        upstream=lambda wildcards: [f"executed/{wildcards.settings}/{name}.ipynb" for name in NEEDS[wildcards.name]],
    output:
        "executed/{settings}/{name}.ipynb",
    threads: 1
    params:
        python=sys.executable,
    shell:
        "OMP_NUM_THREADS={threads} {params.python:q} -m gan_repro.notebooks {wildcards.name}"
        " --settings {wildcards.settings} --output {output:q}"


rule seeds:
    input:
        [f"executed/{recipe}/seed{seed}/03_mnist.ipynb" for recipe, seeds in SEEDS.items() for seed in seeds],


rule seed:
    input:
        notebook="notebooks/03_mnist.ipynb",
        settings="settings/{recipe}/03_mnist.yaml",
    output:
        "executed/{recipe}/seed{seed}/03_mnist.ipynb",
    threads: 1
    params:
        python=sys.executable,
    shell:
        "OMP_NUM_THREADS={threads} {params.python:q} -m gan_repro.notebooks 03_mnist"
        " --settings {wildcards.recipe} --seed {wildcards.seed} --output {output:q}"
