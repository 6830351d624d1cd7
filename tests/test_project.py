"""What the files at the top level promise to each other."""

import re
import tomllib

import nbformat
import yaml
from packaging.requirements import Requirement

from gan_repro.paths import ROOT
from gan_repro.tables import FIGURE, IN_SHORT, PAGES, TABLES, page, stored_figure

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return {r.name.lower(): r for r in map(Requirement, lines)}


def test_every_table_stands_on_a_page_and_is_that_of_the_results():
    assert sorted(name for names in PAGES.values() for name in names) == sorted(IN_SHORT | TABLES)
    for name in PAGES:
        assert page(name) == (ROOT / name).read_text(), "run `make tables`"
    assert FIGURE.read_bytes() == stored_figure(ROOT / "notebooks/03_mnist.ipynb", "figure-2a"), "run `make tables`"
    assert f"]({FIGURE.relative_to(ROOT).as_posix()})" in (ROOT / "README.md").read_text()


def test_the_lock_pins_every_dependency_exactly_and_within_the_project_s_bounds():
    pins = locked()
    assert all(re.fullmatch(r"==[^*]+", str(pin.specifier)) for pin in pins.values())
    extras = PROJECT["optional-dependencies"]
    for requirement in map(Requirement, [*PROJECT["dependencies"], *extras["notebooks"], *extras["tests"]]):
        assert requirement.specifier.contains(str(pins[requirement.name].specifier).removeprefix("=="))


def test_conda_users_get_the_lock_and_the_package_with_all_extras():
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    assert pip == ["--requirement requirements.lock", "--editable .[all]"]
    assert "python=3.11" in dependencies
    assert set(PROJECT["optional-dependencies"]["all"]) == {"gan-repro[notebooks,tests]"}


def test_continuous_integration_runs_the_readme_s_test_command():
    assert "make test" in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("\nmake test")
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    assert {"run": "make test"} in workflow["jobs"]["test"]["steps"]


def test_every_make_target_that_the_readme_names_exists():
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z0-9]+)", (ROOT / "README.md").read_text(), re.MULTILINE)) <= targets


def test_every_notebook_is_in_the_readme_s_map():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"(notebooks/{path.name})" in (ROOT / "README.md").read_text()


def test_every_fault_in_the_table_has_its_test():
    lines = (ROOT / "docs/faults.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("| ") and not line.startswith(("| what", "| ---"))]
    assert len(table) >= 20
    for line in table:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", line)
        assert named, line
        for file, test in named:
            assert f"\ndef {test}(" in (ROOT / "tests" / file).read_text(), test


# Numbers that prose may give: facts of the paper and of the released files, settings, tolerances. Measured ones it may
# not: they come from results, in generated tables and in the outputs of cells.
FACTS = {
    "225 nats": "Table 1 of the paper",
    "15 nats": "table1.CLOSE, ours",
    "1.386": "log 4",
    "0.5": "momentum at the start, mnist.yaml",
    "0.05": "irange of G, mnist.yaml; tolerance of make verify",
    "0.005": "irange of D, mnist.yaml",
    "1.9365": "largest norm of a unit's weights, tfd_pretrain",
    "0.50": "smallest sigma of the finer grid for normalised images",
    "1.45": "its largest",
    "0.8": "dropout keeps so many inputs, mnist.yaml; threshold of a set of samples in 08",
    "1.000004": "lr_decay, mnist.yaml",
    "1.00004": "lr_decay of the paper on conditional nets",
    "0.10": "smallest sigma of the finer grid",
    "0.29": "largest sigma of the finer grid",
    "0.01": "step of the finer grid",
    "0.1": "smallest sigma of the authors' grid",
    "3.11": "Python",
    "0.20": "sigma of the deep GSN's authors, model.py",
    "1511.01844": "arXiv number of Theis et al.",
}


def prose() -> dict[str, str]:
    """What is written by hand: README.md without its generated tables, docs/, and the text cells of the notebooks."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    texts = {path.name: re.sub(r"(?s)<!-- (.*?) -->.*?<!-- end \1 -->", "", path.read_text()) for path in pages}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        texts |= {f"{path.stem}, cell {cell.id}": cell.source for cell in cells if cell.cell_type == "markdown"}
    return {where: re.sub(r"(?s)```.*?```|`[^`]*`|\]\([^)]*\)", "", text) for where, text in texts.items()}


def test_prose_quotes_no_measured_number():
    for where, text in prose().items():
        for number in re.findall(r"\d[\d,]*\.\d+|\d[\d,]*(?: ± \d+)? nats?", text):
            number = re.sub(r" ± \d+", "", number)
            assert number in FACTS, f"{where}: {number} is typed by hand; if it was measured, let a cell print it"
