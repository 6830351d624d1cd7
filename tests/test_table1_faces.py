"""The second column of Table 1: what is of the paper's faces, what is of others, and what stands beside real ones."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from gan_repro.baselines.fit import Fit, fit
from gan_repro.baselines.peers import PeersConfig, score_peers
from gan_repro.baselines.vae import VAEConfig
from gan_repro.config import TrainingConfig, released
from gan_repro.paths import FACE_PEERS, REAL_FACES
from gan_repro.records import read_record, reproduce
from gan_repro.results import encode, nats, read_results
from gan_repro.table1 import describe_runs, our_columns
from gan_repro.table1_faces import ADVERSARIAL, BELOW, NOT_PUBLIC, OURS, PAPER, PAPER_TFD, folder_of, table1_faces
from gan_repro.trace import trace


@pytest.fixture(scope="module")
def folder(made_faces, tmp_path_factory):
    """A VAE and the models without a net on made faces."""
    folder = tmp_path_factory.mktemp("results")
    config = VAEConfig(num_visible=2304, num_hidden=10, num_z=3, epochs=1, batch_size=10)
    settings = Fit(model="vae", model_config=config, num_train=95, num_valid=5, num_samples=30, score_every=1)
    fit(settings, made_faces, folder / folder_of("vae"), runs=folder / "runs", show=None)
    few = PeersConfig(num_train=95, num_samples=30, num_components=3, mixture_size=2, kmeans_iterations=2)
    score_peers(few, made_faces, folder / FACE_PEERS, runs=folder / "runs")
    return folder


@pytest.fixture(scope="module")
def with_nets(made_faces, folder, tmp_path_factory):
    """Likewise, and the face pair."""
    results = shutil.copytree(folder, tmp_path_factory.mktemp("with_nets") / "results")
    config = released(
        "faces_stage_2", width=0.002, stage_1_epochs=1, max_epochs=2, num_train=95, num_valid=5, num_samples=30,
        batch_size=10, score_every=1,
    )  # fmt: skip
    reproduce(config, made_faces, results / "faces", runs=results / "runs", show=None)
    return results


def test_no_row_has_a_number_of_ours_on_the_paper_s_faces(folder):
    table = table1_faces(folder).set_index("model")
    assert (table.loc[list(PAPER_TFD), "ours, on TFD"] == NOT_PUBLIC).all()
    assert table.loc["Adversarial nets", PAPER] == "2057 ± 26"
    others = table.drop(index=list(PAPER_TFD))
    assert set(others["ours, on TFD"]) == set(others[PAPER]) == {"–"}
    assert (table.loc[list(PAPER_TFD), OURS] == "–").all()  # none of them has been trained in this folder


def test_a_model_s_row_is_the_mean_over_folds_beside_real_faces(folder):
    row = table1_faces(folder).set_index("model").loc["VAE"]
    scores = read_results(folder / folder_of("vae") / "seed0.json", "baseline")["metrics"]["test"]["authors"]
    real = read_results(folder / FACE_PEERS, "scores")["scores"][REAL_FACES]["authors"]
    assert len(scores["folds"]) == 5
    assert row[OURS] == nats(scores["log_likelihood"], scores["standard_error"])
    pairs = zip(real["folds"], scores["folds"], strict=True)
    differences = np.array([a["log_likelihood"] - b["log_likelihood"] for a, b in pairs])
    assert row[BELOW] == nats(differences.mean(), differences.std(ddof=1) / 5**0.5)
    assert (row["seeds"], row["source"]) == ("1", "epoch 1, the best of 1")


def test_real_faces_are_the_last_row_and_none_below_themselves(folder):
    last = table1_faces(folder).iloc[-1]
    assert (last["model"], last[BELOW]) == (REAL_FACES, "0.0 ± 0.0")
    assert last["source"] == "computed: the first 30 of training"


def test_runs_of_other_parameters_are_counted_and_left_out(made_faces, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "results")
    config = VAEConfig(num_visible=2304, num_hidden=11, num_z=3, epochs=1, batch_size=10)
    settings = Fit(model="vae", model_config=config, seed=1, num_train=95, num_valid=5, num_samples=30)
    _, path = fit(settings, made_faces, tmp_path / "other", runs=tmp_path / "runs", show=None)
    shutil.copy(path, tmp_path / "results" / folder_of("vae"))
    before, after = (table1_faces(one).set_index("model").loc["VAE"] for one in (folder, tmp_path / "results"))
    assert after["seeds"] == "1 (and 1 of other parameters)" and after[OURS] == before[OURS]


def test_the_rows_of_the_face_pair_are_of_its_stage_2_and_cost_both_stages(with_nets):
    table, record = table1_faces(with_nets).set_index("model"), read_record(with_nets / "faces" / "seed0.json")
    for name, model in ADVERSARIAL:
        row, scores = table.loc[model], record["metrics"][name]
        of_folds = scores["test"]["authors"]
        assert row[OURS] == nats(of_folds["log_likelihood"], of_folds["standard_error"])
        which = "last" if name == "last" else "best"
        assert row["source"].startswith(f"epoch {scores['epoch']}, the {which} of 2; not yet at the stopping rule")
        assert row[BELOW] != "–" and row["between draws"] != "–"
    assert table.loc["Adversarial nets", PAPER] == "2057 ± 26"
    whole = {**record, "epochs": 22, "config": record["config"] | {"max_epochs": 22}}  # tfd_pretrain/train.yaml
    told = describe_runs([whole], "G")
    assert (
        "the best of 22, as many as released (the released files keep the last); not as released: width 0.002" in told
    )
    longer = {**record, "stage_1": record["stage_1"] | {"seconds": record["stage_1"]["seconds"] + 6000}}
    before, after = (int(our_columns([run], "G")["core-minutes"]) for run in (record, longer))
    assert after - before == 100 * record["sessions"][-1]["machine"]["threads"]
    text = "\n".join(trace(["faces", "Adversarial nets", OURS], with_nets))
    assert "faces/seed0.json" in text and "pair=faces_stage_2" in text and FACE_PEERS not in text


def test_without_files_the_paper_s_column_stands_alone(tmp_path):
    table = table1_faces(tmp_path)
    assert list(table["model"]) == list(PAPER_TFD)
    assert set(table[OURS]) == set(table["source"]) == {"–"}


def test_its_cells_are_traced_to_their_files(folder):
    text = "\n".join(trace(["faces", "VAE", BELOW], folder))
    assert "vae_FER-2013/seed0.json" in text and FACE_PEERS in text
    assert "again: .venv/bin/python -m gan_repro.baselines vae --data FER-2013" in text
    assert "again: .venv/bin/python -m gan_repro.baselines.peers --data FER-2013" in text
    assert "table1_faces.PAPER_TFD" in trace(["faces", "DBN", PAPER], folder)[-1]
    assert "No number of ours" in trace(["faces", "DBN", "ours, on TFD"], folder)[-1]


def test_nets_scored_with_another_number_of_samples_are_not_compared_with_real_faces(with_nets, tmp_path):
    results = shutil.copytree(with_nets, tmp_path / "results")
    path = results / "faces" / "seed0.json"
    contents = json.loads(path.read_bytes())
    assert table1_faces(results).set_index("model").loc["Adversarial nets", BELOW] != "–"
    contents["config"]["num_samples"] = 29
    path.write_bytes(encode(contents))
    rows = table1_faces(results).set_index("model")
    assert (rows.loc["Adversarial nets", BELOW], rows.loc["VAE", BELOW] != "–") == ("–", True)
    assert "; of 29 samples, unlike real faces' row" in rows.loc["Adversarial nets", "source"]


def test_nets_of_other_files_of_faces_are_not_compared_with_real_faces_and_this_is_said(with_nets, tmp_path):
    results = shutil.copytree(with_nets, tmp_path / "results")
    path = results / "faces" / "seed0.json"
    path.write_bytes(encode(json.loads(path.read_bytes()) | {"data_md5": {"fer2013.csv": "0" * 32}}))
    rows = table1_faces(results).set_index("model")
    assert (rows.loc["Adversarial nets", BELOW], rows.loc["VAE", BELOW] != "–") == ("–", True)
    told = "of other files of faces than real faces' row"
    assert told in rows.loc["Adversarial nets", "source"] and told not in rows.loc["VAE", "source"]


def test_runs_of_several_seeds_have_a_spread(with_nets, made_faces, tmp_path):
    results = shutil.copytree(with_nets, tmp_path / "results")
    config = TrainingConfig(**read_record(results / "faces" / "seed0.json")["config"])
    reproduce(replace(config, seed=1), made_faces, results / "faces", runs=tmp_path / "runs", show=None)
    runs = [read_record(results / "faces" / f"seed{seed}.json") for seed in (0, 1)]
    scores = [run["metrics"]["G"]["test"]["authors"]["log_likelihood"] for run in runs]
    rows = table1_faces(results).set_index("model")
    assert rows.loc["Adversarial nets", "between seeds"] == f"{np.std(scores, ddof=1):.1f}"
    assert (rows.loc["Adversarial nets", "seeds"], rows.loc["VAE", "between seeds"]) == ("2", "–")
