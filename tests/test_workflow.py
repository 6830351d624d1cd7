"""The workflow: what each job depends on, what a change reruns, and what is left when something fails."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import papermill
import pytest
import yaml
from filelock import FileLock

from gan_repro import dependencies, report, workflow
from gan_repro.notebooks import notebook_names
from gan_repro.paths import ROOT, data_dir
from gan_repro.provenance import session
from gan_repro.workflow import (
    READS,
    READS_OF_RECORD,
    TRAINERS,
    TRAINS,
    WRITES,
    SettingsError,
    needs,
    settings,
    values,
    variant,
)

PARTS = ["Snakefile", "Makefile", "README.md", "requirements.lock", "pyproject.toml"]
FOLDERS = ["gan_repro", "notebooks", "settings", "profiles"]
ALL = {f"notebook_{name}" for name in READS}
FIRST = {"notebook_03_mnist", "notebook_07_interpolation", "notebook_14_table2"}  # which read no results of 08
OTHER_DATA = {"notebook_04_faces", "notebook_05_cifar10_mlp", "notebook_06_cifar10_conv"}
ON_RECORDS = (
    ALL - OTHER_DATA - {"notebook_01_theory", "notebook_02_one_dimensional_gan"}
)  # which train nothing on MNIST


def copied_tree(folder):
    """The project without its results, but for what no workflow makes, where a test may change what it likes."""
    for name in PARTS:
        shutil.copy2(ROOT / name, folder / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    for name in {name for names in READS_OF_RECORD.values() for name in names}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture
def tree(tmp_path):
    return copied_tree(tmp_path)


def environment(tree):
    """Processes then import the package of the tree, on the data that is there."""
    paths = os.pathsep.join([str(tree), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": paths, "GAN_REPRO_DATA": str(data_dir().resolve()), "OMP_NUM_THREADS": "1"}


def snakemake(tree, *arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--nolock", "--rerun-incomplete", *arguments]
    return subprocess.run(command, cwd=tree, env=environment(tree), capture_output=True, text=True, timeout=300)


def jobs(tree, *arguments):
    """The rules that a dry run would run, without `all`, which runs nothing; and all that it said."""
    done = snakemake(tree, "--dry-run", "--printshellcmds", *arguments)
    assert done.returncode == 0, done.stderr
    told = done.stdout + done.stderr
    assert ("Job stats:" in told) != ("Nothing to be done" in told)
    return set(re.findall(r"^(\w+) +\d+$", told, re.MULTILINE)) - {"all", "total"}, told


def add(text):
    return lambda path: path.write_text(path.read_text() + text)


# What a notebook or module depends on -------------------------------------------------------------------------------

IMPORT_REALLY = """
import ast, json, os, sys
from pathlib import Path
import torch, torchvision, matplotlib.pyplot, seaborn, pandas, sklearn.cluster, papermill  # once, for all that follow
for notebook in sorted(Path("notebooks").glob("*.ipynb")):
    sys.stdout.flush()
    if os.fork():
        os.wait()
        continue
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["cell_type"] == "code":
            for node in ast.parse("".join(cell["source"])).body:
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    exec(ast.unparse(node))
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "gan_repro"]
    print(notebook.stem, *(module.__file__ for module in modules))
    sys.stdout.flush()
    os._exit(0)
"""


def test_a_notebook_depends_on_the_modules_that_python_loads_for_its_imports():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_REALLY],
        cwd=ROOT,
        env=environment(ROOT),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name: set(map(Path, files)) for name, *files in map(str.split, done.stdout.splitlines())}
    assert list(loaded) == notebook_names()
    for name, files in loaded.items():
        assert set(dependencies.notebook_modules(ROOT / "notebooks" / f"{name}.ipynb")) == files


@pytest.mark.parametrize(
    "code, names",
    [
        ("import gan_repro.data as d, os", {"gan_repro.data"}),
        ("from gan_repro import data", {"gan_repro", "gan_repro.data"}),
        ("from .data import to_unit", {"gan_repro.data", "gan_repro.data.to_unit"}),
        ("def f():\n    from gan_repro.data import to_unit", {"gan_repro.data", "gan_repro.data.to_unit"}),
        ("import gan_reproduction, torch\nfrom os import path", set()),
    ],
)
def test_every_way_to_import_is_seen(code, names):
    assert set(dependencies.imports(code)) == names


def test_a_cell_with_ipython_s_own_lines_still_tells_its_imports_and_one_that_is_not_python_stops_nothing():
    cell = "%matplotlib inline\n!ls\nfrom gan_repro import data"
    assert "gan_repro.data" in set(dependencies.imports(dependencies.without_magics(cell)))
    assert dependencies.without_magics("from gan_repro import (") == ""


def test_the_modules_that_decide_a_training_are_these():
    # A new module that training imports is among them until someone decides otherwise.
    assert set(dependencies.code_fingerprints()) - dependencies.SCORING == {
        "config", "data", "game", "losses", "models", "one_pass", "products", "steps", "streams", "training",
        "pairs", "layers", "contrast", "cifar10_conv_models", "cifar10_models", "face_models",
    }  # fmt: skip
    assert dependencies.SCORING < set(dependencies.code_fingerprints())
    assert dependencies.PLUMBING <= {path.stem for path in dependencies.trained_by()}


CODE = '''"""About."""

class A:
    """About A."""
    def f(self, x):
        """About f."""
        return x + 1  # one
'''


@pytest.mark.parametrize(
    "old, new, same",
    [
        ("# one", "# two", True),
        ("About f.", "What f is about.", True),
        ('    """About A."""\n', "", True),
        ("x + 1", "(x\n            + 1)", True),
        ("x + 1", "x + 2", False),
        ("return x", "'not a docstring'; return x", False),
        ("self, x", "self, x=0", False),
    ],
)
def test_a_fingerprint_changes_with_the_code_and_not_with_words_or_layout(old, new, same):
    assert old in CODE
    changed = dependencies.fingerprint(CODE.replace(old, new))
    assert (changed == dependencies.fingerprint(CODE)) == same


def test_fingerprints_are_of_the_code_that_a_process_began_with(tmp_path, monkeypatch):
    package = tmp_path / "gan_repro"
    package.mkdir()
    for name, text in {"__init__": "", "training": "from gan_repro import data\n", "data": "x = 1\n"}.items():
        (package / f"{name}.py").write_text(text)
    (package / ".#data.py").symlink_to("nowhere")  # as an editor leaves it
    (package / "scratch.py").write_bytes(b"\xff")
    monkeypatch.setattr(dependencies, "ROOT", tmp_path)
    monkeypatch.setattr(dependencies, "AT_START", dependencies.sources())
    before = dependencies.code_fingerprints.__wrapped__()
    assert set(before) == {"training", "data"}
    (package / "data.py").unlink()
    (package / "training.py").write_text("from gan_repro import other\n")
    assert dependencies.code_fingerprints.__wrapped__() == before
    monkeypatch.setattr(dependencies, "AT_START", dependencies.sources())
    assert set(dependencies.code_fingerprints.__wrapped__()) == {"training"}


def test_a_session_tells_the_code_that_trained_and_scored():
    code = session()["code"]
    assert code == dependencies.code_fingerprints()
    assert code["game"] == dependencies.fingerprint((ROOT / "gan_repro/game.py").read_text())
    assert re.fullmatch("[0-9a-f]{12}", code["parzen"])


def test_the_workflow_knows_every_notebook_and_reads_only_what_another_writes():
    assert list(READS) == notebook_names()
    assert {file for files in READS.values() for file in files} <= {file for files in WRITES.values() for file in files}
    others = {"09_dbn", "10_stacked_cae", "11_deep_gsn", "12_more_models"}
    assert needs("13_table1") == {"03_mnist", "08_parzen_window", *others}
    assert needs("03_mnist") == set()


# What a change reruns -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tree in which Snakemake takes everything for done with smoke settings; the files themselves are empty."""
    tree = copied_tree(tmp_path_factory.mktemp("finished"))
    made = ["executed/data.txt", "executed/cifar10.txt", *(f"executed/smoke/{name}.ipynb" for name in READS)]
    made += [f"results/smoke/{file}" for files in WRITES.values() for file in files]
    for name in made:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    done = snakemake(tree, "--touch", "--forceall", "--config", "settings=smoke")
    assert done.returncode == 0, done.stderr
    assert jobs(tree, "--config", "settings=smoke")[0] == set()
    return tree


@contextlib.contextmanager
def changed(tree, names, change):
    """Files of the tree changed for a while, with the time of the change."""
    before = {tree / name: (tree / name).read_bytes() for name in names}
    try:
        for path in before:
            change(path)
        yield
    finally:
        for path, contents in before.items():
            path.write_bytes(contents)


CODE_LINE = add("\nUNUSED = 1\n")
MARKDOWN = add(" ")  # a notebook with a blank after its last brace: the same notebook in another file


@pytest.mark.parametrize(
    "names, change, expected",
    [
        (["gan_repro/parzen.py"], lambda path: path.touch(), set()),  # the same contents
        (["gan_repro/download.py"], CODE_LINE, ALL | {"data", "cifar10"}),
        (["gan_repro/notebooks.py"], CODE_LINE, {"notebook_00_start_here"}),  # which lists the notebooks
        (["gan_repro/verify.py", "gan_repro/report.py", "README.md", "settings/quick/03_mnist.yaml"],
         add("\n# unrelated\n"), set()),
        (["notebooks/03_mnist.ipynb"], MARKDOWN, ON_RECORDS),
        (["notebooks/08_parzen_window.ipynb"], MARKDOWN, ON_RECORDS - FIRST),
        (["notebooks/13_table1.ipynb"], MARKDOWN, {"notebook_13_table1"}),
        (["settings/smoke/08_parzen_window.yaml"], add("seed: 0\n"), ON_RECORDS - FIRST),
        (["results/smoke/peers/MNIST.json"], add("{}"), {"notebook_00_start_here", "notebook_13_table1"}),
        (["results/smoke/mnist/seed0.json"], Path.unlink, ON_RECORDS),
        (["results/bench.json"], add(" "), OTHER_DATA | {"notebook_00_start_here", "notebook_14_table2"}),
        (["results/smoke/cifar10_mlp/seed2.json"], add("{}"), {"notebook_06_cifar10_conv", "notebook_00_start_here"}),
    ],
)  # fmt: skip
def test_a_change_reruns_what_depends_on_it_and_nothing_else(finished, names, change, expected):
    with changed(finished, names, change):
        assert jobs(finished, "--config", "settings=smoke")[0] == expected


@pytest.mark.parametrize(
    "names, change, trains",
    [
        (["gan_repro/parzen.py", "gan_repro/scoring.py", "gan_repro/progress.py"], CODE_LINE, False),
        (["gan_repro/game.py", "gan_repro/training.py"], add("\n# a comment\n"), False),
        (["gan_repro/game.py"], CODE_LINE, True),
    ],
)
def test_only_a_change_of_the_code_that_trains_leads_to_another_folder_of_runs(finished, names, change, trains):
    with changed(finished, names, change):
        rerun, told = jobs(finished, "--config", "settings=smoke")
    assert rerun == ON_RECORDS | OTHER_DATA
    (folder,) = re.findall(r"notebooks 03_mnist .*runs_dir=runs/smoke/([0-9a-f]{12}) ", told)
    assert (folder != dependencies.training_fingerprint()) == trains


def test_a_change_of_another_model_s_code_trains_the_other_models_anew_and_no_pair(finished):
    with changed(finished, ["gan_repro/baselines/dbn.py"], CODE_LINE):
        rerun, told = jobs(finished, "--config", "settings=smoke")
    assert rerun == {
        f"notebook_{name}"
        for name in (
            "00_start_here",
            "09_dbn",
            "10_stacked_cae",
            "11_deep_gsn",
            "12_more_models",
            "13_table1",
            "14_table2",
        )
    }
    folders = set(re.findall(r"runs_dir=runs/smoke/([0-9a-f]{12}) ", told))
    assert len(folders) == 1 and folders != {dependencies.training_fingerprint("gan_repro.baselines.fit")}


# Parameters ---------------------------------------------------------------------------------------------------------


def test_the_workflow_gives_each_notebook_only_parameters_that_it_has(tree):
    _, told = jobs(tree, "--config", "settings=smoke")
    given = dict(re.findall(r"gan_repro.notebooks (\w+) --settings smoke --set ?(.*) --output", told))
    assert set(given) == set(READS)
    for name, words in given.items():
        values(name, words.split())
    assert (
        given["03_mnist"].startswith("results_dir=results/smoke runs_dir=runs/smoke/")
        and not given["01_theory"].strip()
    )


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("smoke/03_mnist.yaml", "max_epoch: 1", r"03_mnist has no parameter max_epoch: .*; did you mean max_epochs\?"),
        ("smoke/03_mnist.yaml", "lr: 1e-3", r"03_mnist.yaml: lr is '1e-3', str: 03_mnist wants a number with a point"),
        ("smoke/03_mnist.yaml", "max_epochs: 2.0", "max_epochs is 2.0, float: 03_mnist wants a whole number"),
        ("smoke/03_mnist.yaml", "max_epochs", "settings/smoke/03_mnist.yaml holds no parameters"),
        ("smoke/03_mnist.yaml", "{", "settings/smoke/03_mnist.yaml is not YAML: "),
        ("smoke/03_mnist.yaml", "seed: 1", "03_mnist.yaml: seed is 1, but the workflow looks for 0: "),
        ("smoke/3_mnist.yaml", "", "settings/smoke/3_mnist.yaml belongs to no notebook"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused_with_the_place_and_what_to_do(tree, monkeypatch, name, text, message):
    monkeypatch.setattr(workflow, "ROOT", tree)
    (tree / "settings" / name).write_text(text)

    def check():
        workflow.check_folder("smoke")
        workflow.check_places("03_mnist", "smoke")

    with pytest.raises(SettingsError, match=message):
        check()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--config", "settings=mine"], "settings/mine/03_mnist.yaml: 03_mnist has no parameter max_epoch"),
        (["executed/smoke/lrr=0.1/seed0/03_mnist.ipynb"], "03_mnist has no parameter lrr"),
        (["--config", "settings=quikc"], "there is no folder settings/quikc: there are fast, mine, paper, quick"),
        (["--config", "setings=quick"], "the workflow has no setting setings"),
    ],
)
def test_a_misspelt_name_stops_the_workflow_before_anything_runs(tree, arguments, message):
    (tree / "settings/mine").mkdir()
    (tree / "settings/mine/03_mnist.yaml").write_text("max_epoch: 1")
    done = snakemake(tree, *arguments)
    assert done.returncode == 1
    assert f"Nothing has run: {message}" in done.stderr and "Traceback" not in done.stderr
    assert not (tree / "executed").exists()


def test_values_of_a_variant_have_the_types_that_the_notebook_states():
    given = variant("03_mnist", "lr=1,k=2,step=alternating")
    assert given == {"lr": 1.0, "k": 2, "step": "alternating"} and isinstance(given["lr"], float)
    assert values("03_mnist", ["overwrite=true", "runs_dir=runs/a"]) == {"overwrite": True, "runs_dir": "runs/a"}
    assert variant("03_mnist", "as_is") == {}


@pytest.mark.parametrize("text", ["lr=fast", "k=1.5", "lr", "k=1,k=2", "lrr=1", "seed=1", "overwrite=true", "k=", ""])
def test_a_variant_that_does_not_fit_is_refused(text):
    with pytest.raises(SettingsError):
        variant("03_mnist", text)


@pytest.mark.parametrize("name", READS)
def test_the_parameters_of_a_notebook_are_those_that_papermill_finds(name):
    found = papermill.inspect_notebook(ROOT / f"notebooks/{name}.ipynb")
    assert workflow.parameter_types(name) == {key: found[key]["inferred_type_name"] for key in found} != {}


def test_settings_of_the_workflow_s_runs_are_checked_as_papermill_would_read_them():
    assert settings("03_mnist", "smoke") == yaml.safe_load((ROOT / "settings/smoke/03_mnist.yaml").read_text())
    assert settings("03_mnist", "no_such_folder") == {}


# Seeds, sweeps, clusters --------------------------------------------------------------------------------------------


def test_a_sweep_has_results_and_runs_of_its_own_for_each_variant(tree):
    variants = ("as_is", "lr=0.05,k=2,step=alternating")
    targets = [f"executed/fast/{name}/seed{seed}/03_mnist.ipynb" for name in variants for seed in (0, 39)]
    rerun, told = jobs(tree, *targets)
    assert rerun == {"data", "sweep"}
    commands = re.findall(r"gan_repro.notebooks (03_mnist .*) --output (\S+)", told)
    assert sorted(output for _, output in commands) == sorted(targets)
    given = next(command for command, output in commands if output == targets[-1])
    assert given.startswith("03_mnist --settings fast --set seed=39 experiment=mnist overwrite=true")
    assert given.endswith(" lr=0.05 k=2 step=alternating")
    assert " results_dir=results/sweeps/fast/lr=0.05,k=2,step=alternating " in given
    assert re.search(r" runs_dir=runs/sweeps/fast/lr=0.05,k=2,step=alternating/[0-9a-f]{12} ", given)
    assert "results/sweeps/fast/as_is/mnist/seed39.json" in told


def with_venv(tree):
    """The environment of this process as the tree's .venv, which make then takes for up to date."""
    (tree / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        if path.name != "stamp":
            (tree / ".venv" / path.name).symlink_to(path)
    (tree / ".venv/stamp").touch()
    return tree


def make(tree, *arguments, path=None):
    environ = environment(tree) | ({"PATH": path} if path else {})
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=tree, env=environ, capture_output=True, text=True, timeout=300)


def test_make_seeds_plans_the_seeds_of_record_and_takes_none_of_their_results_for_outputs(tree):
    # Snakemake removes outputs before a job: what took hours and is committed must not be one.
    command = make(with_venv(tree), "--dry-run", "seeds").stdout.splitlines()[-1].replace("--quiet rules", "--dry-run")
    done = subprocess.run(command, shell=True, cwd=tree, env=environment(tree), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outputs = re.findall(r"^    output: (.*)$", done.stdout, re.MULTILINE)
    records = [f"executed/{recipe}/seed{n}/03_mnist.ipynb" for recipe, n in [("released", 1), ("fast", 4)]]
    assert set(records) < set(outputs) and all(output.startswith("executed/") for output in outputs)


@pytest.mark.skipif(
    find_spec("snakemake_executor_plugin_slurm") is None, reason="the plugin for SLURM is not installed"
)
def test_forty_seeds_on_a_cluster_ask_for_one_core_memory_and_time_each(tree):
    page = (ROOT / "docs/cluster.md").read_text()
    (targets,) = re.findall(r"--workflow-profile profiles/slurm (results/\S+\{0\.\.39\}\S+)", page)
    seeds = [targets.replace("{0..39}", str(seed)) for seed in range(40)]
    done = snakemake(tree, "--workflow-profile", "profiles/slurm", "--dry-run", "--", *seeds)
    assert done.returncode == 0, done.stderr
    planned = re.findall(r"^rule sweep:\n(?:    .*\n)+", done.stdout, re.MULTILINE)
    assert len(planned) == 40
    for job in planned:
        assert re.search("mem_mb=4000,.* runtime=1440", job) and "threads" not in job  # one core is not said


def test_every_command_of_the_cluster_page_names_what_exists(tree):
    page = (ROOT / "docs/cluster.md").read_text()
    commands = re.findall(r"^\.venv/bin/(?:python -m )?(\S+) (.*)$", page, re.MULTILINE)
    assert [name for name, _ in commands] == ["snakemake", "snakemake", "snakemake", "gan_repro.report"]
    patterns = [arguments.split()[-1] for name, arguments in commands if name == "snakemake"]
    expand = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {' '.join(patterns)}"], capture_output=True, text=True, check=True
    )
    targets = expand.stdout.split()
    assert len(targets) == 40 + 15 + 10
    assert jobs(tree, *targets)[0] == {"data", "sweep"}
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    assert set(profile["set-resources"]) <= {"sweep", "seed", "notebook_03_mnist"}


# Real runs ----------------------------------------------------------------------------------------------------------


RECORD = "results/smoke/mnist/seed0.json"


def training_alone(tree, **parameters):
    """03_mnist without its figures, which take most of a smoke run, and on still fewer images; the data is there."""
    (tree / "executed").mkdir()
    (tree / "executed/data.txt").touch()
    path = tree / "notebooks/03_mnist.ipynb"
    notebook = json.loads(path.read_text())
    wanted = ("parameters", "setup", "data-load", "training-run")
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] in wanted]
    assert len(notebook["cells"]) == len(wanted)
    path.write_text(json.dumps(notebook))
    path = tree / "settings/smoke/03_mnist.yaml"
    few = {"batch_size": 10, "num_train": 200, "num_valid": 100, "num_samples": 100}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | few | parameters))


def trained(tree):
    """Run the workflow up to the record; return it, and the folders of runs with the bytes of their checkpoints."""
    done = snakemake(tree, RECORD)
    assert done.returncode == 0, done.stderr
    runs = {path.parts[-3]: path.read_bytes() for path in tree.glob("runs/smoke/*/*/checkpoint.pt")}
    return json.loads((tree / RECORD).read_text()), runs


@pytest.mark.notebooks
def test_new_training_code_trains_and_new_scoring_scores_the_finished_run_again(tree):
    training_alone(tree)
    first, runs = trained(tree)
    assert len(runs) == 1

    def average_more_often(path):
        assert "EMA_INTERVAL = 10 " in path.read_text()
        path.write_text(path.read_text().replace("EMA_INTERVAL = 10 ", "EMA_INTERVAL = 5 "))

    with changed(tree, ["gan_repro/game.py"], average_more_often):
        retrained, both = trained(tree)
    old, new = first["sessions"][0]["code"], retrained["sessions"][0]["code"]
    assert [name for name in old if old[name] != new[name]] == ["game"]
    assert len(both) == 2 and both.items() > runs.items()
    assert retrained["weights"]["sha256"] != first["weights"]["sha256"]

    # Back to the code that trained the first run, with scores one nat higher: nothing is trained.
    one_more = "_mean = mean_and_standard_error\n\ndef mean_and_standard_error(x):\n    return _mean(x + 1)\n"
    with changed(tree, ["gan_repro/parzen.py"], add(f"\n{one_more}")):
        rescored, unchanged = trained(tree)
    assert unchanged == both and rescored["sessions"] == first["sessions"]
    assert rescored["history"] == first["history"] and rescored["weights"] == first["weights"]
    score, before = (record["metrics"]["G"]["test"]["authors"]["log_likelihood"] for record in (rescored, first))
    assert score == pytest.approx(before + 1, abs=1e-4)
    assert rescored["made_by"]["code"]["parzen"] != first["made_by"]["code"]["parzen"]


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "did not come about"
        time.sleep(0.02)


@pytest.mark.notebooks
def test_a_workflow_killed_in_the_middle_of_a_notebook_goes_on_from_the_checkpoint(tree):
    training_alone(tree, max_epochs=30, score_every=30)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nolock", RECORD]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=tree, env=environment(tree), start_new_session=True, **quiet)
    try:
        wait_for(lambda: list(tree.glob("runs/smoke/*/*/checkpoint.pt")) or process.poll() is not None)
        assert process.poll() is None
    finally:
        os.killpg(
            process.pid, signal.SIGKILL
        )  # the workflow and papermill; the notebook's own process then ends itself
        process.wait()
    assert not (tree / RECORD).exists() and not (tree / "executed/smoke/03_mnist.ipynb").exists()
    record, runs = trained(tree)
    steps = [part["from_step"] for part in record["sessions"]]
    assert len(runs) == 1 and record["epochs"] == 30
    assert len(steps) == 2 and steps[0] == 0 and 0 < steps[1] < 30 * 20
    assert (tree / "executed/smoke/03_mnist.ipynb").exists()


@pytest.mark.notebooks
def test_a_second_workflow_in_the_same_folder_is_told_so(tree):
    (tree / "executed").mkdir()
    with FileLock(tree / "executed" / "lock"):
        done = snakemake(tree, RECORD)
    assert done.returncode != 0
    assert "Nothing has run: another workflow is at work in this folder; wait for it, or stop it first" in done.stderr
    assert not (tree / RECORD).exists()


def tiny_notebook(name, cell=""):
    """A notebook that writes what the real one writes, in a moment; cell: run before that."""
    trains = name in {*TRAINS, *TRAINERS}
    parameters = 'results_dir: str = "results"  # a\n' + 'runs_dir: str = "runs"  # b\n' * trains
    write = "\n".join(
        f"path = Path('..', results_dir, {file!r})\npath.parent.mkdir(parents=True, exist_ok=True)\npath.touch()"
        for file in WRITES.get(name, [])
    )
    cells = [(parameters, ["parameters"]), ("from pathlib import Path", []), (cell, []), (write, [])]
    return json.dumps(
        {
            "cells": [
                {"cell_type": "code", "id": f"cell-{i}", "metadata": {"tags": tags}, "source": source, "outputs": []}
                | {"execution_count": None}
                for i, (source, tags) in enumerate(cells)
            ],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


@pytest.mark.notebooks
def test_after_a_notebook_that_fails_the_others_go_on_and_the_summary_says_which_failed_and_which_did_not_run(tree):
    with_venv(tree)
    for name in READS:
        (tree / f"notebooks/{name}.ipynb").write_text(tiny_notebook(name))
    for path in tree.glob("settings/quick/*.yaml"):
        path.write_text("results_dir: results/quick\n")
    (tree / "gan_repro/verify.py").write_text("print('all hold')\n")  # the records of record are not in this tree

    def reproduce():
        time.sleep(1.1)  # the summary counts in whole seconds
        done = make(tree, "reproduce", "CORES=2")
        assert "Traceback" not in done.stdout
        return done.returncode, done.stdout.split("Notebooks, in executed/quick/:")[1], done

    table1 = tree / "notebooks/13_table1.ipynb"
    table1.write_text(tiny_notebook("13_table1", "raise ValueError('no such\\nrow')"))
    early = tree / "notebooks/07_interpolation.ipynb"  # as 04_faces where there are no faces
    early.write_text(tiny_notebook("07_interpolation", "raise SystemExit(0)"))
    code, summary, done = reproduce()
    assert code != 0
    assert "13_table1: FAILED: ValueError: no such row\n" in summary
    assert "what ran is in executed/quick/13_table1.unfinished.ipynb\n" in summary
    for name in ("00_start_here", "03_mnist", "08_parzen_window"):
        assert f"  {name}: of this run\n" in summary
    assert "  07_interpolation: of this run; it ended itself early, and says why\n" in summary
    assert "NOT ALL HAS RUN." in summary

    table1.write_text(tiny_notebook("13_table1"))
    parzen = tree / "notebooks/08_parzen_window.ipynb"
    parzen.write_text(tiny_notebook("08_parzen_window", "import os; os.kill(os.getpid(), 9)"))  # as without memory
    code, summary, done = reproduce()
    assert code != 0
    assert "08_parzen_window failed: its process was ended from outside, perhaps since memory ran out" in done.stderr
    assert "08_parzen_window: FAILED: it was ended from outside before its last cell, or another process" in summary
    assert "03_mnist: as it was: nothing that it depends on has changed\n" in summary
    assert "07_interpolation: as it was: nothing that it depends on has changed; it ended itself early" in summary
    assert "00_start_here: NOT RUN: it needs 08_parzen_window; there is one of an earlier run\n" in summary
    assert "13_table1: NOT RUN: it needs 08_parzen_window\n" in summary


def test_the_summary_of_a_workflow_that_did_not_begin_takes_nothing_for_up_to_date(tree, monkeypatch, capsys):
    monkeypatch.setattr(report, "ROOT", tree)
    monkeypatch.setattr(report, "RESULTS", tree / "results")
    for name in READS:
        path = tree / f"executed/quick/{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    began = time.time() + 10
    assert report.report("quick", 0, began) == 0
    assert capsys.readouterr().out.count(": as it was: nothing that it depends on has changed\n") == len(READS)
    assert report.report("quick", 1, began) == 1
    told = capsys.readouterr().out
    assert told.count(": of an earlier run\n") == len(READS) and "NOT ALL HAS RUN" in told


def test_an_older_python_gets_one_clear_sentence(tree):
    fake = tree / "bin/python3"
    fake.parent.mkdir()
    # The real one, answering as 3.9 does to who asks for its version.
    answer = "import sys; sys.version_info = (3, 9, 18, 'final', 0)"
    fake.write_text(f'#!/bin/sh\n[ "$1" = -c ] || exit 9\nexec {sys.executable} -c "{answer}; $2"\n')
    fake.chmod(0o755)
    done = make(tree, "reproduce", path=f"{fake.parent}:{os.environ['PATH']}")
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not re.match(r"make(\[\d+\])?: \*\*\*", line)]
    assert said == ["Python 3.11 or newer is needed, but python3 is 3.9: name another by make PYTHON=python3.11"]
    assert not (tree / ".venv").exists()
