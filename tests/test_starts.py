"""The first updates of a training: what is noted of them, and when one has failed."""

from dataclasses import asdict

import pytest
import torch

from gan_repro import products, starts
from gan_repro.config import TrainingConfig, released
from gan_repro.game import Game
from gan_repro.paths import RESULTS, STARTS
from gan_repro.results import read_results
from gan_repro.starts import EVERY, file_of, first_updates


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """As in the runs of record; another number is in a file's name."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)


@pytest.fixture
def config():
    return released("mnist", num_hidden=12, num_units=6, num_train=200, batch_size=20)


def test_a_start_that_comes_through_has_a_row_before_it_and_one_for_every_tenth_update(config, mnist):
    told = []
    found = first_updates(config, mnist, 3 * EVERY + 1, told.append)
    assert (found["came_through"], found["updates"], len(told)) == (True, 31, 4)
    assert [row["update"] for row in found["rows"]] == [0, 10, 20, 30]
    game, largest = Game(config, mnist.train[:200]), []
    z = game.noise("z", 0)
    for row in found["rows"]:
        while game.step < row["update"]:
            game.update()
            largest.append(game.logits[(game.step - 1) % 10].abs().max().item())  # an epoch has ten updates
        assert row["norm"] == pytest.approx(game.G(z).norm(dim=1).mean().item(), rel=1e-5)
        assert row.get("largest_logit") == (max(largest[-EVERY:]) if largest else None)


def test_a_start_ends_with_the_first_logit_that_is_not_finite(config, mnist, monkeypatch):
    update = Game.update

    def breaks(game):
        update(game)
        if game.step == 14:
            game.logits[3, 1] = float("inf")

    monkeypatch.setattr(Game, "update", breaks)
    found = first_updates(config, mnist, 100, None)
    assert (found["came_through"], found["updates"]) == (False, 14)
    assert [row["update"] for row in found["rows"]] == [0, 10]


def test_weights_that_are_not_finite_end_a_start_before_their_row_though_no_logit_has_seen_them(
    config, mnist, monkeypatch
):
    update = Game.update

    def breaks(game):
        update(game)
        if game.step == 20:
            with torch.no_grad():
                game.G.h1.weight[0, 0] = float("nan")

    monkeypatch.setattr(Game, "update", breaks)
    found = first_updates(config, mnist, 100, None)
    assert (found["came_through"], found["updates"]) == (False, 20)
    assert [row["update"] for row in found["rows"]] == [0, 10]


def test_more_images_than_there_are_are_refused(mnist):
    with pytest.raises(ValueError, match="num_train is 60000: there are only 50000 such images"):
        first_updates(released("mnist", num_train=60_000), mnist, 1)


def test_a_stage_2_is_refused(config):
    with pytest.raises(ValueError, match="faces_stage_2 begins with a trained stage 1: look at the start of"):
        first_updates(released("faces_stage_2"), None, 1)


def test_the_command_writes_a_file_named_by_what_is_not_as_released(config, mnist, tmp_path, monkeypatch):
    monkeypatch.setattr(starts, "load_images", lambda pair: mnist)
    monkeypatch.setattr(products, "ONEDNN", products.ONEDNN)  # to be given back
    words = ["seed=3", "num_hidden=12", "num_units=6", "num_train=200", "batch_size=20"]
    options = ["--results", str(tmp_path), "--updates", "12", "--plain-products"]
    monkeypatch.setattr("sys.argv", ["starts", *options, *words])
    starts.main()
    (path,) = tmp_path.iterdir()
    assert (
        path.name == "mnist_seed3_num_hidden_12_num_units_6_batch_size_20_num_train_200_updates_12_plain_products.json"
    )
    found = read_results(path, "start")
    expected = released("mnist", seed=3, num_hidden=12, num_units=6, num_train=200, batch_size=20)
    assert (found["config"], found["plain_products"], found["updates"]) == (asdict(expected), True, 12)
    command = f"OMP_NUM_THREADS=1 .venv/bin/python -m gan_repro.starts --updates 12 --plain-products {' '.join(words)}"
    assert found["made_by"]["command"] == command
    monkeypatch.setattr(starts, "NUM_UPDATES", 12)  # which the command then need not say
    starts.main()
    found = read_results(path.with_name(path.name.replace("_updates_12", "")), "start")
    assert found["made_by"]["command"] == command.replace("--updates 12 ", "")
    monkeypatch.setattr(starts, "NUM_UPDATES", 400)
    monkeypatch.setattr(products, "ONEDNN", object())
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert file_of(released("cifar10_mlp", width=0.5), 400) == "cifar10_mlp_seed0_width_0.5_threads_2.json"


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_a_number_of_updates_below_1_is_refused(number, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["starts", "--updates", number])
    with pytest.raises(SystemExit):
        starts.main()
    assert f"must be a whole number above 0, got '{number}'" in capsys.readouterr().err


def test_a_word_that_is_no_parameter_is_named(monkeypatch):
    monkeypatch.setattr("sys.argv", ["starts", "pair=cifar10_mlp", "sed=1"])
    with pytest.raises(SystemExit, match="the pair cifar10_mlp has no parameter sed"):
        starts.main()


def test_the_starts_that_05_shows_are_those_that_were_tried(monkeypatch):
    assert sorted(f"starts/{path.name}" for path in (RESULTS / "starts").iterdir()) == sorted(STARTS)
    for file in STARTS:
        found = read_results(RESULTS / file, "start")
        monkeypatch.setattr(products, "ONEDNN", None if found["plain_products"] else object())
        assert f"starts/{file_of(TrainingConfig(**found['config']), 400)}" == file
        assert found["made_by"]["machine"]["threads"] == 1
