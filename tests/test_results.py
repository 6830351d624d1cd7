"""Records: written whole, read with care, never taken for another run's."""

import json
import math
from dataclasses import replace

import pytest
import torch
from scipy.special import logsumexp

from gan_repro.config import TrainingConfig
from gan_repro.data import to_unit
from gan_repro.game import Game
from gan_repro.results import (
    ResultsError,
    in_eight_bits,
    is_record_of,
    nats,
    read_generator,
    read_record,
    reproduce,
)
from gan_repro.scoring import REDRAWS, TEST_DRAW, draw_samples, parzen_scores, scores_on_test_set
from gan_repro.tables import PAPER_MNIST, between_markers, markdown, seeds, table1
from gan_repro.verify import verify

SMALL = TrainingConfig(
    max_epochs=2, score_every=1, num_train=300, num_valid=200, num_samples=200, num_hidden=30, num_units=10
)


@pytest.fixture(scope="module")
def small_run(mnist, tmp_path_factory):
    """A tiny training with its record: (record, path, folder of runs)."""
    folder = tmp_path_factory.mktemp("results")
    record, path = reproduce(SMALL, mnist, folder / "mnist", runs=folder / "runs", show=None)
    return record, path, folder / "runs"


def test_a_record_holds_what_it_takes_to_make_it_again(small_run, mnist):
    record, path, _ = small_run
    assert read_record(path) == record
    assert TrainingConfig(**record["config"]) == SMALL
    assert record["data_md5"] == mnist.md5
    assert {"seed", "recipe", "sessions", "scored_by", "seconds", "stopped_by", "epochs"} <= set(record)
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


def test_a_finished_run_is_read_and_not_trained_again(small_run, mnist, monkeypatch):
    record, path, runs = small_run
    monkeypatch.setattr(Game, "update", lambda self: pytest.fail("it trains"))
    lines = []
    again, where = reproduce(SMALL, mnist, path.parent, runs=runs.with_name("no runs"), show=lines.append)
    assert (again, where) == (record, path)
    assert "finished run found" in lines[0]


def test_another_run_s_record_is_neither_shown_nor_overwritten(small_run, mnist):
    record, path, runs = small_run
    before = path.read_bytes()
    other, where = reproduce(replace(SMALL, lr=0.05), mnist, path.parent, runs=runs, show=None)
    assert other["config"]["lr"] == 0.05 and other["metrics"] != record["metrics"]
    assert where.parent.parent == runs
    assert path.read_bytes() == before
    again, where_again = reproduce(replace(SMALL, lr=0.05), mnist, path.parent, runs=runs, show=None)
    assert (again, where_again) == (other, where)


def test_overwriting_is_possible_when_asked_for(mnist, tmp_path):
    _, path = reproduce(SMALL, mnist, tmp_path, runs=tmp_path / "runs", show=None)
    changed = replace(SMALL, lr=0.05)
    record, where = reproduce(changed, mnist, tmp_path, runs=tmp_path / "runs", overwrite=True, show=None)
    assert where == path and read_record(path) == record and is_record_of(record, changed, mnist.md5)


def test_other_data_or_another_recipe_is_another_run(small_run, mnist):
    record, _, _ = small_run
    assert is_record_of(record, SMALL, mnist.md5)
    assert not is_record_of(record, SMALL, {**mnist.md5, "train-images-idx3-ubyte": "0" * 32})
    assert not is_record_of({**record, "recipe": -1}, SMALL, mnist.md5)
    assert not is_record_of({**record, "config": {**record["config"], "of_the_future": 1}}, SMALL, mnist.md5)


def test_a_record_from_before_a_field_existed_stays_readable(small_run, mnist):
    record, _, _ = small_run
    older = {key: value for key, value in record["config"].items() if key != "ema_decay"}
    assert is_record_of({**record, "config": older}, SMALL, mnist.md5)


def test_verify_recomputes_a_record_and_finds_a_changed_number(small_run, mnist, tmp_path):
    record, path, _ = small_run
    assert verify(path, mnist) == []
    forged = json.loads(json.dumps(record))
    forged["metrics"]["ema"]["test"]["fine"]["log_likelihood"] += 0.1
    (tmp_path / path.name).write_text(json.dumps(forged))
    (tmp_path / record["weights"]["file"]).write_bytes(path.with_suffix(".safetensors").read_bytes())
    (problem,) = verify(tmp_path / path.name, mnist)
    assert "ema, fine grid: log_likelihood is" in problem


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path: path.unlink(), "there is no results file"),
        (lambda path: path.write_text(path.read_text()[:-100]), "is damaged"),
        (lambda path: path.write_text("{}"), "lacks config"),
        (lambda path: path.write_text("[]"), "is damaged"),
        (lambda path: path.with_suffix(".safetensors").unlink(), "are missing"),
        (lambda path: path.with_suffix(".safetensors").write_bytes(b"x"), "their hash differs"),
    ],
)
def test_damaged_results_are_refused_in_a_sentence(small_run, tmp_path, damage, message):
    _, path, _ = small_run
    copy = tmp_path / path.name
    for suffix in (".json", ".safetensors"):
        copy.with_suffix(suffix).write_bytes(path.with_suffix(suffix).read_bytes())
    damage(copy)
    with pytest.raises(ResultsError, match=message):
        read_generator(copy)


def test_scores_take_sigma_from_the_validation_images_alone(mnist):
    samples, valid = to_unit(mnist.train[:300]), mnist.valid[:200]
    scores = parzen_scores(mnist.test[:100], valid, samples)
    again = parzen_scores(mnist.test[100:300], valid, samples)
    assert [scores[grid]["sigma"] for grid in scores] == [again[grid]["sigma"] for grid in again]
    assert scores["authors"]["log_likelihood"] != again["authors"]["log_likelihood"]


def test_the_test_score_is_on_another_draw_than_the_one_that_chose_the_epoch(small_run, mnist):
    record, path, _ = small_run
    G = read_generator(path)
    assert scores_on_test_set(G, mnist, SMALL) == record["metrics"]["G"]["test"]
    first, second = (draw_samples(G, num_samples=5, noise="uniform", seed=0, draw=draw) for draw in (0, 1))
    assert not torch.equal(first, second)


def test_table_1_marks_what_is_quoted_and_what_is_ours(small_run, tmp_path):
    _, path, _ = small_run
    empty = table1(tmp_path)
    assert list(empty["model"]) == list(PAPER_MNIST)
    assert all("quoted" in source for source in empty["source"])
    table = table1(path.parent.parent).set_index("model")
    assert "quoted" in table.loc["DBN", "source"] and "quoted" not in table.loc["Adversarial nets", "source"]
    assert table.loc["Adversarial nets", "seeds"] == "1"
    assert table.loc["Adversarial nets", "paper"] == "225 ± 2"
    assert "not as released: num_z" not in table.loc["Adversarial nets", "source"]
    assert "num_hidden 30" in table.loc["Adversarial nets", "source"]


def test_table_1_averages_only_runs_that_differ_in_nothing_but_the_seed(small_run, tmp_path):
    record, _, _ = small_run
    (tmp_path / "mnist").mkdir()

    def row_with(*more):
        for seed, change in enumerate(more, start=1):
            other = json.loads(json.dumps(record)) | {"seed": seed}
            other["config"] |= {"seed": seed} | change
            other["metrics"]["G"]["test"]["authors"]["log_likelihood"] += 10
            (tmp_path / "mnist" / f"seed{seed}.json").write_text(json.dumps(other))
        return table1(tmp_path).set_index("model").loc["Adversarial nets"]

    (tmp_path / "mnist" / "seed0.json").write_text(json.dumps(record))
    alone = row_with()
    assert (alone["seeds"], alone["between seeds"]) == ("1", "–")
    assert row_with({"max_epochs": 1})["ours"] == alone["ours"]
    pair = row_with({})
    assert (pair["seeds"], pair["between seeds"]) == ("2", "7.1")
    mean = record["metrics"]["G"]["test"]["authors"]["log_likelihood"] + 5
    assert pair["ours"].startswith(f"{mean:.1f} ±")


def test_the_faster_recipe_and_each_kind_of_spread_have_their_places_in_table_1(small_run, tmp_path):
    record, _, _ = small_run
    (tmp_path / "mnist_fast").mkdir()
    for seed, nats_above in enumerate((0, 6)):
        other = json.loads(json.dumps(record)) | {"seed": seed}
        other["config"] |= {"seed": seed, "lr_decay": 1.00004}
        scores = other["metrics"]["G"]
        scores["epoch"] = seed + 1
        scores["test"]["authors"]["log_likelihood"] = 100.0 + nats_above
        scores["redraws"] = [100.0 + nats_above + redraw for redraw in (2, -2, 2, -2)]
        (tmp_path / "mnist_fast" / f"seed{seed}.json").write_text(json.dumps(other))
    table = table1(tmp_path).set_index("model")
    assert "quoted" in table.loc["Adversarial nets", "source"]
    row = table.loc["Adversarial nets, faster decay"]
    error = record["metrics"]["G"]["test"]["authors"]["standard_error"]
    assert row["ours"] == nats(103.0, error)
    assert (row["seeds"], row["between seeds"]) == ("2", f"{6 / 2**0.5:.1f}")
    assert row["between draws"] == "2.0"  # of 0, 2, -2, 2, -2 about their mean: sqrt(16 / 4)
    assert row["source"].startswith("epochs 1 to 2, the best of 2; not yet at the stopping rule")
    assert "lr_decay 1.00004" in row["source"]
    listed = seeds(tmp_path)
    assert list(listed["seed"]) == [0, 1] and list(listed["G"]) == [nats(100.0, error), nats(106.0, error)]


def test_a_record_has_the_scores_of_other_draws_of_the_same_generator(small_run, mnist):
    record, path, _ = small_run
    for name in ("G", "ema"):
        again = [scores_on_test_set(read_generator(path, name), mnist, SMALL, draw=draw)["authors"] for draw in REDRAWS]
        assert record["metrics"][name]["redraws"] == [score["log_likelihood"] for score in again]
        assert record["metrics"][name]["test"]["authors"]["log_likelihood"] not in record["metrics"][name]["redraws"]


def test_weights_in_eight_bits_are_as_near_as_their_scale_allows():
    value = torch.randn(5, 40, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1e-4], [1], [3], [0], [50]])
    kept = in_eight_bits("h0.weight", value)
    assert {key: tensor.dtype for key, tensor in kept.items()} == {
        "h0.weight": torch.int8,
        "h0.weight.scale": torch.float32,
    }
    back = kept["h0.weight"].float() * kept["h0.weight.scale"]
    assert ((back - value).abs() <= value.abs().amax(dim=1, keepdim=True) / 254 * 1.0001).all()
    bias = torch.randn(7)
    assert in_eight_bits("h0.bias", bias) == {"h0.bias": bias}


def test_another_kind_of_run_with_a_new_seed_does_not_enter_a_folder_of_records(small_run, mnist):
    _, path, runs = small_run
    short = replace(SMALL, seed=1, lr=0.05)
    _, where = reproduce(short, mnist, path.parent, runs=runs, show=None)
    assert where.parent.parent == runs and not (path.parent / "seed1.json").exists()
    _, where = reproduce(replace(SMALL, seed=1), mnist, path.parent, runs=runs, show=None)
    assert where == path.parent / "seed1.json"
    longer = replace(SMALL, seed=2, max_epochs=3)  # of one kind: it begins as the others do
    _, where_longer = reproduce(longer, mnist, path.parent, runs=runs, show=None)
    assert where_longer == path.parent / "seed2.json"
    for written in (where, where_longer):
        for suffix in (".json", ".safetensors"):
            written.with_suffix(suffix).unlink()


def test_a_longer_run_takes_the_place_of_its_beginning_and_a_shorter_one_does_not(mnist, tmp_path):
    folder, runs = tmp_path / "results", tmp_path / "runs"
    _, path = reproduce(replace(SMALL, max_epochs=1), mnist, folder, runs=runs, show=None)
    longer, where = reproduce(SMALL, mnist, folder, runs=runs, show=None)
    assert where == path and read_record(path) == longer and longer["epochs"] == 2
    _, where = reproduce(replace(SMALL, max_epochs=1), mnist, folder, runs=runs, show=None)
    assert where.parent.parent == runs and read_record(path) == longer


def test_a_record_whose_weights_were_lost_is_made_again_from_its_run(mnist, tmp_path):
    record, path = reproduce(SMALL, mnist, tmp_path / "results", runs=tmp_path / "runs", show=None)
    path.with_suffix(".safetensors").write_bytes(b"of another run")
    again, where = reproduce(SMALL, mnist, tmp_path / "results", runs=tmp_path / "runs", show=None)
    assert where == path and again["metrics"] == record["metrics"]
    assert read_generator(path)


def test_stopping_while_a_record_is_scored_leaves_the_old_record_whole(mnist, tmp_path, monkeypatch):
    _, path = reproduce(SMALL, mnist, tmp_path, runs=tmp_path / "runs", show=None)
    before = path.read_bytes()

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gan_repro.results.scores_on_test_set", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reproduce(replace(SMALL, lr=0.05), mnist, tmp_path, runs=tmp_path / "runs", overwrite=True, show=None)
    assert path.read_bytes() == before and read_generator(path)


def test_generated_text_goes_between_its_markers_and_nowhere_else():
    text = "a\n<!-- t -->\nold\n<!-- end t -->\nb\n"
    assert between_markers(text, "t", "new") == "a\n<!-- t -->\nnew\n<!-- end t -->\nb\n"
    with pytest.raises(ValueError, match="there are no lines <!-- u -->"):
        between_markers(text, "u", "new")


def test_markdown_tables_have_one_line_a_row():
    lines = markdown(table1().head(2)).splitlines()
    assert len(lines) == 4 and len({line.count("|") for line in lines}) == 1


def test_log_likelihoods_are_printed_to_a_tenth_of_a_nat():
    assert nats(225.04, 2.01) == "225.0 ± 2.0"
    assert nats(-3.25) == "-3.2"
    assert nats(math.nan) == "not finite"
