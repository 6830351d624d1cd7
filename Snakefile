# The notebooks as jobs: papermill runs each one, with the parameters in settings/<settings>/<notebook>.yaml.
#     .venv/bin/snakemake --cores 2 --config settings=quick      (or smoke, or paper, or a folder of your own)
#     .venv/bin/snakemake --cores 2 seeds                        (the runs of record: hours each)
#     .venv/bin/snakemake --cores 2 results/sweeps/quick/lr={0.05,0.2}/mnist/seed{0..4}.json  (a sweep: docs/cluster.md)
# A job runs again when its notebook, its parameters, a module that it imports, or results that it reads have changed.
# A job computes with one thread: two side by side do more than one job with two, and do not get into each other's way.

import sys
from pathlib import Path

from filelock import FileLock, Timeout

from gan_repro.dependencies import TRAINER, module_modules, notebook_modules, training_fingerprint
from gan_repro.paths import ROOT, WEIGHTS
from gan_repro.workflow import AS_IS, NEEDS_CIFAR10, READS, READS_OF_RECORD, TRAINERS, WRITES, SettingsError, check_folder
from gan_repro.workflow import check_places, parameter_types, settings_path, variant

SEEDS = {"released": [0, 1], "fast": [0, 1, 2, 3, 4]}  # of record: settings/released and settings/fast
SETTINGS = config.get("settings", "quick")
DATA, CIFAR10 = "executed/data.txt", "executed/cifar10.txt"
# Runs lie in a folder named after the code that trains. So a change of it trains anew, a change of the scoring alone
# scores the same run again, and code that was taken back finds its old run.
TRAINING = {trainer: training_fingerprint(trainer) for trainer in (TRAINER, *TRAINERS.values())}
RUN = "OMP_NUM_THREADS={threads} {sys.executable:q} -m gan_repro.notebooks"


def or_stop(check, *arguments):
    """What check returns; a parameter that does not fit stops the workflow with one sentence."""
    try:
        return check(*arguments)
    except SettingsError as error:
        sys.exit(f"Nothing has run: {error}")


def relative(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def settings_file(name):
    """An input function: the checked settings file of this notebook, if there is one."""

    def checked(wildcards):
        which = wildcards.get("settings") or wildcards.recipe
        or_stop(check_folder, which)
        if "settings" in wildcards.keys():
            or_stop(check_places, name, which)
        if "variant" in wildcards.keys():
            or_stop(variant, name, wildcards.variant)
        return relative(path for path in [settings_path(name, which)] if path.exists())

    return checked


if unknown := set(config) - {"settings"}:
    sys.exit(f"Nothing has run: the workflow has no setting {', '.join(sorted(unknown))}: write --config settings=quick")
or_stop(check_folder, SETTINGS)


# Not Snakemake's own lock, which a killed process leaves behind. Two workflows at once would remove each other's results.
LOCK = FileLock("executed/lock", timeout=0)


onstart:
    try:
        Path("executed").mkdir(exist_ok=True)
        LOCK.acquire()
    except Timeout:
        sys.exit("Nothing has run: another workflow is at work in this folder; wait for it, or stop it first")


localrules:
    all,
    cifar10,
    data,
    seeds,


wildcard_constraints:
    settings="[^/]+",
    recipe="[^/]+",
    variant=f"{AS_IS}|[^/]*=[^/]*",
    seed="0|[1-9][0-9]*",


# Results are named too, so that one that was removed is made again.
rule all:
    input:
        [f"executed/{SETTINGS}/{name}.ipynb" for name in READS],
        [f"results/{SETTINGS}/{file}" for files in WRITES.values() for file in files],


# A stamp and not the files: they may lie in any folder, and whoever loads them checks that their MD5 is the one in
# gan_repro/download.py.
rule data:
    input:
        relative(module_modules("gan_repro.data")),
    output:
        DATA,
    shell:
        "{sys.executable:q} -m gan_repro.data > {output:q}"


rule cifar10:
    input:
        relative(module_modules("gan_repro.cifar10")),
    output:
        CIFAR10,
    shell:
        "{sys.executable:q} -m gan_repro.cifar10 > {output:q}"


# The results of these are outputs: Snakemake removes them before the job, so that they are always of the present code.
# Nothing that takes long is lost with them, since the training stays in runs/.
for name, reads in READS.items():

    rule:
        name:
            f"notebook_{name}"
        input:
            notebook=f"notebooks/{name}.ipynb",
            settings=settings_file(name),
            package=relative(notebook_modules(ROOT / "notebooks" / f"{name}.ipynb")),
            data=[DATA, CIFAR10] if name in NEEDS_CIFAR10 else DATA,
            lock="requirements.lock",
            results=[f"results/{{settings}}/{file}" for file in reads],
            of_record=READS_OF_RECORD.get(name, []),
        output:
            notebook=f"executed/{{settings}}/{name}.ipynb",
            results=[f"results/{{settings}}/{file}" for file in WRITES.get(name, [])],
        params:
            name=name,
            places=[
                f"{key}={place}"
                for key, place in {
                    "results_dir": "results/{settings}",
                    "runs_dir": f"runs/{{settings}}/{TRAINING[TRAINERS.get(name, TRAINER)]}",
                }.items()
                if key in parameter_types(name)
            ],
        threads: 1
        shell:
            RUN + " {params.name} --settings {wildcards.settings} --set {params.places:q} --output {output.notebook:q}"


rule seeds:
    input:
        [f"executed/{recipe}/seed{seed}/03_mnist.ipynb" for recipe, seeds in SEEDS.items() for seed in seeds],


# A run of record. Its results are committed and took hours, so they are no outputs, which Snakemake would remove; what
# trained them is told by training.RECIPE, and a finished run is returned as it is, whatever else has changed.
rule seed:
    input:
        notebook="notebooks/03_mnist.ipynb",
        settings=settings_file("03_mnist"),
        package=relative(notebook_modules(ROOT / "notebooks/03_mnist.ipynb")),
        data=DATA,
        lock="requirements.lock",
    output:
        "executed/{recipe}/seed{seed}/03_mnist.ipynb",
    wildcard_constraints:
        recipe="|".join(SEEDS),
    threads: 1
    shell:
        RUN + " 03_mnist --settings {wildcards.recipe} --set seed={wildcards.seed} --output {output:q}"


# Any number of seeds of any recipe, as it is (as_is) or with parameters changed (lr=0.05, or k=2,step=alternating):
# each variant has its results in results/sweeps/<recipe>/<variant>/.
rule sweep:
    input:
        notebook="notebooks/03_mnist.ipynb",
        settings=settings_file("03_mnist"),
        package=relative(notebook_modules(ROOT / "notebooks/03_mnist.ipynb")),
        data=DATA,
        lock="requirements.lock",
    output:
        notebook="executed/{recipe}/{variant}/seed{seed}/03_mnist.ipynb",
        results=[
            f"results/sweeps/{{recipe}}/{{variant}}/mnist/seed{{seed}}{ending}" for ending in (".json", WEIGHTS)
        ],
    params:
        changed=lambda wildcards: [part for part in wildcards.variant.split(",") if part != AS_IS],
        places=[
            "seed={seed}",
            "experiment=mnist",
            "overwrite=true",  # of an older recipe of the same name
            "results_dir=results/sweeps/{recipe}/{variant}",
            f"runs_dir=runs/sweeps/{{recipe}}/{{variant}}/{TRAINING[TRAINER]}",
        ],
    threads: 1
    shell:
        RUN + " 03_mnist --settings {wildcards.recipe} --set {params.places:q} {params.changed:q} --output {output.notebook:q}"
