"""Runs of the other models: resumed with the same bits, scored as G is, recorded with the command that repeats them."""

import shlex
import sys
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

import gan_repro.baselines.__main__
from gan_repro.baselines.__main__ import choice, parse
from gan_repro.baselines.cae import CAEConfig
from gan_repro.baselines.chains import autocorrelation, follow
from gan_repro.baselines.dbn import DBNConfig
from gan_repro.baselines.draws import settings_of
from gan_repro.baselines.fit import Fit, Fitter, command_for, fit, rng_for
from gan_repro.baselines.gsn import GSNConfig
from gan_repro.baselines.kept import read_kept
from gan_repro.baselines.vae import VAEConfig
from gan_repro.dependencies import code_fingerprints
from gan_repro.paths import RESULTS
from gan_repro.provenance import session
from gan_repro.results import ResultsError, nats, read_results, relative, write_results
from gan_repro.scoring import TEST_DRAW, parzen_scores

CONFIGS = {
    "rbm": DBNConfig(layers=(12,), epochs=2, burn_in=3, thin=1, num_chains=20),
    "dbn": DBNConfig(layers=(12, 8), epochs=4, burn_in=3, thin=1, num_chains=20),
    "stacked_cae": CAEConfig(layers=(12, 8), epochs=4, burn_in=3, thin=1, num_chains=20),
    "deep_gsn": GSNConfig(num_hidden=10, epochs=3, burn_in=3, num_chains=20),
    "vae": VAEConfig(num_hidden=10, num_z=3, epochs=3),
}


def small(model, **changed):
    sizes = {"num_train": 300, "num_valid": 50, "num_samples": 60, "score_every": 1}
    return Fit(**{"model": model, "model_config": CONFIGS[model]} | sizes | changed)


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
def test_the_record_holds_the_protocol_s_score_of_the_best_epoch(model, few_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(gan_repro.baselines.fit, "LAGS", (0, 1, 5))
    settings = small(model)
    record, _ = fit(settings, few_digits, tmp_path / "results", runs=tmp_path / "runs", show=None)
    scored = [row for row in record["history"] if "validation" in row]
    validation, first = [row["validation"]["authors"]["log_likelihood"] for row in scored], scored[0]["epoch"]
    assert first == (3 if model in ("dbn", "stacked_cae") else 1)  # after which the last layer has been trained
    assert len(scored) == CONFIGS[model].epochs - first + 1
    assert record["metrics"]["epoch"] == first + validation.index(max(validation))
    assert "baselines.fit" in record["made_by"]["code"]
    fitter = Fitter(settings, few_digits, next((tmp_path / "runs").iterdir()), None)
    fitter.resume()
    fitter.model.load_state_dict(fitter.best[1])
    samples = fitter.model.draw(60, rng_for(0, "draw", TEST_DRAW))
    assert record["metrics"]["test"] == parzen_scores(few_digits.test, few_digits.valid[:1000], samples)
    assert len(record["metrics"]["redraws"]) == 4
    kept = read_kept(tmp_path / "results/seed0.json")
    assert len(kept) == 60
    assert torch.cdist(kept, samples).min(dim=1).values.max() < 0.1  # each is one of them, rounded
    if model == "vae":
        assert "mixing" not in record
    else:
        advance = fitter.model.start_chains(20, rng_for(0, "chain"))
        stretch = follow(advance, range(3, 28))  # from its burn_in on
        chain = read_kept(tmp_path / "results/seed0.json", "chain").view(4, 25, 784)
        assert_close(chain, stretch[:, :4].transpose(0, 1), atol=1 / 250, rtol=0)  # in eight bits
        assert record["mixing"]["lags"] == [0, 1, 5]
        forgets = autocorrelation(stretch[[0, 1, 5]]).tolist()
        assert record["mixing"]["autocorrelation"] == pytest.approx(forgets, abs=1e-6)
    assert record["data"] == "MNIST"
    assert {"baselines.fit", "baselines.gsn", "baselines.rbm", "parzen"} <= set(record["sessions"][0]["code"])


def test_the_records_of_record_are_still_those_of_their_parameters():
    paths = [path for path in RESULTS.glob("*/seed*.json") if read_results(path)["kind"] == "baseline"]
    assert {path.parent.name for path in paths} >= {"dbn", "stacked_cae", "deep_gsn", "rbm", "vae"}
    for path in paths:
        record = read_results(path, "baseline")
        assert settings_of(record).identity(record["data_md5"]) == record["identity"], path


def test_a_field_that_came_later_counts_where_it_is_not_at_its_default():
    usual, other = (Fit(model="dbn", model_config=DBNConfig(start=start)) for start in ("usual", "bits"))
    assert "start" not in usual.parameters()["model_config"]
    assert other.parameters()["model_config"]["start"] == "bits"
    assert usual.identity({}) != other.identity({})


def test_a_finished_run_is_read_and_another_s_record_stays_beside_its_checkpoint(few_digits, tmp_path):
    lines = []
    first, path = fit(small("vae"), few_digits, tmp_path / "results", runs=tmp_path / "runs", show=lines.append)
    error = first["metrics"]["test"]["authors"]["standard_error"]
    score = nats(first["metrics"]["test"]["authors"]["log_likelihood"], error)
    assert len(lines) == 4 and lines[3].endswith(f"seed0.json: test {score} nats")
    assert fit(small("vae"), few_digits, tmp_path / "results", runs=tmp_path / "none", show=lines.append) == (
        first,
        path,
    )
    assert len(lines) == 5 and lines[4].endswith("seed0.json: finished run found")
    other = small("vae", num_samples=50)
    for _ in range(2):  # made, then read
        record, elsewhere = fit(other, few_digits, tmp_path / "results", runs=tmp_path / "runs", show=lines.append)
        assert record["config"]["num_samples"] == 50 and elsewhere.is_relative_to(tmp_path / "runs")
    assert "holds records of other runs (parameters, data or recipe) and is left as it is" in lines[5]
    another_seed = small("vae", seed=1, num_samples=50)  # would be averaged with the first, were it in one folder
    _, elsewhere = fit(another_seed, few_digits, tmp_path / "results", runs=tmp_path / "runs", show=None)
    assert elsewhere.is_relative_to(tmp_path / "runs")
    assert sum("finished run found" in line for line in lines) == 2
    assert fit(small("vae"), few_digits, tmp_path / "results", runs=tmp_path / "none", show=None) == (first, path)


def test_seeds_differ_and_repeat(few_digits, tmp_path):
    def scores(seed, folder):
        record, _ = fit(
            small("vae", seed=seed), few_digits, tmp_path / folder, runs=tmp_path / folder / "runs", show=None
        )
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
    record, _ = fit(settings, few_digits, tmp_path / "results", runs=tmp_path / "runs", show=None)
    command = record["made_by"]["command"]
    words = shlex.split(command)
    assert words[:4] == [".venv/bin/python", "-m", "gan_repro.baselines", model]
    assert words[4:6] == ["--data", "MNIST"]
    few = replace(
        few_digits, train=few_digits.train[:1].expand(50_000, -1), valid=few_digits.valid[:1].expand(10_000, -1)
    )
    assert parse(model, few, words[6:]) == settings


@pytest.mark.parametrize("model", CONFIGS)
def test_the_command_of_a_run_on_faces_gives_the_same_settings(model, made_faces):
    settings = parse(model, made_faces, ["batch_size=10", "epochs=4", "seed=3"])
    words = shlex.split(command_for(settings, "FER-2013"))
    assert words[4:6] == ["--data", "FER-2013"]
    assert parse(model, made_faces, words[6:]) == settings


def test_a_record_s_command_makes_it_again(few_digits, tmp_path, monkeypatch, capsys):
    record, _ = fit(small("vae"), few_digits, tmp_path / "first", runs=tmp_path / "first", show=None)
    monkeypatch.setattr(gan_repro.baselines.__main__, "DATA", {"MNIST": lambda: few_digits})
    monkeypatch.setattr(gan_repro.baselines.__main__, "RESULTS", tmp_path)
    monkeypatch.setattr(gan_repro.baselines.__main__, "RUNS", tmp_path)
    monkeypatch.setattr(sys, "argv", shlex.split(record["made_by"]["command"])[2:])
    gan_repro.baselines.__main__.main()
    again = read_results(tmp_path / "again" / "vae_MNIST" / "seed0.json", "baseline")
    for part in ("config", "identity", "metrics", "history", "samples"):
        assert again[part] == record[part]


@pytest.mark.parametrize(
    "words, message",
    [
        (["lr"], "'lr' is not a parameter: write name=value"),
        (["lr=fast"], "lr is 'fast': it must be a value such as 0.001"),
        (["rate=0.1"], "vae has no parameter rate: it has seed, .*, lr, batch_size"),
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
    with pytest.raises(ValueError, match=r"layers is \(12, 8\): an rbm has one; a dbn takes more"):
        Fit(model="rbm", model_config=CONFIGS["dbn"])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"batch_size": 301}, "batch_size is 301, above num_train, which is 300"),
        ({"epochs": 0}, "epochs is 0: it must be at least 1"),
        ({"lr": float("nan")}, "lr is nan: it must be finite"),
        ({"lr": 0.0}, "lr is 0.0: it must be finite and above 0"),
        ({"thin": 0}, "thin is 0: it must be at least 1"),
        ({"layers": ()}, "layers is empty: it must name a number of units for each layer"),
        ({"layers": (5, 0)}, r"layers is \(5, 0\): it must be at least 1"),
    ],
)
def test_values_that_cannot_be_used_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        small("dbn", model_config=replace(CONFIGS["dbn"], **change))


def test_a_record_without_its_samples_is_told_and_not_returned(few_digits, tmp_path):
    fit(small("vae"), few_digits, tmp_path, runs=tmp_path / "runs", show=None)
    (tmp_path / "seed0.safetensors.xz").unlink()
    with pytest.raises(ResultsError, match=r"the samples .*seed0\.safetensors\.xz of seed0\.json are missing"):
        fit(small("vae"), few_digits, tmp_path, runs=tmp_path / "runs", show=None)


def test_a_run_that_goes_on_with_other_code_says_so(few_digits, tmp_path, monkeypatch):
    fitter = Fitter(small("vae"), few_digits, tmp_path / "run", None)
    fitter.sessions.append(session(trainer="gan_repro.baselines.fit") | {"from_epoch": 0})
    fitter.run_epoch()
    now = code_fingerprints("gan_repro.baselines.fit")
    monkeypatch.setattr("gan_repro.provenance.code_fingerprints", lambda *_: now | {"baselines.vae": "0" * 12})
    lines = []
    again = Fitter(small("vae"), few_digits, tmp_path / "run", lines.append)
    again.resume()
    again.train()
    assert lines[0].endswith("goes on, but the code of baselines.vae has changed")
    assert [session["from_epoch"] for session in again.sessions] == [0, 1]


def test_a_finished_run_of_other_code_and_another_machine_says_so_in_a_line(few_digits, tmp_path, monkeypatch):
    lines = []

    def read():
        lines.clear()
        _, path = fit(small("vae"), few_digits, tmp_path / "vae", runs=tmp_path / "runs", show=lines.append)
        return [line.removeprefix(f"{relative(path)}: ") for line in lines]

    read()  # trains it
    assert read() == ["finished run found"]
    now = code_fingerprints("gan_repro.baselines.fit")
    monkeypatch.setattr("gan_repro.provenance.code_fingerprints", lambda *_: now | {"baselines.vae": "0" * 12})
    assert read() == ["finished run found (made by earlier code)"]
    monkeypatch.setattr("gan_repro.provenance.machine", lambda: {"cpu": "another"})
    assert read() == ["finished run found (made by earlier code, other machine)"]


def test_a_run_takes_what_a_search_chose_but_for_what_the_command_line_says(few_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(gan_repro.baselines.__main__, "DATA", {"MNIST": lambda: few_digits})
    monkeypatch.setattr(gan_repro.baselines.__main__, "RESULTS", tmp_path)
    monkeypatch.setattr(gan_repro.baselines.__main__, "RUNS", tmp_path)
    contents = {"experiment": "vae", "data": "MNIST", "data_md5": few_digits.md5, "seed": 0, "budget": {"epochs": 1}}
    tried = [{"stage": "training", "changed": {"lr": 0.01, "num_z": 3}, "failed": "not really tried"}]
    contents |= {"tries": tried, "chosen": {"lr": 0.01, "num_z": 3}}
    words = ["vae", "--chosen", "num_hidden=10", "num_z=4", "epochs=1", "num_samples=60", "batch_size=50"]
    monkeypatch.setattr(sys, "argv", ["baselines", *words, "--results", str(tmp_path / "mine")])
    with pytest.raises(SystemExit, match=r"there is no results file .*vae_MNIST\.json"):
        gan_repro.baselines.__main__.main()
    path = tmp_path / "search" / "vae_MNIST.json"
    write_results(path, "search", contents, command="search")
    with pytest.raises(ValueError, match=r"vae_MNIST\.json was made on other data: search anew"):
        choice(path, replace(few_digits, md5={"a": "0" * 32}), ["epochs=1"])
    with pytest.raises(
        ValueError, match=r"--chosen leaves the length open: add epochs=N \(the search trained for 1 a try\)"
    ):
        choice(path, few_digits, ["lr=0.1"])
    gan_repro.baselines.__main__.main()
    record = read_results(tmp_path / "mine" / "vae_MNIST" / "seed0.json", "baseline")
    used = record["config"]["model_config"]
    assert (used["lr"], used["num_z"], used["num_hidden"]) == (0.01, 4, 10)
    assert not (tmp_path / "again" / "vae_MNIST").exists() and "lr=0.01" in record["made_by"]["command"]


def test_faces_are_all_learned_but_for_those_held_out(made_faces):
    settings = parse("vae", made_faces, ["batch_size=10"])
    assert (settings.num_train, settings.num_valid) == (len(made_faces.train), len(made_faces.valid)) == (95, 5)
    assert settings.model_config.num_visible == 2304
    with pytest.raises(ValueError, match="vae has no parameter num_visible"):
        parse("vae", made_faces, ["batch_size=10", "num_visible=784"])
    with pytest.raises(ValueError, match="a parameter is given twice"):
        parse("vae", made_faces, ["lr=0.1", "lr=0.2"])


def test_a_weight_that_is_not_finite_stops_the_run_before_its_checkpoint(few_digits, tmp_path):
    fitter = Fitter(small("vae"), few_digits, tmp_path, None)
    fitter.run_epoch()
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with torch.no_grad():
        fitter.model.decoder[0].bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="a weight is not finite after epoch 2; a lower lr usually helps"):
        fitter.run_epoch()
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_changed_record_is_told(few_digits, tmp_path):
    fit(small("vae"), few_digits, tmp_path, runs=tmp_path / "runs", show=None)
    path = tmp_path / "seed0.json"
    path.write_bytes(path.read_bytes().replace(b'"seed": 0', b'"seed": 1', 1))
    with pytest.raises(ResultsError, match=r"seed0\.json is damaged"):
        fit(small("vae"), few_digits, tmp_path, runs=tmp_path / "runs", show=None)
