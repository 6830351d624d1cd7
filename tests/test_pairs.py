"""The other pairs of Section 5 through the same Algorithm 1: their first weights, updates, stages and records."""

import copy
import lzma
import shutil
import signal
from dataclasses import asdict, replace

import numpy as np
import pytest
import scipy.io
import torch

from gan_repro import tfd
from gan_repro.baselines.fit import Fit, fit
from gan_repro.baselines.vae import VAEConfig
from gan_repro.cifar10 import CIFAR10
from gan_repro.config import RELEASED, released
from gan_repro.contrast import global_contrast_normalize
from gan_repro.costs import checkpoint_bytes
from gan_repro.data import to_unit
from gan_repro.faces import Faces
from gan_repro.fer2013 import five_folds
from gan_repro.game import EMA_INTERVAL, STATISTICS, Game
from gan_repro.layers import Linear
from gan_repro.losses import discriminator_loss, generator_loss_nonsaturating
from gan_repro.models import Maxout
from gan_repro.one_pass import one_pass_gradients
from gan_repro.pairs import as_seen, initialize, make_discriminator, make_generator
from gan_repro.paths import RESULTS
from gan_repro.records import (
    NUM_KEPT_SAMPLES,
    read_generator,
    read_record,
    read_samples,
    reproduce,
    with_weights,
    write_record,
)
from gan_repro.results import ResultsError, encode, nats
from gan_repro.scoring import (
    TEST_DRAW,
    VALIDATION_DRAW,
    draw_samples,
    parzen_scores,
    scores_on_test_set,
    scores_over_folds,
)
from gan_repro.steps import two_pass_gradients
from gan_repro.table1_faces import table1_faces
from gan_repro.trace import trace
from gan_repro.training import hash_of, load_run, run_folder, train
from gan_repro.weights import pack_samples, unpack_samples, write_beside

OTHERS = [pair for pair in RELEASED if pair != "mnist"]
PARAMETERS = {  # DESIGN 4
    "mnist": (2_503_984, 1_231_441),
    "faces_stage_1": (83_250_304, 21_037_201),
    "faces_stage_2": (84_858_404, 21_037_201),
    "cifar10_mlp": (89_395_072, 37_393_601),
    "cifar10_conv": (64_825_072, 12_454_073),
}


def tiny(pair, **changed):
    """A run of 2 epochs of 3 steps with a hundredth of the released units."""
    smaller = {"num_train": 30, "num_valid": 2, "batch_size": 10, "num_samples": 20, "num_z": 5, "width": 0.01}
    stage_1 = {"stage_1_epochs": 2} if pair == "faces_stage_2" else {}
    return released(pair, **smaller | stage_1 | {"max_epochs": 2, "score_every": 1} | changed)


@pytest.fixture(scope="module")
def data():
    """Made faces and made photographs, by pair."""
    draws = torch.Generator().manual_seed(0)
    images, labels = torch.randint(256, (132, 2304), dtype=torch.uint8, generator=draws), torch.zeros(132).long()
    folds = torch.cat([torch.zeros(32, 5, dtype=torch.uint8), five_folds(100)])
    faces = Faces(name="made", images=images, folds=folds, labels=labels, md5={"made": "0" * 32})
    splits = [torch.randint(256, (30, 3072), dtype=torch.uint8, generator=draws) for _ in range(3)]
    photographs = CIFAR10(*splits, *[torch.zeros(30).long()] * 3, md5={"made": "1" * 32})
    return {pair: faces if pair.startswith("faces") else photographs for pair in OTHERS}


@pytest.mark.parametrize("pair", RELEASED)
def test_pairs_have_the_released_numbers_of_parameters(pair):
    with torch.device("meta"):  # shapes alone
        nets = make_generator(released(pair)), make_discriminator(released(pair))
    assert tuple(sum(p.numel() for p in net.parameters()) for net in nets) == PARAMETERS[pair]


def test_faces_are_seen_in_unit_range_and_photographs_normalised(data):
    faces, photographs = data["faces_stage_1"].train, data["cifar10_mlp"].train
    for pair in ("faces_stage_1", "faces_stage_2"):
        assert torch.equal(as_seen(faces, released(pair)), to_unit(faces))
    for pair in ("cifar10_mlp", "cifar10_conv"):
        assert torch.equal(as_seen(photographs, released(pair)), global_contrast_normalize(photographs))


def lively(game):
    """Weights and velocities with which each net's gradients show in one update: a narrow D passes back too little."""
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        if game.config.pair == "faces_stage_2":
            game.begin_stage_2(Game(tiny("faces_stage_1"), game.x).G.state_dict())
        for parameter in game.D.parameters():
            parameter.mul_(20)
        for net, v in ((game.G, game.v_G), (game.D, game.v_D)):
            for parameter, velocity in zip(net.parameters(), v.parameters(), strict=True):
                velocity.normal_(generator=draws).mul_(parameter.abs().mean() + 1e-4)
    return game


def nets_and_draws(pair, data, *, dtype=torch.float64):
    game = lively(Game(tiny(pair), data[pair].train))
    x, z, masks = game.draws(0, "z", "masks")
    return game.G.to(dtype), game.D.to(dtype), x.to(dtype), z.to(dtype), [mask.to(dtype) for mask in masks]


@pytest.mark.parametrize("generator_loss", ["nonsaturating", "minimax"])
@pytest.mark.parametrize("pair", OTHERS)
def test_one_pass_gives_the_gradients_of_two(pair, generator_loss, data):
    G, D, x, z, masks = nets_and_draws(pair, data)
    losses = {"generator_loss": generator_loss, "d_loss_scale": 0.7}
    expected_logits = two_pass_gradients(G, D, x, z, masks, **losses)
    expected = [parameter.grad for net in (G, D) for parameter in net.parameters()]
    logits = one_pass_gradients(G, D, x, z, masks, **losses)
    found = [parameter.grad for net in (G, D) for parameter in net.parameters()]
    assert all(torch.equal(one, two) for one, two in zip(logits, expected_logits, strict=True))
    for one, two in zip(found, expected, strict=True):
        assert two.any()
        assert (one - two).norm() <= 1e-10 * two.norm()


@pytest.mark.parametrize("generator_loss", ["nonsaturating", "minimax"])
@pytest.mark.parametrize("logit", [-1e5, -1e4, -200.0, -95.0, -40.0, -25.0, 25.0, 95.0, 200.0, 1e4, 1e5])
def test_one_pass_is_right_where_d_is_certain_and_floats_end(logit, generator_loss, data):
    G, D, x, z, masks = nets_and_draws("cifar10_mlp", data, dtype=torch.float32)
    with torch.no_grad():
        D.y.bias.fill_(logit)
    losses = {"generator_loss": generator_loss, "d_loss_scale": 0.5}
    one_pass_gradients(G, D, x, z, masks, **losses)
    found = {name: [parameter.grad.double() for parameter in net.parameters()] for name, net in (("G", G), ("D", D))}
    G, D, x, z = G.double(), D.double(), x.double(), z.double()
    two_pass_gradients(G, D, x, z, [mask.double() for mask in masks], **losses)
    for name, net in (("G", G), ("D", D)):
        for one, parameter in zip(found[name], net.parameters(), strict=True):
            difference = (one - parameter.grad).norm()
            # Beside it only what lies below float32's smallest normal number, 1.2e-38, in each entry; and what a D that
            # is sure of a sample is taken to think of it at the least, of which D's own loss sees 1e-13.
            vanished = 1.2e-38 * parameter.numel() ** 0.5
            floor = 1e-12 * max(p.grad.norm() for p in D.parameters()) if name == "D" else 0
            assert difference <= 1e-4 * parameter.grad.norm() + vanished + floor, (name, one.norm())


def by_hand(config, x, start):
    """One update of both nets from the state `start`, in float64, from the losses and pylearn2's formulas."""
    game = Game(config, x)
    game.load_state_dict(start, 0)
    nets = {"G": game.G.double(), "D": game.D.double(), "v_G": game.v_G.double(), "v_D": game.v_D.double()}
    G, D = nets["G"], nets["D"]
    shared = config.step != "alternating"

    def logits(z_stream, masks_stream, rows):
        masks = [mask.double() for mask in game.masks(masks_stream, 0, rows)]
        images = as_seen(x[game.order(0)[:10]], config).double()
        fake = G(game.noise(z_stream, 0).double())
        both = D(torch.cat([images, fake]) if rows == 20 else fake, masks)
        return both[:-10], both[-10:]

    def move(name, loss):
        gradients = torch.autograd.grad(loss, list(nets[name].parameters()), retain_graph=True)
        moved = []
        with torch.no_grad():
            for parameter, v, gradient in zip(
                nets[name].parameters(), nets[f"v_{name}"].parameters(), gradients, strict=True
            ):
                new = parameter + config.momentum * v - config.lr * gradient
                if config.max_column_norm and new.dim() == 2:
                    norm = new.norm(dim=1, keepdim=True)
                    new = new * norm.clamp(max=config.max_column_norm) / (1e-7 + norm)
                moved.append(new)
        return moved

    def put(name, moved):
        with torch.no_grad():
            for parameter, new in zip(nets[name].parameters(), moved, strict=True):
                parameter.copy_(new)

    real, fake = logits("z", "masks", 20) if shared else logits("z_for_d", "masks_for_d", 20)
    new_D = move("D", config.d_loss_scale * discriminator_loss(real, fake))
    if not shared:  # Algorithm 1: D moves first, and G then plays against it on fresh noise
        put("D", new_D)
        _, fake = logits("z", "masks", 10)
    new_G = move("G", generator_loss_nonsaturating(fake))
    put("G", new_G)
    put("D", new_D)
    return G, D


@pytest.mark.parametrize("step", ["simultaneous", "two_pass", "alternating"])
@pytest.mark.parametrize("pair", OTHERS)
def test_an_update_is_that_of_the_losses_momentum_and_limit_written_out(pair, step, data):
    config = tiny(pair, step=step)
    game = lively(Game(config, data[pair].train))
    start = copy.deepcopy(game.state_dict())
    expected = by_hand(config, data[pair].train, start)
    game.update()
    for name, net in zip(("G", "D"), expected, strict=True):
        for key, value in getattr(game, name).state_dict().items():
            before = start[name][key].double()
            by_velocity = config.momentum * start[f"v_{name}"][key].double()
            right = net.state_dict()[key] - before
            step_alone = right - by_velocity  # what the gradient did, and the limit
            assert step_alone.any(), key
            found = value.double() - before
            rounding = 1e-7 * before.norm()
            assert (found - right).norm() <= 1e-3 * step_alone.norm() + rounding, (name, key)
            if config.max_column_norm and value.dim() == 2:
                assert value.norm(dim=1).max() <= config.max_column_norm + 1e-5


@pytest.mark.parametrize("step", ["simultaneous", "two_pass", "alternating"])
@pytest.mark.parametrize("pair", OTHERS)
def test_gradients_of_large_weights_lie_where_the_last_ones_did(pair, step, data):
    game = lively(Game(tiny(pair, step=step), data[pair].train))
    of_layers = [layer for net in (game.G, game.D) for layer in net.modules() if isinstance(layer, Linear | Maxout)]
    assert len(of_layers) >= (3 if pair == "cifar10_conv" else 5)
    game.update()
    first = [(layer.weight.spare.data_ptr(), layer.weight.spare.clone()) for layer in of_layers]
    with torch.no_grad():
        game.G(torch.ones(1, game.config.num_z))  # as a score would
    game.update()
    for layer, (where, gradient) in zip(of_layers, first, strict=True):
        assert layer.weight.spare.data_ptr() == where
        assert not torch.equal(layer.weight.spare, gradient)


@pytest.mark.parametrize("pair", OTHERS)
def test_a_run_of_each_pair_resumes_with_the_same_bits(pair, data, tmp_path, monkeypatch):
    """Once in the middle of an epoch and once after it, both after the average has moved."""
    config = tiny(pair, batch_size=2)
    assert config.steps_per_epoch > EMA_INTERVAL
    whole = train(config, data[pair], runs=tmp_path / "whole", show=None)
    update = Game.update

    def stops(game):
        update(game)
        if game.step == EMA_INTERVAL + 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Game, "update", stops)
    with pytest.raises(KeyboardInterrupt):
        train(replace(config, max_epochs=1), data[pair], runs=tmp_path / "parts", show=None)
    monkeypatch.setattr(Game, "update", update)
    train(replace(config, max_epochs=1), data[pair], runs=tmp_path / "parts", show=None)
    parts = train(config, data[pair], runs=tmp_path / "parts", show=None)
    assert whole.history == parts.history and whole.epochs == 2
    game, again = (load_run(run.folder)[0]["game"] for run in (whole, parts))
    for net in ("G", "D", "v_G", "v_D", "ema"):
        assert all(torch.equal(value, again[net][key]) for key, value in game[net].items())
    assert whole.folder.name.startswith(f"{pair}-seed0-")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("pair", OTHERS)
def test_a_pair_trains_and_is_recorded_on_a_gpu_as_on_a_cpu(pair, data, tmp_path):
    config, records = tiny(pair), {}
    for device in ("cuda", "cpu"):
        places = {"runs": tmp_path / device, "device": device, "show": None}
        records[device] = reproduce(config, data[pair], tmp_path / device / pair, **places)[0]
    for name in STATISTICS:
        gpu, cpu = ([row[name] for row in records[device]["history"]] for device in ("cuda", "cpu"))
        assert gpu == pytest.approx(cpu, rel=1e-3, abs=1e-3)


def test_another_pair_width_or_stage_1_is_another_run():
    folders = [run_folder(config, {}) for config in (
        *map(tiny, OTHERS),
        tiny("cifar10_mlp", width=0.02),
        tiny("faces_stage_2", stage_1_epochs=3),
    )]  # fmt: skip
    assert len(set(folders)) == len(folders)


def test_stage_2_begins_with_the_stage_1_that_was_trained_and_a_fresh_d(data, tmp_path):
    faces = data["faces_stage_2"]
    stage_1 = train(tiny("faces_stage_1"), faces, runs=tmp_path, show=None)
    learned = load_run(stage_1.folder)[0]["game"]["G"]
    begun = {}

    class Stopped(Exception):
        pass

    def stop(self):
        begun["game"] = self
        raise Stopped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Game, "update", stop)
        with pytest.raises(Stopped):
            train(tiny("faces_stage_2"), faces, runs=tmp_path, show=None)
    game = begun["game"]
    for G in (game.G, game.ema):
        assert all(torch.equal(value, learned[key]) for key, value in G.stage_1.state_dict().items())
    fresh, before = Game(tiny("faces_stage_2"), faces.train), Game(tiny("faces_stage_1"), faces.train)
    assert all(torch.equal(p, q) for p, q in zip(game.D.parameters(), fresh.D.parameters(), strict=True))
    assert not torch.equal(game.D.h0.weight, before.D.h0.weight)  # it repeats no draw of stage 1
    assert not torch.equal(game.G.h0.weight, before.G.h0.weight)
    assert not torch.equal(game.noise("z", 0), before.noise("z", 0))
    assert not torch.equal(game.order(0), before.order(0))
    assert not torch.equal(game.masks("masks", 0, 20)[0], before.masks("masks", 0, 20)[0])
    assert not any(v.any() for v in game.v_G.parameters())


def test_a_stage_2_without_its_stage_1_cannot_be_overlooked(data):
    game = Game(tiny("faces_stage_2"), data["faces_stage_2"].train)
    assert game.G(game.noise("z", 0)).isnan().all()


def test_ctrl_c_in_stage_1_leaves_its_checkpoint_and_the_next_call_goes_on_to_the_same_bits(data, tmp_path):
    faces, config = data["faces_stage_2"], tiny("faces_stage_2")
    whole = train(config, faces, runs=tmp_path / "whole", show=None)
    update = Game.update

    def interrupted(self):
        update(self)
        if (self.config.pair, self.step) == stop_at:
            signal.raise_signal(signal.SIGINT)

    for stop_at in (("faces_stage_1", 4), ("faces_stage_2", 2)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Game, "update", interrupted)
            with pytest.raises(KeyboardInterrupt, match=f"stopped after step {stop_at[1]}; .*{stop_at[0]}"):
                train(config, faces, runs=tmp_path / "parts", show=None)
    parts = train(config, faces, runs=tmp_path / "parts", show=None)
    assert parts.history == whole.history
    assert parts.stage_1["sha256"] == whole.stage_1["sha256"]
    assert [session["from_step"] for session in parts.stage_1["sessions"]] == [0, 4]


@pytest.mark.parametrize("pair", OTHERS)
def test_data_of_another_size_is_refused_in_a_sentence(pair, data, tmp_path):
    other = data["cifar10_mlp" if pair.startswith("faces") else "faces_stage_1"]
    with pytest.raises(ValueError, match=f'^the pair "{pair}" takes images of (2304|3072) numbers, these have'):
        train(tiny(pair), other, runs=tmp_path, show=None)


def test_stage_2_goes_on_training_the_layers_of_stage_1(data):
    game = Game(tiny("faces_stage_2"), data["faces_stage_2"].train)
    game.begin_stage_2(Game(tiny("faces_stage_1"), data["faces_stage_1"].train).G.state_dict())
    with torch.no_grad():  # a D of a hundredth's width passes back less than floats show
        for parameter in game.D.parameters():
            parameter.mul_(20)
    before = {key: value.clone() for key, value in game.G.state_dict().items()}
    game.update()
    assert [key for key, value in game.G.state_dict().items() if torch.equal(value, before[key])] == []


def test_a_finished_stage_2_needs_its_stage_1_no_more(data, tmp_path):
    run = train(tiny("faces_stage_2"), data["faces_stage_2"], runs=tmp_path, show=None)  # trains its stage 1 too
    assert sorted(path.name.split("-")[0] for path in tmp_path.iterdir()) == ["faces_stage_1", "faces_stage_2"]
    for folder in tmp_path.glob("faces_stage_1-*"):
        folder.rename(tmp_path / "gone")
    assert train(tiny("faces_stage_2"), data["faces_stage_2"], runs=tmp_path, show=None).history == run.history


def test_a_score_over_folds_is_the_mean_of_theirs_with_the_error_over_folds(data):
    images = data["faces_stage_1"].images.clone()
    images[30:60] //= 2  # so that folds differ
    images[60:80] //= 8
    faces = replace(data["faces_stage_1"], images=images)
    samples = torch.rand(20, 2304, generator=torch.Generator().manual_seed(1))
    found = scores_over_folds(faces, samples)
    for grid, scores in found.items():
        for number in range(5):
            fold = faces.fold(number)
            assert scores["folds"][number] == parzen_scores(fold.test, fold.valid, samples)[grid]
        values = torch.tensor([fold["log_likelihood"] for fold in scores["folds"]], dtype=torch.float64)
        assert len(values.unique()) == 5
        assert scores["log_likelihood"] == pytest.approx(values.mean().item())
        assert scores["standard_error"] == pytest.approx((values.var() / 5).sqrt().item())  # n - 1
        assert scores["sigma"] == sorted(fold["sigma"] for fold in scores["folds"])[2]


def test_photographs_are_scored_as_their_nets_see_them(data):
    config, photographs = tiny("cifar10_mlp"), data["cifar10_mlp"]
    game = Game(config, photographs.train)
    found = scores_on_test_set(game.G, photographs, config, draw=VALIDATION_DRAW)["fine"]
    samples = draw_samples(game.G, num_samples=20, noise="gaussian", seed=0, draw=VALIDATION_DRAW).double()
    x = global_contrast_normalize(photographs.test).double()
    sq_dist = torch.cdist(x, samples).square()
    sigma = found["sigma"]
    expected = torch.logsumexp(-sq_dist / (2 * sigma**2), 1) - torch.tensor(20.0).log()
    expected = expected - 3072 / 2 * torch.log(torch.tensor(2 * torch.pi * sigma**2))
    assert found["log_likelihood"] == pytest.approx(expected.mean().item(), abs=0.01)


@pytest.fixture(scope="module")
def recorded(data, tmp_path_factory):
    """A record of each of the other pairs, with what it was made from."""
    folder, made = tmp_path_factory.mktemp("records"), {}
    for pair in OTHERS:
        config = tiny(pair, num_samples=300)
        made[pair] = config, *reproduce(config, data[pair], folder / pair, runs=folder / "runs", show=None)
    return made


@pytest.mark.parametrize("pair", OTHERS)
def test_a_record_of_a_large_pair_keeps_fair_draws_in_place_of_weights(pair, data, recorded):
    config, record, path = recorded[pair]
    run = train(config, data[pair], runs=path.parents[1] / "runs", show=None)
    assert "weights" not in record and record["samples"]["count"] == NUM_KEPT_SAMPLES == 250
    for name, best in run.best.items():
        G = with_weights(best.weights, config)
        drawn = draw_samples(G, num_samples=300, noise="gaussian", seed=0, draw=TEST_DRAW)[:NUM_KEPT_SAMPLES]
        largest = drawn.abs().amax(dim=1, keepdim=True)
        assert ((read_samples(path, name) - drawn).abs() <= largest / 254 * 1.001).all()
        assert record["metrics"][name]["test"] == scores_on_test_set(G, data[pair], config)
    assert record["metrics"]["last"]["epoch"] == record["epochs"] == 2
    last = scores_on_test_set(with_weights(run.last, config), data[pair], config)
    assert record["metrics"]["last"]["test"] == last
    with pytest.raises(ResultsError, match="keeps samples of G, not its weights: make them anew by its command"):
        read_generator(path)


@pytest.mark.parametrize("pair", OTHERS)
def test_a_record_of_a_large_pair_keeps_draws_of_the_last_g_as_well(pair, data, recorded, tmp_path):
    config, _, path = recorded[pair]
    run = train(config, data[pair], runs=path.parents[1] / "runs", show=None)
    last = make_generator(config)
    initialize(last, make_discriminator(config), data[pair].train, replace(config, seed=99))
    last = {key: value.detach().nan_to_num() for key, value in last.state_dict().items()}  # far from the best G
    write_record(replace(run, last=last), data[pair], tmp_path / path.name, experiment="made")
    kept, drawn = (
        read_samples(tmp_path / path.name, "last"),
        draw_samples(with_weights(last, config), num_samples=300, noise="gaussian", seed=0, draw=TEST_DRAW),
    )
    assert len(kept) == NUM_KEPT_SAMPLES
    drawn = drawn[:NUM_KEPT_SAMPLES]
    largest = drawn.abs().amax(dim=1, keepdim=True)
    assert ((kept - drawn).abs() <= largest / 254 * 1.001).all()
    assert (kept - read_samples(tmp_path / path.name)).abs().max() > 0.1 * largest.max()


def test_a_record_from_before_the_last_g_was_kept_says_how_to_come_by_it(recorded, tmp_path):
    _, record, path = recorded["cifar10_mlp"]
    older = {name: read_samples(path, name) for name in ("G", "ema")}
    kept = write_beside(tmp_path / path.name, "samples", pack_samples(older))
    (tmp_path / path.name).write_bytes(encode(record | {"samples": record["samples"] | kept}))
    assert len(read_samples(tmp_path / path.name, "ema")) == NUM_KEPT_SAMPLES
    with pytest.raises(ResultsError, match="from before draws of the last G were kept: its command makes it anew"):
        read_samples(tmp_path / path.name, "last")
    for fewer, refused in (("last", False), ("ema", True)):  # of the last G fewer were kept for some time
        some = {name: read_samples(path, name)[: 40 if name == fewer else None] for name in ("G", "ema", "last")}
        kept = write_beside(tmp_path / path.name, "samples", pack_samples(some))
        (tmp_path / path.name).write_bytes(encode(record | {"samples": record["samples"] | kept}))
        if refused:
            with pytest.raises(ResultsError, match="they are 40 draws, not 250"):
                read_samples(tmp_path / path.name, fewer)
        else:
            assert len(read_samples(tmp_path / path.name, fewer)) == 40


@pytest.mark.parametrize("pair", OTHERS)
def test_a_checkpoint_is_as_large_as_the_weights_that_it_holds(pair, data, tmp_path):
    run = train(tiny(pair, num_z=100, width=0.03), data[pair], runs=tmp_path, show=None)
    (size,) = (path.stat().st_size for path in run.folder.glob("checkpoint.pt"))
    weights = checkpoint_bytes(pair, 0.03)
    assert weights < size < 1.02 * weights + 100_000


@pytest.mark.parametrize("pair", OTHERS)
def test_a_record_of_a_large_pair_is_found_again_and_its_command_names_the_pair(pair, data, recorded):
    config, record, path = recorded[pair]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Game, "update", lambda self: pytest.fail("the run was trained"))
        assert reproduce(config, data[pair], path.parent, runs=path.parents[1] / "none", show=None)[0] == record
    words = record["made_by"]["command"].split()
    assert f"pair={pair}" in words and "width=0.01" in words and "seed=0" in words
    assert not any(word.startswith(("lr=", "noise=", "max_column_norm=")) for word in words)  # as released
    given = dict(word.split("=") for word in words if "=" in word and not word.startswith("OMP"))
    defaults = asdict(released(pair))
    assert released(given.pop("pair"), **{key: type(defaults[key])(value) for key, value in given.items()}) == config


def test_a_record_of_stage_2_tells_of_its_stage_1(recorded, data):
    config, record, path = recorded["faces_stage_2"]
    run = train(config.stage_1(), data["faces_stage_2"], runs=path.parents[1] / "runs", show=None)
    stage_1 = record["stage_1"]
    assert (stage_1["epochs"], stage_1["seconds"], stage_1["sessions"]) == (run.epochs, run.seconds, run.sessions)
    assert stage_1["sha256"] == hash_of(load_run(run.folder)[0]["game"]["G"])
    assert "stage_1" not in recorded["faces_stage_1"][1]


def test_a_record_of_few_samples_says_how_few_it_keeps(data, tmp_path):
    path = reproduce(tiny("cifar10_mlp"), data["cifar10_mlp"], tmp_path / "few", runs=tmp_path, show=None)[1]
    assert read_record(path)["samples"]["count"] == len(read_samples(path)) == len(read_samples(path, "last")) == 20


def test_a_user_s_own_tfd_goes_through_both_stages_to_the_score_of_five_folds(tmp_path):
    draws = np.random.default_rng(0)
    folds = np.concatenate([np.zeros((40, 5), np.uint8), five_folds(50).numpy()])
    images = draws.integers(256, size=(90, 48, 48), dtype=np.uint8)
    (tmp_path / "tfd").mkdir()
    arrays = {"images": images, "folds": folds, "labs_ex": np.ones(90), "labs_id": np.ones(90)}
    scipy.io.savemat(tmp_path / "tfd" / tfd.FILE, arrays)
    faces = tfd.load_tfd(tmp_path)
    config = tiny("faces_stage_2", num_train=len(faces.train), num_valid=len(faces.valid))
    record, _ = reproduce(config, faces, tmp_path / "faces_TFD", runs=tmp_path / "runs", show=None)
    assert [len(score["folds"]) for score in record["metrics"]["G"]["test"].values()] == [5, 5]
    assert record["made_by"]["command"].split()[4:7] == ["--experiment", "faces_TFD", "--tfd"]
    assert list(record["data_md5"]) == [tfd.FILE]
    table = table1_faces(tmp_path).set_index("model")
    score = record["metrics"]["G"]["test"]["authors"]
    of_row = dict(table.loc["Adversarial nets"])
    assert of_row["ours, on TFD"].startswith(f"{nats(score['log_likelihood'], score['standard_error'])} (epoch ")
    assert f"{len(faces.train)} faces learned; not as released: " in of_row["ours, on TFD"]
    assert "width 0.0" in of_row["ours, on TFD"] and "num_train" not in of_row["ours, on TFD"]
    assert of_row["ours, on FER-2013"] == of_row["below real faces"] == "–"
    assert table.loc["DBN", "ours, on TFD"] == "not run: data not public"
    text = "\n".join(trace(["faces", "Adversarial nets", "ours, on TFD"], tmp_path))
    assert "faces_TFD/seed0.json" in text and "faces_stage_2, seed 0" in text and "--tfd" in text
    vae = VAEConfig(num_visible=2304, num_hidden=10, num_z=3, epochs=1, batch_size=10)
    sizes = {"num_train": len(faces.train), "num_valid": len(faces.valid), "num_samples": 20}
    settings = Fit(model="vae", model_config=vae, **sizes)
    fitted, _ = fit(settings, faces, tmp_path / "vae_TFD", runs=tmp_path / "runs", show=None)
    row = table1_faces(tmp_path).set_index("model").loc["VAE"]
    score = fitted["metrics"]["test"]["authors"]
    assert row["ours, on TFD"].startswith(f"{nats(score['log_likelihood'], score['standard_error'])} (epoch ")
    assert row["ours, on FER-2013"] == "–"
    shutil.copytree(tmp_path / "faces_TFD", tmp_path / "faces")  # where they are no faces of FER-2013
    assert dict(table1_faces(tmp_path).set_index("model").loc["Adversarial nets"]) == of_row
    assert "vae_TFD/seed0.json" in "\n".join(trace(["faces", "VAE", "ours, on TFD"], tmp_path))
    assert torch.equal(torch.cat([faces.train, faces.valid]), torch.from_numpy(images[:40]).flatten(1))


def test_faces_are_recorded_with_the_score_of_every_fold(recorded):
    for scores in recorded["faces_stage_2"][1]["metrics"].values():
        assert scores["plus_minus"] == "standard error over folds"
        assert [len(score["folds"]) for score in scores["test"].values()] == [5, 5]


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:500] + b"?" + data[501:]])
def test_samples_other_than_those_of_the_record_are_refused(recorded, tmp_path, damage):
    _, record, path = recorded["cifar10_mlp"]
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    with pytest.raises(ResultsError, match=r"the samples .* of seed0.json are missing"):
        read_samples(copy)
    kept = path.with_name(record["samples"]["file"])
    copy.with_name(kept.name).write_bytes(damage(kept.read_bytes()))
    with pytest.raises(ResultsError, match=r"the samples .* are not those of seed0.json: their hash differs"):
        read_samples(copy)


def test_samples_of_a_record_that_keeps_weights_are_refused():
    with pytest.raises(ResultsError, match="keeps the weights of G: draw samples from these"):
        read_samples(RESULTS / "mnist" / "seed0.json")
    with pytest.raises(ValueError, match="they cannot be decompressed"):
        unpack_samples(pack_samples({"G": torch.zeros(2, 3)})[:-5], "G")
    with pytest.raises(ValueError, match="they are not in the safetensors format"):
        unpack_samples(lzma.compress(b"nothing"), "G")
    with pytest.raises(ValueError, match="they are not in the safetensors format"):
        unpack_samples(b"nothing", "G")
    before = lzma.decompress(pack_samples({"G": torch.ones(2, 3)}))  # as they were kept once
    assert torch.equal(unpack_samples(before, "G"), torch.ones(2, 3))
    with pytest.raises(ValueError, match='they have none of "ema"'):
        unpack_samples(pack_samples({"G": torch.zeros(2, 3)}), "ema")
    with pytest.raises(ValueError, match="G holds NaN or infinity"):
        unpack_samples(pack_samples({"G": torch.full((2, 3), torch.inf)}), "G")
