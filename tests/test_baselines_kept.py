"""What notebooks read of the other models' records: whole, or told in one sentence."""

import pytest

from gan_repro.baselines.kept import chosen, history, read_kept, tries
from gan_repro.results import ResultsError, write_results

SCORE = {"sigma": 0.2, "log_likelihood": 1.0, "standard_error": 0.5}


def validation(nats):
    score = SCORE | {"log_likelihood": nats}
    return {"authors": score, "fine": score}


def test_all_tries_are_listed_with_one_that_failed_and_the_best_is_told(tmp_path):
    listed = [
        {
            "stage": "training",
            "changed": {"lr": 0.1},
            "epoch": 5,
            "validation": validation(3.0),
            "seconds": 1.0,
            "history": [{"epoch": 1, "error": 0.5}, {"epoch": 2, "error": 0.25}],
        },
        {"stage": "training", "changed": {"lr": 9.0}, "failed": "a weight is not finite"},
        {
            "stage": "draws",
            "changed": {"burn_in": 10, "mean_field": False},
            "validation": validation(4.25),
            "seconds": 1.0,
        },
    ]
    contents = {"experiment": "rbm", "data": "MNIST", "data_md5": {"a": "0" * 32}, "seed": 0, "budget": {"epochs": 5}}
    best = {"lr": 0.1, "burn_in": 10, "mean_field": False}
    write_results(tmp_path / "s.json", "search", contents | {"tries": listed, "chosen": best}, command="search")
    table = tries(tmp_path / "s.json")
    assert list(table["validation"]) == ["3.0", "failed", "4.2"]
    assert chosen(tmp_path / "s.json") == "lr 0.1, burn_in 10, mean_field False"
    assert [epoch["error"] for epoch in history(tmp_path / "s.json", lr=0.1)] == [0.5, 0.25]
    with pytest.raises(ResultsError, match=r"s\.json is damaged: it has no training with lr 9\.0, epoch by epoch"):
        history(tmp_path / "s.json", lr=9.0)
    assert list(table["tried"]) == ["lr 0.1", "lr 9.0", "burn_in 10, mean_field False"]


def test_a_record_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ResultsError, match=r"there is no results file .*seed0\.json: run the notebook that makes it"):
        read_kept(tmp_path / "seed0.json")
