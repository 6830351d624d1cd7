"""Runs of the other models: resumed with the same bits, scored as G is, recorded with the command that repeats them."""

import shlex
from dataclasses import replace

import pytest
import torch

from gan_repro.baselines.__main__ import parse
from gan_repro.baselines.cae import CAEConfig
from gan_repro.baselines.dbn import DBNConfig
from gan_repro.baselines.fit import Fit, Fitter, fit, rng_for
from gan_repro.baselines.gsn import GSNConfig
from gan_repro.baselines.vae import VAEConfig
from gan_repro.results import ResultsError
from gan_repro.scoring import TEST_DRAW, parzen_scores
from gan_repro.weights import unpack_samples

CONFIGS = {
    "rbm": DBNConfig(layers=(12,), epochs=2, burn_in=3, thin=1, num_chains=20),
    "dbn": DBNConfig(layers=(12, 8), epochs=4, burn_in=3, thin=1, num_chains=20),
    "stacked_cae": CAEConfig(layers=(12, 8), epochs=4, burn_in=3, thin=1, num_chains=20),
    "deep_gsn": GSNConfig(num_hidden=10, epochs=3, burn_in=3, num_chains=20),
    "vae": VAEConfig(num_hidden=10, num_z=3, epochs=3),
}


def small(model, **changed):
    sizes = {"num_train": 300, "num_valid": 50, "num_samples": 60, "score_every": 1}
    return Fit(model=model, model_config=CONFIGS[model], **sizes | changed)


@pytest.mark.parametrize("model", CONFIGS)
def test_a_run_stopped_after_any_epoch_goes_on_with_the_same_bits(model, few_digits, tmp_path):
    whole = Fitter(small(model), few_digits, tmp_path / "whole", None)
    parts = Fitter(small(model), few_digits, tmp_path / "parts", None)
    for _ in range(CONFIGS[model].epochs):
        whole.run_epoch()
        parts.run_epoch()
        parts = Fitter(small(model), few_digits, tmp_path / "parts", None)  # as a new process would
        parts.resume()
    assert parts.history == whole.history
    assert parts.best[0] == whole.best[0]
    for fitter in (whole, parts):
        fitter.model.load_state_dict(fitter.best[1])
    for a, b in zip(whole.model.state_dict().values(), parts.model.state_dict().values(), strict=True):
        assert a.equal(b)


@pytest.mark.parametrize("model", CONFIGS)
def test_the_record_holds_the_protocol_s_score_of_the_best_epoch(model, few_digits, tmp_path):
    settings = small(model)
    record = fit(settings, few_digits, tmp_path / "results", runs=tmp_path / "runs", show=None)
    validation = [row["validation"]["authors"]["log_likelihood"] for row in record["history"]]
    assert record["metrics"]["epoch"] == 1 + validation.index(max(validation))
    fitter = Fitter(settings, few_digits, next((tmp_path / "runs").iterdir()), None)
    fitter.resume()
    fitter.model.load_state_dict(fitter.best[1])
    samples = fitter.model.draw(60, rng_for(0, "draw", TEST_DRAW))
    assert record["metrics"]["test"] == parzen_scores(few_digits.test, few_digits.valid[:1000], samples)
    assert len(record["metrics"]["redraws"]) == 4
    kept = unpack_samples((tmp_path / "results/seed0.safetensors").read_bytes(), "model")
    assert (kept - samples).abs().max() < 0.01
    assert record["data"] == "MNIST"
    (session,) = record["sessions"]
    assert {"baselines.fit", "baselines.gsn", "baselines.rbm", "parzen"} <= set(session["code"])


def test_a_finished_run_is_read_and_another_in_its_place_is_refused(few_digits, tmp_path):
    lines = []
    first = fit(small("vae"), few_digits, tmp_path / "results", runs=tmp_path / "runs", show=lines.append)
    assert len(lines) == 3
    assert fit(small("vae"), few_digits, tmp_path / "results", runs=tmp_path / "none", show=lines.append) == first
    assert len(lines) == 3
    with pytest.raises(ValueError, match=r"seed0\.json is of other parameters: remove it, or give another folder"):
        fit(small("vae", num_samples=50), few_digits, tmp_path / "results", runs=tmp_path / "runs", show=None)


def test_seeds_differ_and_repeat(few_digits, tmp_path):
    def scores(seed, folder):
        record = fit(small("vae", seed=seed), few_digits, tmp_path / folder, runs=tmp_path / folder / "runs", show=None)
        return record["metrics"]["test"]

    assert scores(0, "a") == scores(0, "b")
    assert scores(0, "a") != scores(1, "a")


def test_random_numbers_differ_by_seed_purpose_and_number():
    keys = [(0, "weights"), (1, "weights"), (0, "epoch", 0), (0, "epoch", 1), (0, "draw", 1), (0, "draw", 1)]
    draws = [torch.rand(1, generator=rng_for(*key)).item() for key in keys]
    assert len(set(draws)) == 5
    assert draws[-1] == draws[-2]


@pytest.mark.parametrize("model", CONFIGS)
def test_the_command_of_a_record_gives_the_same_settings(model, few_digits, tmp_path):
    settings = small(model, seed=3)
    command = fit(settings, few_digits, tmp_path / "results", runs=tmp_path / "runs", show=None)["made_by"]["command"]
    words = shlex.split(command)
    assert words[:4] == [".venv/bin/python", "-m", "gan_repro.baselines", model]
    assert words[4:6] == ["--data", "MNIST"]
    few = replace(
        few_digits, train=few_digits.train[:1].expand(50_000, -1), valid=few_digits.valid[:1].expand(10_000, -1)
    )
    assert parse(model, few, words[6:]) == settings


@pytest.mark.parametrize(
    "words, message",
    [
        (["lr"], "'lr' is not a parameter: write name=value"),
        (["lr=fast"], "lr is 'fast': it must be like 0.001"),
        (["rate=0.1"], "vae has no parameter rate"),
    ],
)
def test_a_bad_parameter_gets_one_sentence(few_digits, words, message):
    with pytest.raises(ValueError, match=message):
        parse("vae", few_digits, words)


def test_more_images_than_there_are_and_wrong_configurations_are_refused(few_digits, tmp_path):
    with pytest.raises(ValueError, match="num_train is 601: there are only 600 such images"):
        fit(small("vae", num_train=601), few_digits, tmp_path, runs=tmp_path / "runs", show=None)
    with pytest.raises(ValueError, match='model is "gan": it must be one of rbm, dbn, stacked_cae, deep_gsn, vae'):
        Fit(model="gan", model_config=VAEConfig())
    with pytest.raises(ValueError, match="model_config is a VAEConfig: dbn has a DBNConfig"):
        Fit(model="dbn", model_config=VAEConfig())


def test_a_weight_that_is_not_finite_stops_the_run_before_its_checkpoint(few_digits, tmp_path):
    fitter = Fitter(small("vae"), few_digits, tmp_path, None)
    fitter.run_epoch()
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with torch.no_grad():
        fitter.model.decoder[0].bias.fill_(float("nan"))
    with pytest.raises(RuntimeError, match="a weight is not finite after epoch 2; a lower lr usually helps"):
        fitter.run_epoch()
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_changed_record_is_told(few_digits, tmp_path):
    fit(small("vae"), few_digits, tmp_path, runs=tmp_path / "runs", show=None)
    path = tmp_path / "seed0.json"
    path.write_bytes(path.read_bytes().replace(b'"seed": 0', b'"seed": 1', 1))
    with pytest.raises(ResultsError, match=r"seed0\.json is damaged"):
        fit(small("vae"), few_digits, tmp_path, runs=tmp_path / "runs", show=None)
