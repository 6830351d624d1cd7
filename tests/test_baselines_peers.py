"""Models without a net: what each set of samples is, how it is scored, and when it is made anew."""

import shlex
import sys

import pytest
import torch
from torch.testing import assert_close

import gan_repro.baselines.peers
from gan_repro.baselines.peers import PeersConfig, command_for, main, make_peers, score_peers
from gan_repro.data import to_unit
from gan_repro.paths import REAL_FACES
from gan_repro.results import ResultsError, read_results
from gan_repro.scoring import NUM_VALID_FOR_SIGMA, parzen_scores, scores_over_folds
from gan_repro.weights import unpack_samples

FEW = PeersConfig(
    num_train=300, num_samples=60, kmeans_iterations=3, num_components=4, mixture_size=2, mixture_iterations=5
)  # fmt: skip


def test_k_means_centres_are_means_of_the_images_nearest_to_them(few_digits):
    x = to_unit(few_digits.train[:300])
    converged = PeersConfig(**vars(FEW) | {"kmeans_iterations": 100})
    centres = make_peers(converged, x)[0]["k-means centres"].float()
    nearest = torch.cdist(x, centres).argmin(dim=1)
    assert set(nearest.tolist()) == set(range(60))
    for i, centre in enumerate(centres):
        assert_close(centre, x[nearest == i].mean(dim=0), atol=1e-5, rtol=0)


def test_gaussians_and_mixture_have_the_moments_of_the_images(few_digits):
    x = to_unit(few_digits.train[:300])
    many = PeersConfig(**vars(FEW) | {"num_samples": 300, "kmeans_iterations": 1})
    drawn, _ = make_peers(many, x)
    principal = torch.linalg.eigvalsh(torch.cov(x.T))[-4:]
    for name in ("Gaussian, diagonal", "Gaussian, full covariance", "Gaussian, principal components"):
        assert_close(drawn[name].mean(dim=0), x.mean(dim=0), atol=0.11, rtol=0)  # 300 draws: 0.5 / sqrt(300) is 0.03
    assert_close(drawn["Gaussian, diagonal"].var(dim=0).sum(), x.var(dim=0).sum(), atol=0, rtol=0.05)
    assert_close(drawn["Gaussian, full covariance"].var(dim=0).sum(), x.var(dim=0).sum(), atol=0, rtol=0.1)
    for name in ("Gaussian, principal components", "Gaussian mixture"):
        assert_close(drawn[name].var(dim=0).sum(), principal.sum(), atol=0, rtol=0.15)
        rank = (torch.linalg.svdvals(drawn[name] - drawn[name].mean(dim=0)) > 1e-3).sum()
        assert rank == 4
    off_diagonal = torch.corrcoef(drawn["Gaussian, diagonal"].T.nan_to_num()).nan_to_num().fill_diagonal_(0)
    assert off_diagonal.abs().mean() < 0.06  # of independent pixels, 300 draws: about 0.046; of the digits: 0.13
    assert torch.corrcoef(drawn["Gaussian, full covariance"].T).nan_to_num().fill_diagonal_(0).abs().mean() > 0.08


def test_digits_are_scored_by_table_1_s_protocol_and_the_file_is_read_again(few_digits, tmp_path):
    path, told = tmp_path / "peers" / "MNIST.json", []
    record, where = score_peers(FEW, few_digits, path, runs=tmp_path / "runs", show=told.append)
    made, _ = make_peers(FEW, to_unit(few_digits.train[:300]))
    assert where == path and list(record["scores"]) == list(made) == list(record["seconds"]) and REAL_FACES not in made
    name = "Gaussian, diagonal"
    assert record["scores"][name] == parzen_scores(few_digits.test, few_digits.valid[:NUM_VALID_FOR_SIGMA], made[name])
    kept = unpack_samples(path.with_suffix(".safetensors.xz").read_bytes(), name)
    assert kept.shape == (20, 784)
    before = path.stat().st_mtime_ns
    assert score_peers(FEW, few_digits, path, runs=tmp_path / "runs", show=told.append) == (record, path)
    assert path.stat().st_mtime_ns == before and told[-1].endswith("MNIST.json: finished file found")


def test_other_parameters_leave_the_file_of_record_and_go_below_runs(few_digits, tmp_path):
    path, told = tmp_path / "peers" / "MNIST.json", []
    score_peers(FEW, few_digits, path, runs=tmp_path / "runs", show=told.append)
    before = path.read_bytes()
    other = PeersConfig(**vars(FEW) | {"seed": 1})
    record, where = score_peers(other, few_digits, path, runs=tmp_path / "runs", show=told.append)
    assert where == tmp_path / "runs" / "peers" / "MNIST.json" and record["parameters"]["seed"] == 1
    assert path.read_bytes() == before and told[0].endswith("is of other parameters or data and is left as it is")


def test_kept_samples_that_were_changed_are_refused(few_digits, tmp_path):
    path = tmp_path / "peers" / "MNIST.json"
    score_peers(FEW, few_digits, path, runs=tmp_path / "runs", show=print)
    beside = path.with_suffix(".safetensors.xz")
    beside.write_bytes(beside.read_bytes()[:-1] + b"\0\1")
    with pytest.raises(ResultsError, match=r"MNIST\.safetensors\.xz"):
        score_peers(FEW, few_digits, path, runs=tmp_path / "runs", show=print)


def test_faces_are_scored_over_folds_with_real_faces_beside_them(made_faces, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gan_repro.baselines.peers, "RESULTS", tmp_path)
    monkeypatch.setitem(gan_repro.baselines.peers.DATA, "FER-2013", lambda: made_faces)
    words = ["num_samples=30", "num_components=3", "mixture_size=2", "kmeans_iterations=2"]
    monkeypatch.setattr(sys, "argv", ["peers", "--data", "FER-2013", *words])
    main()
    record = read_results(tmp_path / "again" / "peers" / "FER-2013.json", "scores")
    x = to_unit(made_faces.train)
    assert record["parameters"]["num_train"] == len(made_faces.train) == 95
    assert record["scores"][REAL_FACES] == scores_over_folds(made_faces, x[:30])
    assert record["plus_minus"] == "standard error over folds" and record["parameters"]["centres"] == "first of train"
    assert len(record["scores"]["k-means centres"]["authors"]["folds"]) == 5
    again = shlex.split(record["made_by"]["command"])
    assert again[:5] == [".venv/bin/python", "-m", "gan_repro.baselines.peers", "--data", "FER-2013"]
    assert sorted(again[5:]) == sorted(words)
    assert f"{REAL_FACES}: " in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["peers", *again[3:], "--results", str(tmp_path / "mine")])
    main()  # what the record says makes it again
    assert read_results(tmp_path / "mine" / "peers" / "FER-2013.json")["scores"] == record["scores"]
    assert "finished file found" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, message",
    [
        (["num_samples=96"], "num_samples is 96: there cannot be more k-means centres than images, 95"),
        (
            ["num_samples=5", "mixture_size=96"],
            "mixture_size is 96: there cannot be more Gaussians in the mixture",
        ),
        (["num_samples=5", "num_components=96"], "num_components is 96: these images have at most 95 principal comp"),
        (["num_train=96", "num_samples=5"], "num_train is 96: there are only 95 such images"),
        (
            ["num_clusters=5", "num_samples=5"],
            "this command has no parameter num_clusters: it has seed, num_train, num_samples,",
        ),
        (["num_samples=many"], "num_samples is 'many': it must be a value such as 10000"),
        (["num_samples"], "'num_samples' is not a parameter: write name=value"),
        (["seed=-1", "num_samples=5"], "seed is -1: it must be at least 0"),
    ],
)
def test_bad_words_are_one_sentence(words, message, made_faces, tmp_path, monkeypatch):
    monkeypatch.setattr(gan_repro.baselines.peers, "RESULTS", tmp_path)
    monkeypatch.setitem(gan_repro.baselines.peers.DATA, "FER-2013", lambda: made_faces)
    monkeypatch.setattr(sys, "argv", ["peers", "--data", "FER-2013", *words])
    with pytest.raises(SystemExit, match=f"^{message}"):
        main()
    assert not list(tmp_path.iterdir())


def test_the_command_names_only_what_differs_from_the_defaults(few_digits):
    config = PeersConfig(num_train=len(few_digits.train), num_samples=60)
    assert command_for(config, few_digits).endswith("peers --data MNIST num_samples=60")
