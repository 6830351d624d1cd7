"""The summary after a workflow says what became of a notebook, from the files that it left."""

import shutil

import nbformat
import pytest

from gan_repro import report
from gan_repro.paths import RESULTS
from gan_repro.report import EARLY, UNCHANGED, fate
from gan_repro.results import record_paths
from gan_repro.table1 import table1


def stopped_by(path, name, value):
    cell = nbformat.v4.new_code_cell()
    cell.outputs = [nbformat.v4.new_output("error", ename=name, evalue=value, traceback=[])]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)


@pytest.mark.parametrize("value", ["0", ""])  # of raise SystemExit(0), and of raise SystemExit
def test_a_notebook_that_ended_itself_early_is_said_to_have_done_so(tmp_path, value):
    stopped_by(tmp_path / "some.ipynb", "SystemExit", value)
    assert fate(tmp_path, "some", None) == f"there{EARLY}"
    assert fate(tmp_path, "some", 0) == f"of this run{EARLY}"
    assert fate(tmp_path, "some", 1e12) == f"{UNCHANGED}{EARLY}"


def test_a_notebook_that_ran_to_its_end_is_not(tmp_path):
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "some.ipynb")
    assert fate(tmp_path, "some", None) == "there"
    assert fate(tmp_path, "other", None).startswith("NOT THERE")


def test_a_sweep_s_rows_count_the_runs_that_their_means_leave_out(tmp_path, monkeypatch):
    folder = tmp_path / "sweeps" / "fast" / "as_it_is" / "mnist"
    folder.mkdir(parents=True)
    for record in record_paths(RESULTS / "mnist_fast"):
        shutil.copy(record, folder)
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    rows = report.sweep_table("fast")
    assert list(rows["variant"]) == ["as_it_is"] * 2 and set(rows["seeds"]) == {"4 (and 1 lost)"}
    of_record = table1(RESULTS).set_index("model")["ours"]
    names = ["Adversarial nets, faster decay", "Adversarial nets, faster decay, averaged G"]
    assert list(rows["ours"]) == [of_record[name] for name in names]
