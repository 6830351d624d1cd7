"""The notebooks as papermill and a reader meet them."""

import ast
import base64
import dataclasses
import io
import os
import re

import nbformat
import papermill
import pytest
import yaml
from PIL import Image

from gan_repro.cifar10_download import CIFAR10_FILES
from gan_repro.config import TrainingConfig, released
from gan_repro.download import MNIST_FILES
from gan_repro.fer2013 import NPZ_MD5
from gan_repro.notebooks import NOTEBOOKS, notebook_names, run, run_in_place, settings
from gan_repro.paths import RESULTS, ROOT
from gan_repro.records import is_record_of, read_record
from gan_repro.workflow import READS, SEED_OF_RECORD, TRAINS, WRITES, needs

NAMES = notebook_names()


def code_cells(name):
    return [cell for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells if cell.cell_type == "code"]


@pytest.fixture(scope="session")
def smoke_folder(tmp_path_factory):
    """One results folder for all notebooks of the session: later ones read what earlier ones wrote."""
    return tmp_path_factory.mktemp("smoke")


# Python runs this at its start, in the notebook's process too: it notes each results file that is opened.
NOTE_OPENED = """
import os, sys
results, notes = os.environ["NOTED_RESULTS"], os.environ["NOTES"]
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(results):
        if "/runs/" not in arguments[0] and arguments[0].endswith((".json", ".safetensors", ".xz")):
            file = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(file, f"{arguments[0].removeprefix(results)}\\n".encode())
            os.close(file)
sys.addaudithook(note)
"""


@pytest.mark.notebooks
@pytest.mark.parametrize("name", sorted(NAMES, key=lambda name: len(needs(name))))  # first what others need
def test_every_notebook_runs_with_smoke_settings_and_reads_and_writes_what_the_workflow_knows(
    name, smoke_folder, tmp_path, monkeypatch
):
    (tmp_path / "sitecustomize.py").write_text(NOTE_OPENED)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("NOTED_RESULTS", f"{smoke_folder}/")
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    parameters = settings(name, "smoke")
    parameters |= {"results_dir": str(smoke_folder), "runs_dir": str(smoke_folder / "runs")}
    known = papermill.inspect_notebook(NOTEBOOKS / f"{name}.ipynb")
    before = {path for path in smoke_folder.rglob("*.*") if path.is_file()}
    run(name, {key: value for key, value in parameters.items() if key in known}, smoke_folder / f"{name}.ipynb")
    after = {path for path in smoke_folder.rglob("*.*") if path.is_file()}
    written = {str(path.relative_to(smoke_folder)) for path in after - before if "runs" not in path.parts}
    assert written == {*WRITES.get(name, []), f"{name}.ipynb"}
    opened = set((tmp_path / "notes").read_text().split()) if (tmp_path / "notes").exists() else set()
    assert {file for file in opened if not file.startswith((".", f"{name}."))} - written == set(READS[name])


@pytest.mark.notebooks
@pytest.mark.parametrize("overwrite", [True, False])
def test_changing_a_parameter_and_running_all_never_shows_the_old_run(tmp_path, overwrite):
    parameters = settings("03_mnist", "smoke") | {"results_dir": str(tmp_path), "runs_dir": str(tmp_path / "runs")}
    parameters["overwrite"] = overwrite
    notebook = nbformat.read(NOTEBOOKS / "03_mnist.ipynb", as_version=4)
    while notebook.cells[-1].id != "result-said":  # which says of which run its numbers are, from the record alone
        notebook.cells.pop()
    shown = []
    for change in ({}, {"lr": 0.05}, {"seed": 1}):
        done = papermill.execute_notebook(notebook, None, parameters | change, cwd=NOTEBOOKS, progress_bar=False)
        shown.append("".join(output.get("text", "") for output in done.cells[-1].outputs))
    assert ["Seed 0" in text for text in shown] == [True, True, False]
    assert ["lr 0.05" in text for text in shown] == [False, True, False]


@pytest.mark.notebooks
def test_without_faces_04_says_how_to_get_them_and_stops(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_REPRO_FACES", str(tmp_path / "none"))
    parameters = settings("04_faces", "smoke") | {"results_dir": str(tmp_path), "runs_dir": str(tmp_path / "runs")}
    run("04_faces", parameters, tmp_path / "out.ipynb")
    cells = {cell.id: cell for cell in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells}
    (printed,) = [output.text for output in cells["data-load"].outputs if output.get("name") == "stdout"]
    assert printed.startswith("not run: no faces in") and printed.count("\n") == 1
    assert cells["nets-count"].execution_count is None
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]


def test_a_misspelt_parameter_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ValueError, match="03_mnist has no parameter max_epoch:"):
        run("03_mnist", {"max_epoch": 1}, tmp_path / "out.ipynb")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("settings/*/*.yaml")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_settings_name_parameters_that_the_notebook_has(path):
    known = papermill.inspect_notebook(NOTEBOOKS / f"{path.stem}.ipynb")
    given = yaml.safe_load(path.read_text())
    assert set(given) <= set(known)
    assert all(type(value).__name__ == known[key]["inferred_type_name"] for key, value in given.items())


@pytest.mark.parametrize("name", NAMES)
def test_committed_notebooks_are_those_of_one_run_without_errors_and_times(name):
    cells = code_cells(name)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert all("execution" not in cell.metadata and "papermill" not in cell.metadata for cell in cells)
    assert any(cell.outputs for cell in cells)
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < 1_500_000


@pytest.mark.parametrize("name", NAMES)
def test_committed_notebooks_hold_no_path_of_a_machine(name):
    text = (NOTEBOOKS / f"{name}.ipynb").read_text()
    assert not re.search(r"(?<![\w/.])/(home|root|work|tmp|Users)/", text)


@pytest.mark.parametrize("name", NAMES)
def test_numbered_headings_run_without_gaps(name):
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    numbers = [int(number) for number in re.findall(r"^## (\d+)\. ", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_plain_literals_with_type_and_comment(name):
    (cell,) = [cell for cell in code_cells(name) if "parameters" in cell.metadata.get("tags", [])]
    for line in cell.source.splitlines():
        assert re.fullmatch(r"[a-z][a-z0-9_]*: (int|float|str|bool) = \S.*  # .+", line), line


MD5 = {
    "mnist": {name: file.md5 for name, file in MNIST_FILES.items()},
    "faces_stage_2": NPZ_MD5,
    **{pair: {name: file.md5 for name, file in CIFAR10_FILES.items()} for pair in ("cifar10_mlp", "cifar10_conv")},
}
FIELDS = {field.name for field in dataclasses.fields(TrainingConfig)}
PLACES = {"experiment", "results_dir", "runs_dir", "overwrite"}


@pytest.mark.parametrize("name, pair", TRAINS.items())
def test_the_committed_record_is_of_the_run_that_a_notebook_shows_at_its_defaults(name, pair):
    known = papermill.inspect_notebook(NOTEBOOKS / f"{name}.ipynb")
    defaults = {key: ast.literal_eval(parameter["default"]) for key, parameter in known.items()}
    all_faces = {"num_train": 0} if name == "04_faces" else {}  # its word for as many as the released configuration has
    shown = {key: value for key, value in defaults.items() if key in FIELDS and (key, value) not in all_faces.items()}
    config = released(pair, **shown)
    assert config.seed == SEED_OF_RECORD.get(name, 0)
    assert is_record_of(read_record(RESULTS / defaults["experiment"] / f"seed{config.seed}.json"), config, MD5[pair])
    if pair == "faces_stage_2":
        stage_1 = read_record(RESULTS / f"{defaults['experiment']}_stage_1" / "seed0.json")
        assert is_record_of(stage_1, config.stage_1(), MD5[pair])
    assert set(defaults) - FIELDS - {"of_tfd"} == PLACES  # no parameter without effect


@pytest.mark.parametrize("name", TRAINS)
def test_every_parameter_of_a_training_reaches_its_configuration(name):
    (made,) = [cell.source for cell in code_cells(name) if re.search(r"^config = ", cell.source, re.MULTILINE)]
    for key in FIELDS.intersection(papermill.inspect_notebook(NOTEBOOKS / f"{name}.ipynb")):
        assert re.search(rf"\b{key}={key}\b", made), key


@pytest.mark.parametrize("name", NAMES)
def test_links_between_notebooks_lead_somewhere(name):
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    links = re.findall(
        r"\]\(([\w/.]+\.ipynb)\)", "".join(cell.source for cell in cells if cell.cell_type == "markdown")
    )
    assert links
    assert all((NOTEBOOKS / link).exists() for link in links)


def test_every_checked_cell_has_a_stored_output_that_nbval_can_compare():
    checked = [cell for name in NAMES for cell in code_cells(name) if "NBVAL_CHECK_OUTPUT" in cell.source]
    assert len(checked) >= 4
    assert all(cell.outputs for cell in checked)


def test_the_film_of_02_is_an_animated_gif():
    (cell,) = [cell for cell in code_cells("02_one_dimensional_gan") if cell.id == "animation-gif"]
    (output,) = cell.outputs
    film = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
    assert (film.format, film.is_animated, film.n_frames, film.info["loop"]) == ("GIF", True, 32, 0)


@pytest.mark.parametrize("end", ["raise SystemExit(0)", "raise SystemExit"])
def test_a_notebook_that_ends_itself_early_is_left_as_it_was_and_its_last_words_are_of_this_run(
    end, tmp_path, monkeypatch, capsys
):
    cells = [nbformat.v4.new_code_cell(code) for code in ("print('no faces')", end, "print('all')")]
    cells[2].outputs = [nbformat.v4.new_output("stream", name="stdout", text="all hold\n")]  # of an earlier run
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "some.ipynb")
    before = (tmp_path / "some.ipynb").read_bytes()
    monkeypatch.setattr("gan_repro.notebooks.NOTEBOOKS", tmp_path)
    run_in_place("some")
    assert capsys.readouterr().out == "some: left as it was, since it ended early; it said: no faces\n"
    assert (tmp_path / "some.ipynb").read_bytes() == before
