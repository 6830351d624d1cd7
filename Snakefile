# Which notebook needs which; papermill runs each one, with the parameters in settings/<settings>/<notebook>.yaml.
#     .venv/bin/snakemake --cores 2 --config settings=quick      (or smoke, or paper)
# A job computes with one thread: two side by side do more than one job with two, and do not get into each other's way.

import sys
from pathlib import Path

SETTINGS = config.get("settings", "quick")
NEEDS = {  # a notebook reads results that these write
    "00_start_here": ["03_mnist", "08_parzen_window"],
    "03_mnist": [],
    "08_parzen_window": ["03_mnist"],
    "13_table1": ["03_mnist", "08_parzen_window"],
}


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
