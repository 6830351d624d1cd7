"""The other pairs of Section 5 through the same Algorithm 1: their first weights, updates, stages and records."""

from dataclasses import asdict, replace

import pytest
import torch

from gan_repro.cifar10 import CIFAR10, global_contrast_normalize
from gan_repro.config import RELEASED, released
from gan_repro.data import to_unit
from gan_repro.faces import Faces
from gan_repro.fer2013 import five_folds
from gan_repro.game import Game
from gan_repro.layers import MAX_COLUMN_NORM
from gan_repro.losses import discriminator_loss, generator_loss_nonsaturating
from gan_repro.one_pass import one_pass_gradients
from gan_repro.pairs import as_seen, make_discriminator, make_generator
from gan_repro.paths import RESULTS
from gan_repro.records import NUM_KEPT_SAMPLES, read_generator, read_samples, reproduce, with_weights
from gan_repro.results import ResultsError
from gan_repro.scoring import TEST_DRAW, VALIDATION_DRAW, draw_samples, scores_on_test_set, scores_over_folds
from gan_repro.steps import two_pass_gradients
from gan_repro.training import load_run, run_folder, train
from gan_repro.weights import pack_samples, unpack_samples

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
    smaller = {"num_train": 30, "num_valid": 10, "batch_size": 10, "num_samples": 20, "num_z": 5, "width": 0.01}
    stage_1 = {"stage_1_epochs": 2} if pair == "faces_stage_2" else {}
    return released(pair, **smaller | stage_1 | {"max_epochs": 2, "score_every": 1} | changed)


@pytest.fixture(scope="module")
def data():
    """Made faces and made photographs, by pair."""
    draws = torch.Generator().manual_seed(0)
    images, labels = torch.randint(256, (130, 2304), dtype=torch.uint8, generator=draws), torch.zeros(130).long()
    folds = torch.cat([torch.zeros(30, 5, dtype=torch.uint8), five_folds(100)])
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


def nets_and_draws(pair, data, *, dtype=torch.float64):
    game = Game(tiny(pair), data[pair].train)
    x, z, masks = game.draws(0, "z", "masks")
    with torch.no_grad():  # else all logits are nearly 0
        for parameter in game.D.parameters():
            parameter.mul_(20)
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
@pytest.mark.parametrize("logit", [-200.0, -95.0, -40.0, -25.0, 25.0, 95.0, 200.0])
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
            # What float32 cannot hold beside numbers of the size of a minibatch's gradients, it need not show
            assert difference <= 1e-4 * parameter.grad.norm() + 1e-12, (name, one.norm(), parameter.grad.norm())


@pytest.mark.parametrize("step", ["simultaneous", "two_pass", "alternating"])
@pytest.mark.parametrize("pair", OTHERS)
def test_updates_are_those_of_momentum_with_the_limit_on_norms(pair, step, data):
    config = tiny(pair, step=step)
    game = Game(config, data[pair].train)
    reference = Game(config, data[pair].train)
    reference.G.load_state_dict(game.G.state_dict())  # else the stage-1 layers of faces_stage_2 are of no training
    if step == "alternating":
        game.update()
    else:
        G, D = reference.G, reference.D
        z, masks = reference.noise("z", 0), reference.masks("masks", 0, 20)
        logits_of_data = D(as_seen(data[pair].train[game.order(0)[:10]], config), [mask[:10] for mask in masks])
        fake_logits = D(G(z), [mask[10:] for mask in masks])
        d_loss, g_loss = (
            0.5 * discriminator_loss(logits_of_data, fake_logits),
            generator_loss_nonsaturating(fake_logits),
        )
        gradients = {
            "D": torch.autograd.grad(d_loss, list(D.parameters()), retain_graph=True),
            "G": torch.autograd.grad(g_loss, list(G.parameters())),
        }
        game.update()
        for name in ("G", "D"):
            start, moved = (
                dict(getattr(reference, name).named_parameters()),
                dict(getattr(game, name).named_parameters()),
            )
            for (key, before), gradient in zip(start.items(), gradients[name], strict=True):
                expected = before - config.lr * gradient
                if config.max_column_norm and expected.dim() == 2:
                    expected = expected * (MAX_COLUMN_NORM / expected.norm(dim=1, keepdim=True)).clamp(max=1)
                torch.testing.assert_close(moved[key], expected, rtol=1e-4, atol=1e-6)
    for net in (game.G, game.D):
        norms = torch.cat([p.norm(dim=1) for p in net.parameters() if p.dim() == 2])
        assert not config.max_column_norm or norms.max() <= MAX_COLUMN_NORM + 1e-5


@pytest.mark.parametrize("pair", OTHERS)
def test_a_run_of_each_pair_resumes_with_the_same_bits(pair, data, tmp_path):
    config = tiny(pair)
    whole = train(config, data[pair], runs=tmp_path / "whole", show=None)
    train(replace(config, max_epochs=1), data[pair], runs=tmp_path / "parts", show=None)
    parts = train(config, data[pair], runs=tmp_path / "parts", show=None)
    assert whole.history == parts.history and whole.epochs == 2
    game, again = (load_run(run.folder)[0]["game"] for run in (whole, parts))
    for net in ("G", "D", "v_G", "v_D", "ema"):
        assert all(torch.equal(value, again[net][key]) for key, value in game[net].items())
    assert (whole.folder.parent / whole.folder.name).name.startswith(f"{pair}-seed0-")


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
    fresh = Game(tiny("faces_stage_2"), faces.train)
    assert all(torch.equal(p, q) for p, q in zip(game.D.parameters(), fresh.D.parameters(), strict=True))
    assert not any(v.any() for v in game.v_G.parameters())


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
    faces = data["faces_stage_1"]
    samples = torch.rand(20, 2304, generator=torch.Generator().manual_seed(1))
    for scores in scores_over_folds(faces, samples).values():
        values = torch.tensor([fold["log_likelihood"] for fold in scores["folds"]], dtype=torch.float64)
        assert len(values) == 5
        assert scores["log_likelihood"] == pytest.approx(values.mean().item())
        assert scores["standard_error"] == pytest.approx((values.var() / 5).sqrt().item())  # n - 1
    different = {tuple(fold.test[0].tolist()) for fold in map(faces.fold, range(5))}
    assert len(different) == 5


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
        config = tiny(pair, num_samples=1100)
        made[pair] = config, *reproduce(config, data[pair], folder / pair, runs=folder / "runs", show=None)
    return made


@pytest.mark.parametrize("pair", OTHERS)
def test_a_record_of_a_large_pair_keeps_fair_draws_in_place_of_weights(pair, data, recorded):
    config, record, path = recorded[pair]
    run = train(config, data[pair], runs=path.parents[1] / "runs", show=None)
    assert "weights" not in record and record["samples"]["count"] == NUM_KEPT_SAMPLES == 1000
    for name, best in run.best.items():
        G = with_weights(best.weights, config)
        drawn = draw_samples(G, num_samples=1100, noise="gaussian", seed=0, draw=TEST_DRAW)[:1000]
        largest = drawn.abs().amax(dim=1, keepdim=True)
        assert ((read_samples(path, name) - drawn).abs() <= largest / 254 * 1.001).all()
        assert record["metrics"][name]["test"] == scores_on_test_set(G, data[pair], config)
    with pytest.raises(ResultsError, match="keeps samples of G, not its weights: make them anew by its command"):
        read_generator(path)


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
    with pytest.raises(ValueError, match="they are not in the safetensors format"):
        unpack_samples(b"nothing", "G")
    with pytest.raises(ValueError, match='they have none of "ema"'):
        unpack_samples(pack_samples({"G": torch.zeros(2, 3)}), "ema")
    with pytest.raises(ValueError, match="G holds NaN or infinity"):
        unpack_samples(pack_samples({"G": torch.full((2, 3), torch.inf)}), "G")
