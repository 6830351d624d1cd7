"""Records of runs: what stands in them can be made again, and none is taken for another run's."""

import json
import math
import shlex
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
import torch
from scipy.special import logsumexp

from gan_repro.config import TrainingConfig
from gan_repro.data import to_unit
from gan_repro.dependencies import code_fingerprints
from gan_repro.game import Game
from gan_repro.records import command_for, is_record_of, main, read_generator, read_record, record_paths, reproduce
from gan_repro.results import ResultsError, encode
from gan_repro.scoring import REDRAWS, TEST_DRAW, draw_samples, parzen_scores, scores_on_test_set


def test_a_record_holds_what_it_takes_to_make_it_again(small, small_run, mnist):
    record, path, _ = small_run
    assert read_record(path) == record
    assert TrainingConfig(**record["config"]) == small
    assert record["data_md5"] == mnist.md5
    assert {"seed", "recipe", "sessions", "made_by", "seconds", "stopped_by", "epochs"} <= set(record)
    (session,) = record["sessions"]
    assert session["from_step"] == 0 and {"commit", "versions", "machine", "device"} <= set(session)
    assert [row["epoch"] for row in record["history"]] == [1, 2]
    assert "standard error" in record["metrics"]["G"]["plus_minus"]


def test_the_number_of_record_is_that_of_the_kept_weights_by_another_s_parzen_code(small_run, mnist):
    record, path, _ = small_run
    G = read_generator(path)
    samples = draw_samples(G, num_samples=200, noise="uniform", seed=0, draw=TEST_DRAW).double().numpy()
    x = to_unit(mnist.test).double().numpy()
    score = record["metrics"]["G"]["test"]["authors"]
    sq_dist = (x**2).sum(1)[:, None] + (samples**2).sum(1) - 2 * x @ samples.T
    ll = logsumexp(-sq_dist / (2 * score["sigma"] ** 2), axis=1) - math.log(200)
    ll -= 784 / 2 * math.log(2 * math.pi * score["sigma"] ** 2)
    assert score["log_likelihood"] == pytest.approx(ll.mean(), abs=0.01)
    assert score["standard_error"] == pytest.approx(ll.std() / 100, abs=0.001)


def test_a_finished_run_is_read_and_not_trained_again(small, small_run, mnist, monkeypatch):
    record, path, runs = small_run
    monkeypatch.setattr(Game, "update", lambda self: pytest.fail("it trains"))
    lines = []
    again, where = reproduce(small, mnist, path.parent, runs=runs.with_name("no runs"), show=lines.append)
    assert (again, where) == (record, path)
    assert len(lines) == 1 and "finished run found" in lines[0]


def test_a_finished_run_of_other_code_is_read_and_said_to_be_so(small, small_run, mnist, monkeypatch):
    _, path, runs = small_run
    now = code_fingerprints()
    monkeypatch.setattr("gan_repro.provenance.code_fingerprints", lambda *_: now | {"game": "0" * 12})
    lines = []
    reproduce(small, mnist, path.parent, runs=runs, show=lines.append)
    assert "earlier commit" in lines[1]


def test_another_run_s_record_is_neither_shown_nor_overwritten(small, small_run, mnist):
    record, path, runs = small_run
    before = path.read_bytes()
    other, where = reproduce(replace(small, lr=0.05), mnist, path.parent, runs=runs, show=None)
    assert other["config"]["lr"] == 0.05 and other["metrics"] != record["metrics"]
    assert where.parent.parent == runs
    assert path.read_bytes() == before
    again, where_again = reproduce(replace(small, lr=0.05), mnist, path.parent, runs=runs, show=None)
    assert (again, where_again) == (other, where)


def test_overwriting_is_possible_when_asked_for(small, mnist, tmp_path):
    _, path = reproduce(small, mnist, tmp_path, runs=tmp_path / "runs", show=None)
    changed = replace(small, lr=0.05)
    record, where = reproduce(changed, mnist, tmp_path, runs=tmp_path / "runs", overwrite=True, show=None)
    assert where == path and read_record(path) == record and is_record_of(record, changed, mnist.md5)


def test_other_data_or_another_recipe_is_another_run(small, small_run, mnist):
    record, _, _ = small_run
    assert is_record_of(record, small, mnist.md5)
    assert not is_record_of(record, small, {**mnist.md5, "train-images-idx3-ubyte": "0" * 32})
    assert not is_record_of({**record, "recipe": -1}, small, mnist.md5)
    assert not is_record_of({**record, "config": {**record["config"], "of_the_future": 1}}, small, mnist.md5)


def test_a_record_from_before_a_field_existed_stays_readable(small, small_run, mnist):
    record, _, _ = small_run
    older = {key: value for key, value in record["config"].items() if key != "ema_decay"}
    assert is_record_of({**record, "config": older}, small, mnist.md5)


def test_scores_take_sigma_from_the_validation_images_alone(mnist):
    samples, valid = to_unit(mnist.train[:300]), mnist.valid[:200]
    scores = parzen_scores(mnist.test[:100], valid, samples)
    again = parzen_scores(mnist.test[100:300], valid, samples)
    assert [scores[grid]["sigma"] for grid in scores] == [again[grid]["sigma"] for grid in again]
    assert scores["authors"]["log_likelihood"] != again["authors"]["log_likelihood"]


def test_the_test_score_is_on_another_draw_than_the_one_that_chose_the_epoch(small, small_run, mnist):
    record, path, _ = small_run
    G = read_generator(path)
    assert scores_on_test_set(G, mnist, small) == record["metrics"]["G"]["test"]
    first, second = (draw_samples(G, num_samples=5, noise="uniform", seed=0, draw=draw) for draw in (0, 1))
    assert not torch.equal(first, second)


def test_a_record_has_the_scores_of_other_draws_of_the_same_generator(small, small_run, mnist):
    record, path, _ = small_run
    for name in ("G", "ema"):
        again = [scores_on_test_set(read_generator(path, name), mnist, small, draw=draw)["authors"] for draw in REDRAWS]
        assert record["metrics"][name]["redraws"] == [score["log_likelihood"] for score in again]
        assert record["metrics"][name]["test"]["authors"]["log_likelihood"] not in record["metrics"][name]["redraws"]


def test_another_kind_of_run_with_a_new_seed_does_not_enter_a_folder_of_records(small, small_run, mnist):
    _, path, runs = small_run
    short = replace(small, seed=1, lr=0.05)
    _, where = reproduce(short, mnist, path.parent, runs=runs, show=None)
    assert where.parent.parent == runs and not (path.parent / "seed1.json").exists()
    _, where = reproduce(replace(small, seed=1), mnist, path.parent, runs=runs, show=None)
    assert where == path.parent / "seed1.json"
    longer = replace(small, seed=2, max_epochs=3)  # of one kind: it begins as the others do
    _, where_longer = reproduce(longer, mnist, path.parent, runs=runs, show=None)
    assert where_longer == path.parent / "seed2.json"
    for written in (where, where_longer):
        for suffix in (".json", ".safetensors"):
            written.with_suffix(suffix).unlink()


def test_a_longer_run_takes_the_place_of_its_beginning_and_a_shorter_one_does_not(small, mnist, tmp_path):
    folder, runs = tmp_path / "results", tmp_path / "runs"
    _, path = reproduce(replace(small, max_epochs=1), mnist, folder, runs=runs, show=None)
    longer, where = reproduce(small, mnist, folder, runs=runs, show=None)
    assert where == path and read_record(path) == longer and longer["epochs"] == 2
    _, where = reproduce(replace(small, max_epochs=1), mnist, folder, runs=runs, show=None)
    assert where.parent.parent == runs and read_record(path) == longer


def test_a_record_whose_weights_were_lost_is_made_again_from_its_run(small, mnist, tmp_path):
    record, path = reproduce(small, mnist, tmp_path / "results", runs=tmp_path / "runs", show=None)
    path.with_suffix(".safetensors").write_bytes(b"of another run")
    again, where = reproduce(small, mnist, tmp_path / "results", runs=tmp_path / "runs", show=None)
    assert where == path and again["metrics"] == record["metrics"]
    assert read_generator(path)


def test_stopping_while_a_record_is_scored_leaves_the_old_record_whole(small, mnist, tmp_path, monkeypatch):
    _, path = reproduce(small, mnist, tmp_path, runs=tmp_path / "runs", show=None)
    before = path.read_bytes()

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gan_repro.records.scores_on_test_set", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reproduce(replace(small, lr=0.05), mnist, tmp_path, runs=tmp_path / "runs", overwrite=True, show=None)
    assert path.read_bytes() == before and read_generator(path)


def alter(path, tmp_path, change):
    """A copy of a record with a right checksum after this change of its contents."""
    contents = json.loads(path.read_text())
    change(contents)
    (tmp_path / path.name).write_bytes(encode(contents))
    return tmp_path / path.name


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda r: r.update(seed=7), "it is named seed0.json, but its seed is 7, that of its config 0"),
        (lambda r: r["config"].update(seed=7), "that of its config 7"),
        (lambda r: r["config"].update(of_the_future=1), "its config is none of TrainingConfig: .*of_the_future"),
        (lambda r: r["config"].update(lr="x"), "its config is none of TrainingConfig: lr is 'x'"),
        (lambda r: r.update(epochs=2000), "its history is not that of 2000 epochs"),
        (lambda r: r.update(stopped_by="patience"), "2 epochs, stopped by patience, but max_epochs is 2"),
        (lambda r: r["metrics"]["G"].update(epoch=1900), "the validation score of G is not that of epoch 1900"),
        (lambda r: r["metrics"]["ema"]["validation"]["fine"].update(sigma=0.5), "the validation score of ema is not"),
        (lambda r: r["metrics"]["G"].update(redraws=[]), "G has 0 scores of other draws instead of 4"),
        (lambda r: r["weights"].update(file="../x.safetensors"), "weights.file: .* does not match"),
    ],
)
def test_a_record_whose_parts_contradict_each_other_is_refused(small_run, tmp_path, change, message):
    _, path, _ = small_run
    with pytest.raises(ResultsError, match=message):
        read_record(alter(path, tmp_path, change))


def test_a_file_that_is_no_record_by_its_name_is_left_alone(small_run, mnist, tmp_path):
    _, path, _ = small_run
    for name in ("seed0 (copy).json", "seed_notes.json", "seedx.json"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "seed10.json").write_bytes(path.read_bytes())
    (tmp_path / "seed9.json").write_bytes(path.read_bytes())
    assert [path.name for path in record_paths(tmp_path)] == ["seed9.json", "seed10.json"]


def test_the_command_of_a_record_makes_it_again(small_run):
    """The command's own words, run in this process."""
    record, _, _ = small_run
    threads, python, *words = shlex.split(record["made_by"]["command"])
    assert threads == f"OMP_NUM_THREADS={record['sessions'][-1]['machine']['threads']}"
    assert [python, *words[:4]] == [".venv/bin/python", "-m", "gan_repro.records", "--experiment", "mnist"]
    given = dict(word.split("=") for word in words[4:])
    defaults = asdict(TrainingConfig())
    again = TrainingConfig(**{key: type(defaults[key])(value) for key, value in given.items()})
    assert asdict(again) == record["config"]


def test_a_run_can_be_made_from_the_command_line(small, small_run, mnist, tmp_path, monkeypatch):
    record, _, _ = small_run
    monkeypatch.setattr("gan_repro.records.RESULTS", tmp_path)
    monkeypatch.setattr("gan_repro.records.RUNS", tmp_path)
    monkeypatch.setattr("sys.argv", ["records", *shlex.split(record["made_by"]["command"])[4:]])
    main()
    assert read_record(tmp_path / "again" / "mnist" / "seed0.json")["metrics"] == record["metrics"]


def test_of_the_toronto_face_database_all_faces_are_learned_unless_told_otherwise(monkeypatch):
    data, told = SimpleNamespace(train=range(97_000), valid=range(900)), []
    monkeypatch.setattr("gan_repro.records.load_images", lambda pair, of_tfd: data)
    monkeypatch.setattr("gan_repro.records.reproduce", lambda config, *_, **__: told.append(config))
    for words in (["--tfd"], ["--tfd", "num_train=500"], []):
        monkeypatch.setattr("sys.argv", ["records", "pair=faces_stage_2", *words])
        main()
    monkeypatch.setattr("sys.argv", ["records", "--tfd"])
    with pytest.raises(SystemExit, match="--tfd is for faces: the pair mnist learns none; add pair=faces_stage_2"):
        main()
    assert [(config.num_train, config.num_valid) for config in told] == [(97_000, 900), (500, 900), (25_898, 1000)]


@pytest.mark.parametrize("name", ["nothing", "meta"])
def test_a_device_that_is_not_there_is_named_before_anything_trains(name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["records", "--device", name])
    with pytest.raises(SystemExit):
        main()
    assert f"PyTorch cannot use '{name}' here; without the option it is cpu" in capsys.readouterr().err


def test_the_device_of_the_command_line_is_the_one_that_trains(monkeypatch, mnist):
    told = {}
    monkeypatch.setattr("gan_repro.records.usable_device", torch.device)
    monkeypatch.setattr("gan_repro.records.load_mnist", lambda: mnist)
    monkeypatch.setattr("gan_repro.records.reproduce", lambda *arguments, **options: told.update(options))
    monkeypatch.setattr("sys.argv", ["records", "--device", "cuda"])
    main()
    assert told["device"] == torch.device("cuda")


def test_a_record_of_a_gpu_names_it_in_its_command(small):
    session = {"machine": {"threads": 1}, "device": "cuda"}
    run = SimpleNamespace(config=small, data_md5={}, sessions=[session])
    assert "gan_repro.records --experiment mnist --device cuda seed=" in command_for(run, "mnist")


@pytest.mark.parametrize(
    "words, told",
    [
        ("lrr=1", "the pair mnist has no parameter lrr: it has pair, seed, "),
        ("width", "'width' is not a parameter: write name=value"),
        ("pair=cifar10_mlp lr=abc", "lr is 'abc': it must be a value such as 0.025"),
        ("seed=1.5", "seed is '1.5': it must be a value such as 0"),
        ("pair=cifar100", "cifar100"),
        ("width=2", "width"),
    ],
)
def test_parameters_that_cannot_be_are_named_in_a_sentence(words, told, monkeypatch):
    monkeypatch.setattr("sys.argv", ["records", *words.split()])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert told in str(stopped.value)
