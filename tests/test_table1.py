"""The rows of Table 1 that are not of adversarial nets: from the other models' records, and from scores alone."""

import json
import shutil
import statistics

import pytest

from gan_repro.baselines.fit import Fit, fit
from gan_repro.baselines.vae import VAEConfig
from gan_repro.paths import ORACLES, PEERS, RESULTS
from gan_repro.results import encode, nats, read_results, write_results
from gan_repro.seeds import OTHERS, learned, records, records_of_other
from gan_repro.table1 import PAPER_MNIST, QUOTED, mean_score, minutes_of_peer, reasons, table1, verdict
from gan_repro.trace import trace


@pytest.fixture(scope="module")
def folder(few_digits, tmp_path_factory):
    """Two seeds of a model, one more of it with other parameters, and the scores of two sets of samples."""
    folder = tmp_path_factory.mktemp("results")
    sizes = {"num_train": 300, "num_valid": 50, "num_samples": 60, "score_every": 1}
    for seed, epochs in ((0, 2), (1, 2), (2, 1)):
        config = VAEConfig(num_hidden=10, num_z=3, epochs=epochs)
        settings = Fit(model="vae", model_config=config, seed=seed, **sizes)
        fit(settings, few_digits, folder / "vae", runs=folder / "runs", show=None)
    score = {"sigma": 0.2, "log_likelihood": 12.34, "standard_error": 0.56}
    both = {"authors": score, "fine": score | {"sigma": 0.21, "log_likelihood": 13.0}}
    contents = {
        "parameters": {"num_train": 300, "num_samples": 60, "centres": "none"},
        "data_md5": few_digits.md5,
        "scores": {"Diagonal Gaussian": both},
        "plus_minus": "standard error over the test images",
    }
    write_results(folder / PEERS, "scores", contents, command="make it")
    return folder


def test_seeds_of_another_model_are_averaged_where_they_differ_in_nothing_else(folder):
    row = table1(folder).set_index("model").loc["VAE"]
    runs = [read_results(folder / f"vae/seed{seed}.json", "baseline") for seed in (0, 1)]
    scores = [run["metrics"]["test"]["authors"] for run in runs]
    values = [score["log_likelihood"] for score in scores]
    error = statistics.fmean(score["standard_error"] for score in scores)
    assert row["ours"] == nats(statistics.fmean(values), error)
    assert row["seeds"] == "2"
    assert row["between seeds"] == f"{statistics.stdev(values):.1f}"
    assert row["core-minutes"] == "0" and row["between draws"] != "–"
    assert row["source"].endswith("the best of 2")
    assert row["paper"] == "–"


def test_scores_without_a_training_have_a_row_of_their_own_and_no_spread_over_seeds(folder):
    row = table1(folder).set_index("model").loc["Diagonal Gaussian"]
    assert (row["ours"], row["sigma"], row["fine grid"]) == ("12.3 ± 0.6", "0.2000", "13.0 ± 0.6")
    assert (row["seeds"], row["between seeds"], row["core-minutes"]) == ("–", "–", "–")
    assert row["source"] == "computed in 12_more_models"


def test_the_minutes_of_a_model_without_a_net_are_those_of_all_its_threads():
    record = {"seconds": {"k-means": 90.0, "Gaussian": 2.0}, "made_by": {"machine": {"threads": 2}}}
    assert [minutes_of_peer(record, name) for name in ("k-means", "Gaussian", "real")] == ["3", "under 1", "–"]
    assert minutes_of_peer({"made_by": record["made_by"]}, "k-means") == "–"  # from before they were noted


def test_what_is_not_there_is_quoted(folder):
    table = table1(folder).set_index("model")
    assert all(table.loc[model, "source"] == QUOTED for model in PAPER_MNIST)


def test_the_files_behind_these_rows_are_named_with_the_commands_that_make_them(folder):
    text = "\n".join(trace(["table 1", "VAE", "ours"], folder))
    assert "vae/seed0.json" in text and "vae/seed1.json" in text and "vae/seed2.json" not in text
    assert "again: .venv/bin/python -m gan_repro.baselines vae --data MNIST seed=1" in text
    text = "\n".join(trace(["table 1", "Diagonal Gaussian", "ours"], folder))
    assert PEERS in text and "again: make it" in text


@pytest.mark.parametrize(
    "model, nats_of, told",
    [
        ("Adversarial nets", 225 + 5.6, "reproduced within 2 standard errors"),  # 2 sqrt(2^2 + 2^2) is 5.66
        ("Adversarial nets", 225 - 5.7, "close: 5.7 below"),
        ("Deep GSN", 214 + 15, "close: 15.0 above"),
        ("Adversarial nets", 200.0, "not: 25.0 below"),
        ("Deep GSN", 230.0, "not: 16.0 above"),
    ],
)
def test_a_verdict_tells_by_how_much_a_row_misses_the_paper(model, nats_of, told):
    assert verdict(model, {"log_likelihood": nats_of, "standard_error": 2.0}) == told


def test_rows_that_miss_the_paper_get_a_reason_by_the_side_on_which_they_do(small_run, tmp_path):
    record, _, _ = small_run

    def reasons_at(nats_of):
        contents = json.loads(json.dumps(record))
        contents["config"]["num_samples"] = 10_000
        contents["metrics"]["G"]["test"]["authors"] |= {"log_likelihood": nats_of, "standard_error": 2.0}
        (tmp_path / "mnist").mkdir(exist_ok=True)
        (tmp_path / "mnist" / "seed0.json").write_bytes(encode(contents))
        return reasons(tmp_path).values.tolist()

    assert reasons_at(225.0) == []
    ((model, told, reason),) = reasons_at(200.0)
    assert (model, told) == ("Adversarial nets", "not: 25.0 below") and "length of the run" in reason
    assert reasons_at(260.0) == [["Adversarial nets", "not: 35.0 above", "not known"]]


def test_the_results_of_record_say_what_a_verdict_gives_as_a_reason():
    gap = {
        model: statistics.fmean(run["metrics"]["test"]["authors"]["log_likelihood"] for run in runs)
        - PAPER_MNIST[model][0]
        for folder, model in OTHERS
        if model in PAPER_MNIST and (runs := records_of_other(RESULTS / folder))
    }

    def scores(name, **way):
        (found,) = [
            one for one in read_results(RESULTS / f"draws/{name}.json", "draws")["ways"] if one["changed"] == way
        ]
        return [score["authors"]["log_likelihood"] for score in found["validation"]]

    one_chain = {"num_chains": 1, "burn_in": 1, "thin": 1}
    lost = statistics.fmean(scores("dbn_seed0", num_chains=100)) - statistics.fmean(scores("dbn_seed0", **one_chain))
    assert gap["DBN"] / 2 < lost < gap["DBN"]
    paper = PAPER_MNIST["Deep GSN"][0]
    assert all(max(scores(f"deep_gsn_seed{seed}", **one_chain)) < paper - 40 for seed in range(3))  # 40: "far"
    assert [max(scores(f"deep_gsn_seed{seed}", burn_in=5000)) < paper for seed in range(3)] == [True, False, False]
    assert [min(scores(f"deep_gsn_seed{seed}", burn_in=5000)) > paper for seed in range(3)] == [False, True, True]
    tried = read_results(RESULTS / "search/stacked_cae_MNIST.json", "search")["tries"]
    best = max(one["validation"]["authors"]["log_likelihood"] for one in tried if one["stage"] == "training")
    (third,) = [one["validation"]["authors"] for one in tried if one["changed"].get("step_size") == 1.0]  # of 3, as it
    assert best - third["log_likelihood"] > gap["Stacked CAE"]
    runs = learned(records(RESULTS / "mnist"))
    scores = {name: [run["metrics"][name]["test"] for run in runs] for name in ("G", "ema")}
    means = [mean_score(scores[name], grid) for name, grid in (("G", "authors"), ("ema", "authors"), ("G", "fine"))]
    left = [PAPER_MNIST["Adversarial nets"][0] - mean["log_likelihood"] for mean in means]
    assert all(0.4 < without / left[0] < 0.6 for without in left[1:])  # "about half"


@pytest.mark.parametrize("num_samples, is_compared", [(60, False), (10_000, True)])
def test_other_models_rows_of_fewer_samples_are_compared_with_nothing(folder, tmp_path, num_samples, is_compared):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / ORACLES).parent.mkdir()
    shutil.copy(RESULTS / ORACLES, tmp_path / ORACLES)
    (tmp_path / "vae").rename(tmp_path / "dbn")  # a model that the paper has
    for path in (*(tmp_path / "dbn").glob("*.json"), tmp_path / PEERS):
        contents = json.loads(path.read_bytes())
        contents["config" if "config" in contents else "parameters"]["num_samples"] = num_samples
        path.write_bytes(encode(contents))
    rows = table1(tmp_path).set_index("model")
    assert (rows.loc["DBN", "verdict"] == "none: of 60 samples, not of 10,000") != is_compared
    for model in ("DBN", "Diagonal Gaussian"):
        assert (rows.loc[model, "below real data"] != "–") == is_compared


def test_rows_that_the_paper_has_not_or_that_are_not_rerun_get_no_verdict(folder):
    assert set(table1(folder)["verdict"]) == {"–"}
