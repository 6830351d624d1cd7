"""A search lists every try, chooses the best on validation images, and looks at no test image."""

from dataclasses import fields, replace

import pytest

from gan_repro.baselines.cae import CAEConfig
from gan_repro.baselines.fit import MODELS, Fit, fit
from gan_repro.baselines.search import DRAWS, EPOCHS, TRAININGS, search
from gan_repro.results import read_results

SETTINGS = Fit(
    model="stacked_cae",
    model_config=CAEConfig(layers=(12, 8), epochs=2, burn_in=3, thin=1, num_chains=20),
    num_train=300, num_valid=50, num_samples=60, score_every=1,
)  # fmt: skip
TRIED = {"trainings": [{"lr": 0.001}, {"lr": 0.01}], "draws": [{"step_size": 0.1}, {"step_size": 20.0, "burn_in": 5}]}


@pytest.fixture(scope="module")
def found(few_digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    without_test = replace(few_digits, test=None)
    search(SETTINGS, without_test, folder / "cae.json", **TRIED, runs=folder / "runs", show=None)
    return read_results(folder / "cae.json", "search")


def test_every_try_is_listed_with_its_score(found):
    assert [one["changed"] for one in found["tries"]] == [*TRIED["trainings"], *TRIED["draws"]]
    assert [one["stage"] for one in found["tries"]] == ["training", "training", "draws", "draws"]
    told = [[set(row) for row in one.get("history", [])] for one in found["tries"]]
    assert told == [[{"epoch", "loss"}] * 2, [{"epoch", "loss"}] * 2, [], []]
    assert len({one["validation"]["authors"]["log_likelihood"] for one in found["tries"]}) == 4


def test_the_best_training_and_the_best_way_to_draw_from_it_are_chosen(found):
    scores = [one["validation"]["authors"]["log_likelihood"] for one in found["tries"]]
    training = max(range(2), key=lambda i: scores[i])
    chosen = dict(TRIED["trainings"][training])
    draws = max((2, 3), key=lambda i: scores[i])
    if scores[draws] > scores[training]:
        chosen |= TRIED["draws"][draws - 2]
    assert found["chosen"] == chosen


def test_a_training_that_fails_is_listed_with_the_reason(few_digits, tmp_path, monkeypatch):
    def fails_at_high_rates(self, x, epoch, rng):
        if self.config.lr > 0.005:
            raise FloatingPointError("a weight is not finite after epoch 1")
        return train_epoch(self, x, epoch, rng)

    train_epoch = MODELS["stacked_cae"][0].train_epoch
    monkeypatch.setattr(MODELS["stacked_cae"][0], "train_epoch", fails_at_high_rates)
    path = tmp_path / "cae.json"
    found = search(SETTINGS, few_digits, path, **TRIED | {"draws": []}, runs=tmp_path / "runs", show=None)
    assert found["tries"][1] == {
        "stage": "training", "changed": {"lr": 0.01}, "failed": "a weight is not finite after epoch 1",
    }  # fmt: skip
    assert found["chosen"] == {"lr": 0.001}
    one = {"trainings": [{"lr": 0.01}], "draws": []}
    with pytest.raises(RuntimeError, match="every training of stacked_cae failed: try lower rates"):
        search(SETTINGS, few_digits, path, **one, runs=tmp_path / "runs", show=None)


def test_a_training_of_the_search_is_a_run_like_any_other(few_digits, tmp_path):
    one = {"trainings": [{"lr": 0.001}], "draws": []}
    search(SETTINGS, few_digits, tmp_path / "cae.json", **one, runs=tmp_path / "runs", show=None)
    lines = []
    record, _ = fit(SETTINGS, few_digits, tmp_path / "results", runs=tmp_path / "runs", show=lines.append)
    assert len(lines) == 1 and ": test " in lines[0]  # nothing is trained again
    assert len(record["sessions"]) == 1


@pytest.mark.parametrize("model", MODELS)
def test_rows_have_as_many_tries_and_vary_what_their_models_have(model):
    assert len(TRAININGS[model]) == 5
    assert len(DRAWS[model]) == (0 if model == "vae" else 5)
    names = {field.name for field in fields(MODELS[model][1])}
    for changed in (*TRAININGS[model], *DRAWS[model]):
        assert set(changed) <= names
        replace(MODELS[model][1], epochs=EPOCHS[model], **changed)  # which refuses what cannot be used
