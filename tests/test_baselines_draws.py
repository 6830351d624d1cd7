"""Other ways to draw from a run of record: of its own net, without training it again."""

import sys
from dataclasses import replace

import pytest
import torch

import gan_repro.baselines.draws
import gan_repro.baselines.fit
from gan_repro.baselines.draws import main, settings_of, some_of
from gan_repro.baselines.fit import MODELS, Fit, fit, locked_run, rng_for
from gan_repro.baselines.gsn import GSNConfig
from gan_repro.baselines.kept import read_kept, ways
from gan_repro.baselines.vae import VAEConfig
from gan_repro.results import read_results, write_results

WAYS = [{"num_chains": 1, "thin": 1}, {"num_chains": 60}]
SETTINGS = Fit(
    model="deep_gsn",
    model_config=GSNConfig(num_hidden=10, epochs=2, lr=0.5, burn_in=3, thin=2, num_chains=20),
    num_train=300, num_valid=50, num_samples=60, score_every=1,
)  # fmt: skip


@pytest.fixture
def folder(few_digits, tmp_path, monkeypatch):
    """A run of record with its checkpoint, where the command looks for them."""
    monkeypatch.setattr(gan_repro.baselines.draws, "RESULTS", tmp_path)
    monkeypatch.setattr(gan_repro.baselines.draws, "RUNS", tmp_path / "runs")
    monkeypatch.setitem(gan_repro.baselines.draws.DATA, "MNIST", lambda: few_digits)
    monkeypatch.setattr(gan_repro.baselines.draws, "WAYS", WAYS)
    monkeypatch.setattr(sys, "argv", ["draws", "deep_gsn"])
    fit(SETTINGS, few_digits, tmp_path / "deep_gsn", runs=tmp_path / "runs" / "again", show=None)
    return tmp_path


def test_each_way_is_scored_on_the_net_of_record_which_is_not_trained_again(folder, few_digits, monkeypatch):
    def never(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(MODELS["deep_gsn"][0], "train_epoch", never)
    main()
    path = folder / "draws" / "deep_gsn_seed0.json"
    found, record = read_results(path, "draws"), read_results(folder / "deep_gsn" / "seed0.json", "baseline")
    assert found["epoch"] == record["metrics"]["epoch"]
    assert [one["changed"] for one in found["ways"]] == WAYS
    assert found["made_by"]["command"] == ".venv/bin/python -m gan_repro.baselines.draws deep_gsn --seed 0"
    with locked_run(SETTINGS, few_digits, folder / "runs" / "again", None) as fitter:
        fitter.model.load_state_dict(fitter.best[1])
        fitter.model.config = replace(SETTINGS.model_config, num_chains=60)
        samples, others = (fitter.model.draw(60, rng_for(0, "draw", number)) for number in (6, 7))
        assert found["ways"][1]["validation"] == [fitter.validation_scores(drawn) for drawn in (samples, others)]
    first, second = (one["authors"]["log_likelihood"] for one in found["ways"][1]["validation"])
    assert ways(path)["num_chains 60"] == f"{first:.1f}, {second:.1f}"
    kept = read_kept(path, "num_chains 60")  # all 60 are of different chains
    assert kept.shape == (found["ways"][1]["kept"], 784) == (50, 784)
    assert torch.cdist(kept, samples).min(dim=1).values.max() < 0.1  # kept in eight bits


def test_a_net_that_is_not_the_record_s_is_said_or_refused(folder, few_digits, monkeypatch, capsys):
    main()
    assert "another net" not in capsys.readouterr().out
    assert read_results(folder / "draws" / "deep_gsn_seed0.json", "draws")["same_net"]
    path = folder / "deep_gsn" / "seed0.json"
    record = read_results(path, "baseline")
    del record["made_by"], record["checksum"], record["schema"], record["kind"]
    record["metrics"]["validation"]["authors"]["log_likelihood"] += 1
    write_results(path, "baseline", record, command="fit")
    main()
    assert "trained anew, not to the bits of" in capsys.readouterr().out
    assert not read_results(folder / "draws" / "deep_gsn_seed0.json", "draws")["same_net"]
    monkeypatch.setitem(gan_repro.baselines.fit.RECIPES, "deep_gsn", 9)
    with pytest.raises(SystemExit, match=r"seed0\.json is of other data or of an older recipe: make it anew first$"):
        main()


def test_samples_that_are_kept_are_of_different_chains_where_there_are_enough():
    rng = torch.Generator().manual_seed(0)
    assert some_of(10_000, 1000, rng).max() < 1000  # the first of each chain
    assert [len(some_of(10_000, chains, rng)) for chains in (1, 100, 1000)] == [50, 50, 500]
    assert some_of(10_000, 10, rng).max() > 1000  # any
    assert sorted(some_of(30, 100, rng)) == list(range(30))


def test_the_settings_of_a_record_are_those_of_its_run(folder):
    record = read_results(folder / "deep_gsn" / "seed0.json", "baseline")
    assert settings_of(record) == SETTINGS


def test_without_a_record_there_is_one_sentence(folder):
    (folder / "deep_gsn" / "seed0.json").unlink()
    with pytest.raises(SystemExit, match=r"^there is no results file .*seed0\.json: run the notebook that makes it$"):
        main()
    assert not (folder / "draws").exists()


def test_a_model_without_chains_is_refused_with_the_reason(few_digits, folder, monkeypatch):
    settings = Fit(
        model="vae", model_config=VAEConfig(num_hidden=10, num_z=2, epochs=1), num_train=300, num_valid=50,
        num_samples=60,
    )  # fmt: skip
    fit(settings, few_digits, folder / "vae", runs=folder / "runs" / "again", show=None)
    monkeypatch.setattr(sys, "argv", ["draws", "vae"])
    with pytest.raises(
        SystemExit, match=r"^.*seed0\.json is of a vae, whose samples are independent: it has no chains$"
    ):
        main()
    assert not (folder / "draws").exists()
