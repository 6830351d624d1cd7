"""What the files at the top level promise to each other."""

import re
import tomllib

import yaml
from packaging.requirements import Requirement

from gan_repro.paths import ROOT
from gan_repro.tables import readme

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return {r.name.lower(): r for r in map(Requirement, lines)}


def test_readme_tables_are_those_of_the_results():
    text = (ROOT / "README.md").read_text()
    assert readme(text) == text, "run `make tables`"


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
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE)) <= targets


def test_every_notebook_is_in_the_readme_s_map_and_in_the_snakefile():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"(notebooks/{path.name})" in (ROOT / "README.md").read_text()
        assert f'"{path.stem}":' in (ROOT / "Snakefile").read_text()


def test_every_fault_in_the_table_has_its_test():
    table = [line for line in (ROOT / "docs/faults.md").read_text().splitlines() if line.startswith("| ")][2:]
    assert len(table) >= 20
    for line in table:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", line)
        assert named, line
        for file, test in named:
            assert f"\ndef {test}(" in (ROOT / "tests" / file).read_text(), test
