"""`make verify`: recomputed from the weights, or named with the command that makes it again."""

import json
import re
import shutil

import pytest

import gan_repro.verify
from gan_repro.paths import RESULTS, ROOT
from gan_repro.results import encode
from gan_repro.table1 import PAPER_MNIST
from gan_repro.tables import TABLES
from gan_repro.verify import main, not_recomputed, verify, verify_real_data


@pytest.fixture
def forged(small_run, tmp_path):
    """A function that copies the record of a small run with one number of G's changed."""
    record, path, _ = small_run

    def change(alter):
        other = json.loads(json.dumps(record))
        alter(other["metrics"]["ema"])
        folder = tmp_path / "mnist"
        folder.mkdir()
        (folder / path.name).write_bytes(encode(other))
        shutil.copy(path.with_suffix(".safetensors"), folder)
        return folder / path.name

    return change


def test_a_record_that_holds_is_found_to_hold(small_run, mnist):
    _, path, _ = small_run
    assert verify(path, mnist, redraws=True) == []


def test_a_changed_score_is_found(forged, mnist):
    (problem,) = verify(forged(lambda scores: _add(scores["test"]["fine"], 0.1)), mnist)
    assert re.search(r"ema, fine grid: log_likelihood is -?\d+\.\d{4}, but the record says", problem)


def test_a_changed_score_of_another_draw_is_found_when_asked_for(forged, mnist):
    def change(scores):
        scores["redraws"][2] += 0.1

    path = forged(change)
    assert verify(path, mnist) == []
    (problem,) = verify(path, mnist, redraws=True)
    assert "ema, draw 4: " in problem


def _add(score, nats):
    score["log_likelihood"] += nats


@pytest.mark.oracle
def test_the_row_of_real_data_is_recomputed(mnist, tmp_path):
    assert verify_real_data(mnist) == []
    other = json.loads((RESULTS / "parzen" / "oracles.json").read_text())
    _add(other["scores"]["real_data_10000"]["authors"], 0.1)
    (tmp_path / "parzen").mkdir()
    (tmp_path / "parzen" / "oracles.json").write_bytes(encode(other))
    (problem,) = verify_real_data(mnist, tmp_path)
    assert problem.startswith("real data, authors grid: log_likelihood is")


def test_every_table_and_row_that_is_not_recomputed_is_named_with_a_command_that_exists():
    text = "\n".join(not_recomputed(redraws=False))
    assert all(
        re.search(rf"^  ([a-z]+, )*{name}", text, re.MULTILINE) for name in TABLES if name != "seeds"
    )  # of table 1's numbers
    assert all(model in text for model in PAPER_MNIST if model != "Adversarial nets")
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in re.findall(r"make ([a-z]+)", text))


def test_a_number_that_does_not_hold_ends_in_a_sentence_and_exit_code_1(forged, monkeypatch, capsys, mnist):
    path = forged(lambda scores: _add(scores["test"]["authors"], 1))
    monkeypatch.setattr("sys.argv", ["verify"])
    monkeypatch.setattr(gan_repro.verify, "record_paths", lambda folder: [path])
    monkeypatch.setattr(gan_repro.verify, "verify_real_data", lambda mnist: [])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    told = capsys.readouterr()
    assert "does not hold: " in told.err and "all hold" not in told.out
    assert "Not recomputed, but made again by:" in told.out
