"""Algorithm 1 on real digits: updates against the algorithm written out, and runs that survive what befalls them."""

import contextlib
import hashlib
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import gan_repro.training
from gan_repro.checkpoints import load_checkpoint, save_checkpoint
from gan_repro.config import CHOICES, TrainingConfig, learning_rate, momentum
from gan_repro.data import to_unit
from gan_repro.dependencies import code_fingerprints
from gan_repro.game import CLEAR_INTERVAL, EMA_INTERVAL, STATISTICS, Game, learn, zeros_like
from gan_repro.models import Discriminator, Generator
from gan_repro.scoring import validation_scores
from gan_repro.streams import dropout_masks, epoch_order, sample_noise
from gan_repro.training import NotFiniteError, Trainer, interrupt_flag, run_folder, train

INITIALIZE = Discriminator.initialize
OF_OTHER_PAIRS = {"pair", "width", "stage_1_epochs"}  # test_pairs.py
FIELDS = [field.name for field in fields(TrainingConfig) if field.name not in OF_OTHER_PAIRS]
CPU = torch.device("cpu")


def weights(net) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


def bits(value):
    """The value with every tensor in it replaced by a hash of its bytes: equal only if all bits are."""
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {tuple(value.shape)} {hashlib.sha256(value.numpy().tobytes()).hexdigest()[:16]}"
    if isinstance(value, dict):
        return {key: bits(part) for key, part in value.items()}
    return [bits(part) for part in value] if isinstance(value, list | tuple) else value


def state(folder: Path):
    """All that a checkpoint holds (weights of both nets, average, momentum, history, best), but for the time taken and
    the sessions it took."""
    tensors, facts = load_checkpoint(folder)
    return bits(tensors), {key: value for key, value in facts.items() if key not in ("seconds", "sessions")}


def changed(config: TrainingConfig, name: str) -> TrainingConfig:
    """The configuration with another allowed value in this field, whatever fields there will be."""
    value = getattr(config, name)
    if type(value) is str:
        return replace(config, **{name: next(choice for choice in CHOICES[name] if choice != value)})
    if name == "lr_decay":  # below 1 it would make the rate grow without end
        return replace(config, lr_decay=value * 1.1)
    if name == "max_column_norm":  # 0, no limit, in the released MNIST pair
        return replace(config, max_column_norm=0.1)
    return replace(config, **{name: value + 1 if type(value) is int else value * 0.9})


def make_lively():
    """Let D start from weights 30 times the released ones: the tests have 36 steps, too few to leave the plateau."""
    Discriminator.initialize = lambda self, generator: INITIALIZE(self, generator, irange=0.15)


@pytest.fixture(scope="module", autouse=True)
def lively():
    make_lively()
    yield
    Discriminator.initialize = INITIALIZE


@pytest.fixture
def calls(monkeypatch):
    """Calls each function put into it after every update, with the game."""
    functions, update = [], Game.update

    def update_and_call(self):
        update(self)
        for function in functions:
            function(self)

    monkeypatch.setattr(Game, "update", update_and_call)
    return functions


@contextlib.contextmanager
def no_training():
    """Within it, an update is an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Game, "update", lambda self: pytest.fail("the run was trained"))
        yield


@pytest.fixture(scope="module")
def uninterrupted(mnist, tmp_path_factory):
    """A function from a configuration to the state of its run, trained in one go."""
    runs, states = tmp_path_factory.mktemp("uninterrupted"), {}

    def of(config):
        if config not in states:
            states[config] = state(train(config, mnist, runs=runs / str(len(states)), show=None).folder)
        return states[config]

    return of


# The update


def by_hand(config, mnist, G, D, num_steps):
    """Algorithm 1, or the released simultaneous form, on probabilities, with v <- momentum v - lr grad by hand."""
    x = mnist.train[: config.num_train].float() / 255
    nets = {"G": G, "D": D}
    v = {name: [torch.zeros_like(p) for p in net.parameters()] for name, net in nets.items()}
    per_epoch = config.num_train // config.batch_size
    statistics = []

    def probabilities(t, j, z, masks):
        minibatch = t * config.k + j
        order = epoch_order(config.seed, minibatch // per_epoch, config.num_train)
        start = minibatch % per_epoch * config.batch_size
        rows = x[order[start : start + config.batch_size]]
        masks = dropout_masks(config.seed, masks, minibatch, 2 * config.batch_size, D.input_widths, config.keep(3))
        noise = sample_noise(config.noise, config.seed, z, minibatch, (config.batch_size, config.num_z))
        return D(torch.cat([rows, G(noise)]), masks).sigmoid().chunk(2)

    def loss_of_d(real, fake):
        return config.d_loss_scale * (-real.log().mean() - (1 - fake).log().mean())

    def loss_of_g(fake):
        return -fake.log().mean() if config.generator_loss == "nonsaturating" else (1 - fake).log().mean()

    @torch.no_grad()
    def move(name, grads, t):
        lr = config.lr / config.lr_decay**t
        progress = min(1, (t // per_epoch) / (config.momentum_saturates - 1))
        momentum = config.momentum + (config.final_momentum - config.momentum) * progress
        for parameter, velocity, grad in zip(nets[name].parameters(), v[name], grads, strict=True):
            velocity.mul_(momentum).sub_(lr * grad)
            parameter.add_(velocity)

    for t in range(num_steps):
        if config.step == "alternating":
            for j in range(config.k):
                real, fake = probabilities(t, j, "z_for_d", "masks_for_d")
                move("D", torch.autograd.grad(loss_of_d(real, fake), list(D.parameters())), t)
            noise = sample_noise(config.noise, config.seed, "z", t, (config.batch_size, config.num_z))
            masks = dropout_masks(config.seed, "masks", t, config.batch_size, D.input_widths, config.keep(3))
            fake = D(G(noise), masks).sigmoid()
            move("G", torch.autograd.grad(loss_of_g(fake), list(G.parameters())), t)
        else:
            real, fake = probabilities(t, 0, "z", "masks")
            of_d = torch.autograd.grad(loss_of_d(real, fake), list(D.parameters()), retain_graph=True)
            of_g = torch.autograd.grad(loss_of_g(fake), list(G.parameters()))
            move("D", of_d, t)
            move("G", of_g, t)
        losses = loss_of_d(real, fake), loss_of_g(fake)
        statistics.append([number.item() for number in (real.mean(), fake.mean(), *losses)])
    return torch.tensor(statistics)


@pytest.mark.parametrize("generator_loss", CHOICES["generator_loss"])
@pytest.mark.parametrize("step, k", [("simultaneous", 1), ("two_pass", 1), ("alternating", 1), ("alternating", 2)])
def test_updates_are_those_of_the_algorithm_written_out(mnist, tiny, step, k, generator_loss):
    config = replace(tiny, step=step, k=k, generator_loss=generator_loss, num_train=250, seed=3)  # epochs of 5 steps
    config = replace(config, noise="gaussian", d_loss_scale=0.75, keep_input=0.9, keep_hidden=0.6)
    config = replace(config, lr_decay=1.1, momentum=0.3, final_momentum=0.9, momentum_saturates=3)
    game = Game(config, mnist.train[: config.num_train])
    G, D = Generator(num_z=8, num_hidden=24), Discriminator(num_units=12, num_pieces=3)
    G.load_state_dict(game.G.state_dict())
    D.load_state_dict(game.D.state_dict())
    before = weights(G), weights(D)
    for _ in range(10):  # two epochs, the second of other momentum; with k = 2 four orders of the data
        game.update()
    statistics = by_hand(config, mnist, G, D, 10)
    for theirs, ours, start in zip((G, D), (game.G, game.D), before, strict=True):
        moved = weights(theirs) - start
        assert moved.norm() > 0.01
        assert (weights(ours) - start - moved).norm() < 1e-3 * moved.norm()
    assert_close(game.statistics(), statistics[5:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("first, final", [(0.9, 0.2), (0.0, 0.9), (0.0, 0.0)])
def test_gradients_move_the_weights_as_pylearn2s_momentum_does(tiny, first, final):
    config = replace(tiny, num_train=100, lr=0.3, lr_decay=1.05, min_lr=0.01, momentum=first, final_momentum=final)
    config = replace(config, momentum_saturates=20)  # epochs of 2 steps
    generator = torch.Generator().manual_seed(0)
    net = Generator(num_z=8, num_hidden=24).double()
    velocity, by_hand, v = zeros_like(net), weights(net), 0.0
    for step in range(150):  # the lowest rate is reached at step 70, the last momentum at step 38
        grad = torch.randn(by_hand.shape, dtype=torch.float64, generator=generator)
        parts = grad.split([parameter.numel() for parameter in net.parameters()])
        for parameter, part in zip(net.parameters(), parts, strict=True):
            parameter.grad = part.view_as(parameter)
        learn(net, velocity, lr=learning_rate(config, step), momentum=momentum(config, step // 2 + 1))
        now = first + (final - first) * min(1, (step // 2) / 19)
        v = now * v - max(0.3 / 1.05**step, 0.01) * grad
        by_hand += v
    assert_close(weights(net), by_hand, rtol=1e-10, atol=1e-10)


def test_an_epoch_visits_every_training_image_once_and_the_next_in_another_order(mnist, tiny):
    game = Game(tiny, mnist.train[:600])
    images = to_unit(mnist.train[:600])
    orders = []
    for epoch in range(2):
        x = torch.cat([game.draws(12 * epoch + i, "z", "masks")[0] for i in range(12)])
        order = torch.cdist(x, images).argmin(dim=1)
        assert torch.equal(x, images[order])
        assert torch.equal(order.sort().values, torch.arange(600))
        orders.append(order)
    assert (orders[0] == orders[1]).float().mean() < 0.05


def test_images_that_fill_no_minibatch_wait_for_another_epoch(mnist, tiny):
    game = Game(replace(tiny, num_train=130), mnist.train[:130])
    assert [len(game.draws(i, "z", "masks")[0]) for i in range(6)] == [50] * 6
    assert torch.equal(game.draws(2, "z", "masks")[0], to_unit(mnist.train[epoch_order(0, 1, 130)[:50]]))


def test_training_starts_from_the_released_distributions_and_the_means_of_the_images_it_uses(mnist, tiny):
    game = Game(tiny, mnist.train[:600])
    generator = torch.Generator().manual_seed(0)
    G = Generator(num_z=8, num_hidden=24).initialize(generator, pixel_means=to_unit(mnist.train[:600]).mean(dim=0))
    D = Discriminator(num_units=12, num_pieces=3).initialize(generator)
    assert torch.equal(weights(game.G), weights(G))
    assert torch.equal(weights(game.D), weights(D))


def test_the_average_follows_gs_weights_every_tenth_step(mnist, tiny):
    game = Game(replace(tiny, ema_decay=0.9), mnist.train[:600])
    average = weights(game.G).double()
    for step in range(1, 36):
        game.update()
        if step % EMA_INTERVAL == 0:
            average = 0.9**10 * average + (1 - 0.9**10) * weights(game.G).double()
        assert_close(weights(game.ema).double(), average, rtol=1e-5, atol=1e-7)
    assert (average - weights(game.G)).abs().max() > 1e-6


def test_the_velocity_of_a_weight_that_no_gradient_reaches_ends_at_zero_and_is_never_denormal_for_long(mnist, tiny):
    game = Game(replace(tiny, momentum=0.5, final_momentum=0.5), mnist.train[:600])
    with torch.no_grad():
        game.G.h0.bias[3] = -1e9  # this unit is off for good
        game.v_G.y.weight[:, 3] = 1e-3
        game.v_G.h1.weight[:, 3] = -1e-3
    for _ in range(CLEAR_INTERVAL):
        game.update()
    assert game.v_G.h1.weight[:, 3].count_nonzero() == 0  # 0.5^100 of 1e-3 is 8e-34, no denormal number yet
    others = game.v_G.h1.weight[:, :3].abs()
    assert (others > 0).float().mean() > 0.3  # units that are on keep theirs


def test_d_learns_to_tell_digits_from_samples(uninterrupted, tiny):
    first, _, last = uninterrupted(tiny)[1]["history"]
    assert first["D_x"] - first["D_G_z"] < 0.1
    assert last["D_x"] - last["D_G_z"] > 0.3


# Runs


def test_a_run_reports_every_epoch_and_keeps_the_weights_of_the_best(mnist, tiny, tmp_path, calls):
    config, at_epoch = replace(tiny, max_epochs=5, score_every=2), {}
    calls.append(lambda game: at_epoch.update({-(-game.step // 12): bits(game.G.state_dict())}))
    run = train(config, mnist, runs=tmp_path, show=None)
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4, 5]
    assert [row["epoch"] for row in run.history if "G" in row] == [2, 4, 5]  # the last is always scored
    assert [row["epoch"] for row in run.history if "ema" in row] == [2, 4, 5]
    assert (run.epochs, run.stopped_by, run.config, run.data_md5) == (5, "max_epochs", config, mnist.md5)
    for name in ("G", "ema"):
        scored = {row["epoch"]: row[name] for row in run.history if name in row}
        best = max(scored, key=lambda epoch: scored[epoch]["authors"]["log_likelihood"])
        assert (run.best[name].epoch, run.best[name].scores) == (best, scored[best])
        G = Generator(num_z=8, num_hidden=24)
        G.load_state_dict(run.best[name].weights)
        assert validation_scores(G, mnist.valid, config) == scored[best]
    assert bits(run.best["G"].weights) == at_epoch[run.best["G"].epoch]


def test_a_rows_numbers_are_means_over_the_epochs_steps(mnist, tiny, tmp_path, calls):
    logits = []
    calls.append(lambda game: logits.append(game.logits[(game.step - 1) % 12].double()))
    history = train(replace(tiny, max_epochs=2), mnist, runs=tmp_path, show=None).history
    for i, row in enumerate(history):
        real, fake = torch.stack(logits[12 * i : 12 * i + 12]).sigmoid().chunk(2, dim=1)  # (12, m) each
        d_loss = tiny.d_loss_scale * (-real.log() - (1 - fake).log()).mean()
        means = [real.mean(), fake.mean(), d_loss, -fake.log().mean()]
        assert [row[name] for name in STATISTICS] == pytest.approx([float(mean) for mean in means], rel=1e-6)


@pytest.mark.parametrize("values, epochs", [([5, 4, 9, 8, 7, 6, 99], 6), ([5, 5, 5, 5, 99], 4), ([1, 2, 3], 3)])
def test_a_run_stops_when_its_score_has_not_risen_for_as_long_as_patience_says(
    mnist, tiny, tmp_path, monkeypatch, values, epochs
):
    # validation_scores is called for G and for its average, which must not decide
    numbers = iter([number for value in values for number in (value, 1000 * value)])
    made_up = lambda *args: {"authors": {"log_likelihood": float(next(numbers))}}  # noqa: E731
    monkeypatch.setattr(gan_repro.training, "validation_scores", made_up)
    run = train(replace(tiny, num_train=50, max_epochs=len(values), patience=3), mnist, runs=tmp_path, show=None)
    assert run.epochs == epochs
    assert run.stopped_by == ("patience" if epochs < len(values) else "max_epochs")
    assert run.best["G"].epoch == values.index(max(values[:epochs])) + 1


def test_patience_waits_for_the_next_score_so_that_the_last_g_has_one(mnist, tiny, tmp_path, monkeypatch):
    numbers = iter([9.0, 0.0, 8.0, 0.0, 7.0, 0.0])  # of G and its average after epochs 3, 6, 9
    made_up = lambda *args: {"authors": {"log_likelihood": next(numbers)}}  # noqa: E731
    monkeypatch.setattr(gan_repro.training, "validation_scores", made_up)
    sizes = {"num_train": 50, "max_epochs": 20, "score_every": 3, "patience": 4}
    run = train(replace(tiny, **sizes), mnist, runs=tmp_path, show=None)
    assert (run.epochs, run.stopped_by) == (9, "patience")  # patience ends at 7
    assert "G" in run.history[-1]


def test_a_score_that_is_not_a_number_is_never_the_best(mnist, tiny, tmp_path, monkeypatch):
    numbers = iter([float("nan")] * 2 + [-5.0] * 2 + [float("nan")] * 2)
    made_up = lambda *args: {"authors": {"log_likelihood": next(numbers)}}  # noqa: E731
    monkeypatch.setattr(gan_repro.training, "validation_scores", made_up)
    assert train(replace(tiny, num_train=50), mnist, runs=tmp_path, show=None).best["G"].epoch == 2


def test_scoring_changes_no_weight(mnist, tiny, uninterrupted):
    often, once = uninterrupted(tiny)[0], uninterrupted(replace(tiny, score_every=3))[0]
    assert often["game"] == once["game"]


NOT_OF_TRAINING = {"num_valid", "num_samples", "score_every", "patience", "max_epochs"}


@pytest.mark.parametrize("name", [name for name in FIELDS if name not in NOT_OF_TRAINING])
def test_every_switch_of_training_changes_the_weights(tiny, uninterrupted, name):
    base = replace(tiny, step="alternating", k=2, momentum_saturates=3)
    config = replace(base, min_lr=0.4) if name == "min_lr" else changed(base if name != "step" else tiny, name)
    base = tiny if name == "step" else base
    config, base = (uninterrupted(c)[0]["game"] for c in (config, base))
    assert [config[part] for part in ("G", "ema")] != [base[part] for part in ("G", "ema")]


# Which run is which


def test_a_finished_run_is_returned_without_training(mnist, tiny, tmp_path):
    first = train(tiny, mnist, runs=tmp_path, show=None)
    with no_training():
        second = train(replace(tiny), mnist, runs=tmp_path, show=None)
    for name in ("config", "data_md5", "folder", "history", "stopped_by", "seconds", "sessions"):
        assert getattr(second, name) == getattr(first, name)
    for name in ("G", "ema"):
        assert bits(vars(second.best[name])) == bits(vars(first.best[name]))


@pytest.mark.parametrize("name", FIELDS)
def test_any_changed_field_is_another_run(mnist, tiny, tmp_path, name):
    config = replace(tiny, step="alternating")
    other = changed(config, name)
    assert run_folder(other, mnist.md5, tmp_path) != run_folder(config, mnist.md5, tmp_path)


@pytest.fixture(scope="module")
def finished_runs(mnist, tiny, tmp_path_factory):
    """A folder with one finished run, of one epoch."""
    runs = tmp_path_factory.mktemp("finished")
    train(replace(tiny, step="alternating", max_epochs=1), mnist, runs=runs, show=None)
    return runs


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "max_epochs"])
def test_a_finished_run_never_serves_a_changed_configuration_not_even_as_its_beginning(
    mnist, tiny, finished_runs, name
):
    for max_epochs in (1, 2):
        config = changed(replace(tiny, step="alternating", max_epochs=max_epochs), name)
        trainer = Trainer(config, mnist, run_folder(config, mnist.md5, finished_runs), CPU)
        trainer.resume()
        assert (trainer.game.step, trainer.history) == (0, [])


def test_other_data_and_another_recipe_are_other_runs(mnist, tiny, finished_runs, monkeypatch):
    config = replace(tiny, step="alternating", max_epochs=2)

    def steps_found(data):
        trainer = Trainer(config, data, run_folder(config, data.md5, finished_runs), CPU)
        trainer.resume()
        return trainer.game.step

    folder = run_folder(config, mnist.md5, finished_runs)
    for name in mnist.md5:
        other = replace(mnist, md5=mnist.md5 | {name: "0" * 32})
        assert run_folder(config, other.md5, finished_runs) != folder
        assert steps_found(other) == 0
    monkeypatch.setattr(gan_repro.training, "RECIPE", 2)
    assert run_folder(config, mnist.md5, finished_runs) != folder
    assert steps_found(mnist) == 0
    monkeypatch.undo()
    assert steps_found(mnist) == 12  # the control: the same recipe and data are found


def test_a_longer_run_goes_on_from_a_shorter_one_with_the_bits_of_one_that_was_long_from_the_start(
    mnist, tiny, tmp_path, calls, uninterrupted
):
    shorter, longer = replace(tiny, max_epochs=2), replace(tiny, max_epochs=4)
    train(shorter, mnist, runs=tmp_path, show=None)
    calls.append((steps := []).append)
    run = train(longer, mnist, runs=tmp_path, show=None)
    assert len(steps) == 24  # of 48
    assert state(run.folder) == uninterrupted(longer)
    with no_training():  # and the shorter one is still there, as it was
        assert train(shorter, mnist, runs=tmp_path, show=None).epochs == 2


def test_a_longer_run_goes_on_from_the_furthest_shorter_one_even_an_unfinished_one(
    mnist, tiny, tmp_path, calls, uninterrupted
):
    train(replace(tiny, max_epochs=1), mnist, runs=tmp_path, show=None)
    calls.append(lambda game: signal.raise_signal(signal.SIGINT) if game.step == 17 else None)
    with pytest.raises(KeyboardInterrupt):
        train(replace(tiny, max_epochs=2), mnist, runs=tmp_path, show=None)
    calls[:] = [(steps := []).append]
    run = train(tiny, mnist, runs=tmp_path, show=None)
    assert len(steps) == 36 - 17
    assert state(run.folder) == uninterrupted(tiny)


def test_a_shorter_run_trains_apart_from_a_longer_one(mnist, tiny, tmp_path, calls, uninterrupted):
    longer = train(tiny, mnist, runs=tmp_path, show=None)
    calls.append((steps := []).append)
    shorter = train(replace(tiny, max_epochs=2), mnist, runs=tmp_path, show=None)
    assert len(steps) == 24
    assert (shorter.epochs, longer.epochs) == (2, 3)
    assert state(shorter.folder) == uninterrupted(replace(tiny, max_epochs=2))


def test_a_shorter_run_takes_up_a_longer_one_that_has_not_passed_its_end(mnist, tiny, tmp_path, calls, uninterrupted):
    calls.append(lambda game: signal.raise_signal(signal.SIGINT) if game.step == 17 else None)
    with pytest.raises(KeyboardInterrupt):
        train(tiny, mnist, runs=tmp_path, show=None)
    calls[:] = [(steps := []).append]
    shorter = train(replace(tiny, max_epochs=2), mnist, runs=tmp_path, show=None)
    assert len(steps) == 24 - 17
    assert state(shorter.folder) == uninterrupted(replace(tiny, max_epochs=2))


def test_a_shorter_run_whose_last_epoch_the_longer_one_did_not_score_trains_apart(
    mnist, tiny, tmp_path, calls, uninterrupted
):
    config = replace(tiny, score_every=2)
    calls.append(lambda game: signal.raise_signal(signal.SIGINT) if game.step == 17 else None)
    with pytest.raises(KeyboardInterrupt):  # after epoch 1, without a score
        train(config, mnist, runs=tmp_path, show=None)
    calls[:] = [(steps := []).append]
    shorter = train(replace(config, max_epochs=1), mnist, runs=tmp_path, show=None)
    assert len(steps) == 12
    assert "G" in shorter.history[0]


def test_a_run_whose_last_score_lies_off_the_grid_is_not_taken_up(mnist, tiny, tmp_path, uninterrupted):
    """Its extra score could have chosen an epoch that the longer run never looks at."""
    config = replace(tiny, score_every=2)
    train(replace(config, max_epochs=3), mnist, runs=tmp_path, show=None)
    longer = replace(config, max_epochs=4)
    run = train(longer, mnist, runs=tmp_path, show=None)
    assert [row["epoch"] for row in run.history if "G" in row] == [2, 4]
    assert state(run.folder) == uninterrupted(longer)


def test_a_run_from_before_a_field_existed_is_gone_on_with_where_the_field_has_its_default(
    mnist, tiny, tmp_path, uninterrupted
):
    older = train(replace(tiny, max_epochs=2), mnist, runs=tmp_path, show=None).folder
    tensors, facts = load_checkpoint(older)
    del facts["config"]["ema_decay"], facts["sessions"]
    save_checkpoint(tmp_path / "mnist-seed0-0123456789ab", tensors, facts)
    shutil.rmtree(older)

    def steps_found(config):
        trainer = Trainer(config, mnist, run_folder(config, mnist.md5, tmp_path), CPU)
        trainer.resume()
        return trainer.game.step

    assert steps_found(replace(tiny, max_epochs=2, ema_decay=0.5)) == 0
    assert steps_found(replace(tiny, max_epochs=2)) == 24
    assert state(train(tiny, mnist, runs=tmp_path, show=None).folder) == uninterrupted(tiny)


# Stopped and resumed


@pytest.mark.parametrize("changes", [{"step": "simultaneous"}, {"step": "alternating", "k": 2}], ids=str)
def test_a_run_interrupted_anywhere_ends_with_the_bits_of_one_that_was_not(
    mnist, tiny, tmp_path_factory, uninterrupted, changes
):
    config = replace(tiny, score_every=2, **changes)

    @settings(max_examples=10, deadline=None, derandomize=True)
    @given(st.sets(st.integers(1, 36), min_size=1, max_size=4))
    def check(stops):
        runs, update = tmp_path_factory.mktemp("interrupted"), Game.update

        def update_and_stop(self):
            update(self)
            if self.step in stops:
                signal.raise_signal(signal.SIGINT)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Game, "update", update_and_stop)
            for stop in sorted(stops):
                with pytest.raises(KeyboardInterrupt, match=f"stopped after step {stop}; "):
                    train(config, mnist, runs=runs, show=None)
            run = train(config, mnist, runs=runs, show=None)
        assert state(run.folder) == uninterrupted(config)

    check()


def test_progress_made_by_an_interrupted_step_is_kept_not_repeated(mnist, tiny, tmp_path, calls):
    steps = []
    calls.append(lambda game: steps.append(game.step))
    calls.append(lambda game: signal.raise_signal(signal.SIGINT) if len(steps) in (5, 20) else None)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(tiny, mnist, runs=tmp_path, show=None)
    train(tiny, mnist, runs=tmp_path, show=None)
    assert steps == list(range(1, 37))


def test_a_run_knows_the_sessions_it_took(mnist, tiny, tmp_path, calls):
    calls.append(lambda game: signal.raise_signal(signal.SIGINT) if game.step == 17 else None)
    with pytest.raises(KeyboardInterrupt):
        train(tiny, mnist, runs=tmp_path, show=None)
    with warnings.catch_warnings(action="error"):  # the same machine: the same bits
        run = train(tiny, mnist, runs=tmp_path, show=None)
    assert [session["from_step"] for session in run.sessions] == [0, 17]
    for session in run.sessions:
        assert torch.__version__.startswith(session["versions"]["torch"])
        assert (session["device"], session["machine"]["threads"]) == ("cpu", torch.get_num_threads())


@pytest.mark.parametrize(
    "key, value", [("versions", {"torch": "1.0"}), ("machine", {"cpu": "abacus", "threads": 1}), ("device", "cuda")]
)
def test_going_on_elsewhere_is_said_to_change_the_bits(mnist, tiny, tmp_path, calls, monkeypatch, key, value):
    here = gan_repro.training.session
    monkeypatch.setattr(gan_repro.training, "session", lambda device: here(device) | {key: value})
    calls.append(lambda game: signal.raise_signal(signal.SIGINT) if game.step == 17 else None)
    with pytest.raises(KeyboardInterrupt):
        train(tiny, mnist, runs=tmp_path, show=None)
    monkeypatch.setattr(gan_repro.training, "session", here)
    with pytest.warns(UserWarning, match=f"began with {key} .* its bits are not those of an uninterrupted run"):
        train(tiny, mnist, runs=tmp_path, show=None)


def test_going_on_with_other_code_is_said_to_want_another_recipe(mnist, tiny, tmp_path, monkeypatch):
    now = code_fingerprints()
    monkeypatch.setattr("gan_repro.provenance.code_fingerprints", lambda *_: now | {"game": "0" * 12})
    train(replace(tiny, max_epochs=1), mnist, runs=tmp_path, show=None)
    monkeypatch.undo()
    with pytest.warns(UserWarning, match=r"goes on with other code of game: .* raise training\.RECIPE"):
        train(tiny, mnist, runs=tmp_path, show=None)


def test_ctrl_c_during_the_last_scoring_is_not_swallowed_and_loses_nothing(mnist, tiny, tmp_path, monkeypatch):
    def interrupted_scores(G, valid, config):
        signal.raise_signal(signal.SIGINT)
        return validation_scores(G, valid, config)

    config = replace(tiny, max_epochs=1, ema_decay=0.5)
    calls = iter([interrupted_scores, validation_scores])
    monkeypatch.setattr(gan_repro.training, "validation_scores", lambda *args: next(calls)(*args))
    with pytest.raises(KeyboardInterrupt, match="holds the finished run"):
        train(config, mnist, runs=tmp_path, show=None)
    with no_training():
        assert train(config, mnist, runs=tmp_path, show=None).epochs == 1


def test_a_second_ctrl_c_breaks_off_at_once_and_the_checkpoint_before_is_still_good(
    mnist, tiny, tmp_path, calls, uninterrupted
):
    def press_twice(game):
        if game.step == 20:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    calls.append(press_twice)
    with pytest.raises(KeyboardInterrupt):
        train(tiny, mnist, runs=tmp_path, show=None)
    folder = run_folder(tiny, mnist.md5, tmp_path)
    assert load_checkpoint(folder)[1]["step"] == 12
    calls.clear()
    train(tiny, mnist, runs=tmp_path, show=None)
    assert state(folder) == uninterrupted(tiny)


def test_ctrl_c_means_after_training_what_it_meant_before():
    before = signal.getsignal(signal.SIGINT)
    with interrupt_flag():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_a_run_can_be_trained_in_another_thread_than_the_main_one(mnist, tiny, tmp_path, uninterrupted):
    config = replace(tiny, num_train=100, max_epochs=1)
    thread = threading.Thread(target=train, args=(config, mnist), kwargs={"runs": tmp_path, "show": None})
    thread.start()
    thread.join(60)
    assert state(run_folder(config, mnist.md5, tmp_path)) == uninterrupted(config)


def test_one_and_two_threads_agree_after_ten_steps_to_a_thousandth_of_the_movement(mnist):
    # Sums are split among threads, so they round otherwise. Each update takes up the rounding of the last one and the
    # maxout units and rectifiers turn some of it into another choice, so the weights part the more the longer it goes
    # on: after forty steps G's difference was three times that after ten. Measured after ten: 1.3e-4 of G's movement,
    # 8e-7 of D's.
    num_threads, moved = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            game = Game(TrainingConfig(), mnist.train)
            start = {name: weights(getattr(game, name)).clone() for name in "GD"}
            for _ in range(10):
                game.update()
            moved.append({name: weights(getattr(game, name)) - start[name] for name in "GD"})
    finally:
        torch.set_num_threads(num_threads)
    for name, tolerance in {"G": 1e-3, "D": 1e-5}.items():
        one, two = (movement[name] for movement in moved)
        assert (one - two).norm() <= tolerance * one.norm()


# Real processes, killed for real


def train_in_this_process(config, digits, runs, output="/dev/null", pause=0.0, wait_at=None):
    """What a process of its own does: train, with a pause after each update, and at step wait_at until runs/go exists.

    runs/step holds the number of steps done. output takes what is printed, also a traceback.
    """
    make_lively()
    sys.stdout = sys.stderr = open(output, "w", buffering=1)  # noqa: SIM115
    torch.set_num_threads(1)  # the same bits need the same number
    update = Game.update

    def slow_update(self):
        update(self)
        (runs / "step").write_text(str(self.step))
        while self.step == wait_at and not (runs / "go").exists():
            time.sleep(0.005)
        time.sleep(pause)

    Game.update = slow_update
    train(config, digits, runs=runs, show=print)


@pytest.fixture
def start(in_process, few_digits, tmp_path):
    """A function that starts train_in_this_process in another process, in a folder below tmp_path."""

    def start(config, name, **options):
        runs = tmp_path / name
        runs.mkdir(exist_ok=True)
        (runs / "step").unlink(missing_ok=True)
        return in_process(train_in_this_process, config, few_digits, runs, **options)

    return start


def wait_until(condition, what: str, seconds: float = 180):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.002)


def finish(process):
    process.join(120)
    assert process.exitcode == 0


def test_the_same_seed_gives_the_same_bits_in_two_processes_and_another_seed_others(start, tiny, mnist, tmp_path):
    other = replace(tiny, seed=1)
    for process in [start(tiny, "a"), start(tiny, "b"), start(other, "c")]:
        finish(process)
    a, b = (state(run_folder(tiny, mnist.md5, tmp_path / name)) for name in "ab")
    c = state(run_folder(other, mnist.md5, tmp_path / "c"))
    assert a == b
    for part in ("G", "D", "ema"):
        assert c[0]["game"][part] != a[0]["game"][part]


@pytest.mark.parametrize("step", ["simultaneous", "alternating"])
def test_a_run_killed_at_random_moments_ends_with_the_bits_of_one_that_was_not(start, tiny, mnist, tmp_path, step):
    config = replace(tiny, step=step, max_epochs=5, score_every=2)
    reference = start(config, "reference")
    folder = run_folder(config, mnist.md5, tmp_path / "killed")
    seed = random.SystemRandom().randrange(10**6)
    rng, stopped_at = random.Random(seed), []
    while len(stopped_at) < 3:
        process = start(config, "killed", pause=0.004)
        wait_until((tmp_path / "killed" / "step").exists, "the first step")
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.join()
        if process.exitcode == 0:  # faster than we were
            break
        assert process.exitcode == -signal.SIGKILL
        saved = load_checkpoint(folder)
        stopped_at.append(saved[1]["step"] if saved else 0)
    assert stopped_at, f"no moment was in training with the delays of seed {seed}"
    assert stopped_at == sorted(stopped_at)
    finish(start(config, "killed"))
    finish(reference)
    expected = state(run_folder(config, mnist.md5, tmp_path / "reference"))
    assert state(folder) == expected, f"delays of seed {seed}, resumed from steps {stopped_at}"


def test_ctrl_c_leaves_a_good_checkpoint_in_mid_epoch_and_says_so(start, tiny, mnist, tmp_path):
    reference, output = start(tiny, "reference"), tmp_path / "output"
    process = start(tiny, "stopped", output=output, wait_at=17)
    wait_until(lambda: process.exitcode is not None or _read(tmp_path / "stopped" / "step") == "17", "step 17")
    os.kill(process.pid, signal.SIGINT)
    (tmp_path / "stopped" / "go").touch()
    process.join(120)
    folder = run_folder(tiny, mnist.md5, tmp_path / "stopped")
    assert process.exitcode not in (0, None)
    assert f"KeyboardInterrupt: stopped after step 17; {folder} holds the checkpoint" in output.read_text()
    assert "\r" not in output.read_text()  # not a terminal
    _, facts = load_checkpoint(folder)
    assert (facts["step"], len(facts["history"])) == (17, 1)
    finish(start(tiny, "stopped"))
    finish(reference)
    assert state(folder) == state(run_folder(tiny, mnist.md5, tmp_path / "reference"))


def test_in_a_terminal_a_line_says_where_the_epoch_stands_and_makes_room_for_the_rows(start, tiny):
    ours, theirs = pty.openpty()
    finish(start(replace(tiny, max_epochs=2), "terminal", output=os.ttyname(theirs), pause=0.05))
    os.set_blocking(ours, False)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    os.close(theirs)
    assert "\repoch 1: step " in shown
    assert "\repoch 2: step " in shown
    assert " of 12\033[K" in shown
    lines = [line.rsplit("\r", 1)[-1].removeprefix("\033[K") for line in shown.split("\r\n")]  # what is left to see
    assert [line.split()[0] for line in lines if line] == ["epoch", "1", "2"]


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_second_process_on_the_same_run_is_told_so(mnist, tiny, tmp_path):
    folder = run_folder(tiny, mnist.md5, tmp_path)
    folder.mkdir()
    hold = """import sys, filelock
with filelock.FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()"""
    command = [sys.executable, "-c", hold, str(folder / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with no_training(), pytest.raises(RuntimeError, match=f"another process is training this run in {folder}: "):
            train(tiny, mnist, runs=tmp_path, show=None)
        other.communicate(b"")
    assert train(tiny, mnist, runs=tmp_path, show=None).epochs == 3  # the lock went with the process


# What is not finite, damaged or too much


def test_an_absurd_learning_rate_stops_the_run_and_says_that_nothing_was_saved(mnist, tiny, tmp_path):
    config = replace(tiny, lr=1e30)
    with pytest.raises(NotFiniteError, match=r"epoch 1, step \d+ of 12\. There is no good checkpoint yet"):
        train(config, mnist, runs=tmp_path, show=None)
    assert load_checkpoint(run_folder(config, mnist.md5, tmp_path)) is None


def plant_nan(step, net):
    def plant(game):
        if game.step == step:
            with torch.no_grad():
                getattr(game, net).h1.weight[0, 0] = float("nan")

    return plant


@pytest.mark.parametrize("net", ["G", "D"])
@pytest.mark.parametrize(
    "step, what",
    [
        (27, "a loss is not finite: epoch 3, step 4 of 12. "),  # which sees the weight of the step before
        (36, "the weight {net}.h1.weight is not finite: epoch 3, step 12 of 12. "),  # no loss sees it any more
    ],
)
def test_a_number_that_is_not_finite_stops_the_run_and_names_epoch_step_and_the_good_checkpoint(
    mnist, tiny, tmp_path, calls, uninterrupted, step, what, net
):
    calls.append(plant_nan(step, net))
    folder = run_folder(tiny, mnist.md5, tmp_path)
    with pytest.raises(NotFiniteError) as caught:
        train(tiny, mnist, runs=tmp_path, show=None)
    assert str(caught.value).startswith(what.format(net=net))
    assert f"The last good checkpoint, of the end of epoch 2, is in {folder}" in str(caught.value)
    assert load_checkpoint(folder)[1]["step"] == 24
    calls.clear()
    train(tiny, mnist, runs=tmp_path, show=None)
    assert state(folder) == uninterrupted(tiny)


def test_what_is_not_finite_is_found_at_the_next_look_and_not_at_the_epoch_s_end(
    mnist, tiny, tmp_path, calls, monkeypatch
):
    monkeypatch.setattr("gan_repro.training.LOOK_INTERVAL", 5)
    done = []
    calls += [plant_nan(15, "G"), lambda game: done.append(game.step)]
    with pytest.raises(NotFiniteError, match=r"a loss is not finite: epoch 2, step 4 of 12\. The last good checkpoint"):
        train(tiny, mnist, runs=tmp_path, show=None)
    assert done[-1] == 20  # the look at step 15 came before the NaN was in a logit


def test_a_logit_that_is_not_finite_stops_the_run_also_where_its_loss_is(mnist, tiny, tmp_path, calls):
    def lose(game):
        if game.step == 15:
            game.logits[2, 0] = float("inf")  # of data: D is sure, and its loss is 0

    calls.append(lose)
    with pytest.raises(NotFiniteError, match=r"a logit of D is not finite: epoch 2, step 3 of 12\. "):
        train(tiny, mnist, runs=tmp_path, show=None)


def test_a_loss_that_is_not_finite_stops_the_run_also_where_all_weights_are(mnist, tiny, tmp_path, calls):
    def lose(game):
        if game.step == 15:
            game.logits[2, 0] = float("-inf")

    calls.append(lose)
    with pytest.raises(NotFiniteError, match=r"a loss is not finite: epoch 2, step 3 of 12\. "):
        train(tiny, mnist, runs=tmp_path, show=None)


def test_the_good_checkpoint_named_can_be_one_in_mid_epoch(mnist, tiny, tmp_path, calls):
    calls.append(lambda game: signal.raise_signal(signal.SIGINT) if game.step == 5 else None)
    with pytest.raises(KeyboardInterrupt):
        train(tiny, mnist, runs=tmp_path, show=None)
    calls[:] = [plant_nan(8, "G")]
    with pytest.raises(NotFiniteError, match=r"step 9 of 12\. The last good checkpoint, of step 5 of epoch 1, is in "):
        train(tiny, mnist, runs=tmp_path, show=None)


def test_a_run_that_goes_on_from_a_shorter_one_has_a_good_checkpoint_of_its_own_at_once(mnist, tiny, tmp_path, calls):
    train(replace(tiny, max_epochs=2), mnist, runs=tmp_path, show=None)
    calls.append(plant_nan(25, "D"))
    folder = run_folder(tiny, mnist.md5, tmp_path)
    with pytest.raises(NotFiniteError, match=f"The last good checkpoint, of the end of epoch 2, is in {folder}"):
        train(tiny, mnist, runs=tmp_path, show=None)
    assert load_checkpoint(folder)[1]["step"] == 24


def test_ctrl_c_saves_nothing_that_is_not_finite(mnist, tiny, tmp_path, calls):
    calls.append(plant_nan(17, "D"))
    calls.append(lambda game: signal.raise_signal(signal.SIGINT) if game.step == 17 else None)
    with pytest.raises(NotFiniteError, match=r"the weight D.h1.weight is not finite: epoch 2, step 5 of 12\. "):
        train(tiny, mnist, runs=tmp_path, show=None)
    assert load_checkpoint(run_folder(tiny, mnist.md5, tmp_path))[1]["step"] == 12


def test_a_damaged_checkpoint_is_named_and_not_trained_over(mnist, tiny, tmp_path):
    folder = train(replace(tiny, max_epochs=1), mnist, runs=tmp_path, show=None).folder
    damaged = (folder / "checkpoint.pt").read_bytes()[:-1000]
    (folder / "checkpoint.pt").write_bytes(damaged)
    with no_training(), pytest.raises(RuntimeError, match=f"the checkpoint {folder}/checkpoint.pt cannot be read"):
        train(replace(tiny, max_epochs=1), mnist, runs=tmp_path, show=None)
    assert (folder / "checkpoint.pt").read_bytes() == damaged


@pytest.mark.parametrize("facts", [{}, [], {"recipe": 1, "step": 3}])
def test_a_whole_checkpoint_of_something_else_is_named_as_a_damaged_one_is(mnist, tiny, tmp_path, facts, uninterrupted):
    own, other = run_folder(tiny, mnist.md5, tmp_path / "a"), tmp_path / "b" / "mnist-seed0-0123456789ab"
    for folder in (own, other):
        save_checkpoint(folder, {}, facts)
    with (
        no_training(),
        pytest.raises(RuntimeError, match=r"cannot be read \(it (lacks|holds no run).*Delete its folder"),
    ):
        train(tiny, mnist, runs=tmp_path / "a", show=None)
    with pytest.warns(UserWarning, match=r"cannot be read \(it (lacks|holds no run)"):
        run = train(tiny, mnist, runs=tmp_path / "b", show=None)
    assert state(run.folder) == uninterrupted(tiny)


def test_another_runs_damaged_checkpoint_is_named_but_stops_nobody(mnist, tiny, tmp_path, uninterrupted):
    other = tmp_path / "mnist-seed0-0123456789ab"
    other.mkdir()
    (other / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.warns(UserWarning, match=f"the checkpoint {other}/checkpoint.pt cannot be read"):
        run = train(tiny, mnist, runs=tmp_path, show=None)
    assert state(run.folder) == uninterrupted(tiny)


@pytest.mark.parametrize("name, value, there_are", [("num_train", 50_001, 50_000), ("num_valid", 10_001, 10_000)])
def test_more_images_than_there_are_cannot_be_asked_for(mnist, tiny, tmp_path, name, value, there_are):
    with pytest.raises(ValueError, match=f"{name} is {value}: there are only {there_are} such images"):
        train(replace(tiny, **{name: value}), mnist, runs=tmp_path, show=None)


# GPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("step", CHOICES["step"])
def test_an_epoch_on_a_gpu_never_waits_for_it(mnist, tiny, step):
    game = Game(replace(tiny, step=step), mnist.train[:600].cuda())
    game.update()  # what is made once
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(12):  # into the next epoch
            game.update()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert game.statistics().isfinite().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_run_on_a_gpu_resembles_that_on_a_cpu_and_can_be_resumed(mnist, tiny, tmp_path, calls):
    calls.append(lambda game: signal.raise_signal(signal.SIGINT) if game.step == 17 else None)
    with pytest.raises(KeyboardInterrupt):
        train(tiny, mnist, runs=tmp_path / "gpu", device="cuda", show=None)
    gpu = train(tiny, mnist, runs=tmp_path / "gpu", device="cuda", show=None)
    calls.clear()
    cpu = train(tiny, mnist, runs=tmp_path / "cpu", show=None)
    for name in STATISTICS:
        assert_close([row[name] for row in gpu.history], [row[name] for row in cpu.history], rtol=1e-3, atol=1e-3)
