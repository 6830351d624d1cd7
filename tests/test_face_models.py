"""The face pair against explicit products, the released sizes and the released initial distributions."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from gan_repro.face_models import FaceGenerator, TwoStageFaceGenerator, face_discriminator
from gan_repro.game import learn, zeros_like


def number_of_parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def small_stage_1(seed=0):
    """A stage-1 G of 160 hidden units a layer, on pixel means from 0 to 1."""
    return FaceGenerator(width=0.02).initialize(
        torch.Generator().manual_seed(seed), pixel_means=torch.linspace(0, 1, 2304)
    )


def small_stage_2():
    return TwoStageFaceGenerator(small_stage_1(), width=0.01).initialize(torch.Generator().manual_seed(1))


def arrays(net):
    return {name: value.double().numpy() for name, value in net.state_dict().items()}


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_the_released_nets_have_as_many_parameters_as_the_authors():
    with torch.device("meta"):
        assert number_of_parameters(FaceGenerator()) == 83_250_304
        assert number_of_parameters(TwoStageFaceGenerator(FaceGenerator())) == 84_858_404
        assert number_of_parameters(face_discriminator()) == 21_037_201


def test_width_scales_the_hidden_layers_and_nothing_else():
    G, D = small_stage_2(), face_discriminator(width=0.05)
    shapes = {name: tuple(value.shape) for name, value in G.named_parameters() if "weight" in name}
    assert shapes == {
        "h0.weight": (80, 100),
        "h1.weight": (100, 80),
        "stage_1.h0.weight": (160, 100),
        "stage_1.h1.weight": (160, 160),
        "stage_1.y.weight": (2304, 160),
    }
    assert (D.h0.num_units, D.h1.num_units, D.h0.num_pieces, D.input_widths) == (60, 60, 5, (2304, 60, 60))


def test_stage_1_starts_as_released():
    G = small_stage_1()
    weights = arrays(G)
    for name in ("h0", "h1"):
        drawn = weights[f"{name}.weight"].flatten()
        assert stats.kstest(drawn, stats.uniform(-0.05, 0.1).cdf).pvalue > 0.01
    assert (weights["h0.bias"] == 0).all() and (weights["h1.bias"] == -2).all()
    drawn = weights["y.weight"]
    assert ((drawn != 0).sum(axis=1) == 100).all()
    assert stats.kstest(drawn[drawn != 0], stats.norm.cdf).pvalue > 0.01
    means = np.clip(np.linspace(0, 1, 2304), 1e-7, 1 - 1e-7)
    assert_close(weights["y.bias"], np.log(means / (1 - means)), rtol=1e-4, atol=1e-4)


def test_stage_2_starts_with_new_layers_as_released_and_stage_1_as_it_was():
    stage_1 = small_stage_1()
    before = copy.deepcopy(stage_1.state_dict())
    G = TwoStageFaceGenerator(stage_1, width=0.1).initialize(torch.Generator().manual_seed(1))
    assert all(torch.equal(value, before[name]) for name, value in G.stage_1.state_dict().items())
    for layer, bias in ((G.h0, 0), (G.h1, -2)):
        drawn = layer.weight.detach().double().flatten().numpy()
        assert stats.kstest(drawn, stats.uniform(-0.05, 0.1).cdf).pvalue > 0.01
        assert (layer.bias == bias).all()


def test_faces_of_both_stages_are_the_products_written_out():
    G, z = small_stage_2(), np.random.default_rng(0).normal(size=(6, 100))
    w = arrays(G)

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def stage_1(x):
        return sigmoid(linear(sigmoid(linear(relu(linear(x, "stage_1.h0")), "stage_1.h1")), "stage_1.y"))

    G = G.double()
    assert_close(G.stage_1(torch.tensor(z)).detach().numpy(), stage_1(z))
    assert_close(G(torch.tensor(z)).detach().numpy(), stage_1(sigmoid(linear(relu(linear(z, "h0")), "h1"))))


def test_all_layers_of_both_stages_learn_and_noise_differs_from_row_to_row():
    G, D = small_stage_2(), face_discriminator(width=0.01)
    D.initialize(torch.Generator().manual_seed(0), irange=0.1)
    faces = G(torch.randn(4, 100, generator=torch.Generator().manual_seed(0)))
    D(faces).sum().backward()
    assert faces.shape == (4, 2304) and D(faces).shape == (4, 1)
    assert all(parameter.grad.abs().max() > 0 for parameter in G.parameters())
    assert (faces[0] - faces[1]).abs().max() > 0


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    assert torch.equal(small_stage_1(0).y.weight, small_stage_1(0).y.weight)
    assert (small_stage_1(0).h1.weight == small_stage_1(1).h1.weight).float().mean() < 0.01


@pytest.mark.parametrize("net", [small_stage_2, lambda: face_discriminator(width=0.01)])
def test_the_column_norm_limit_holds_in_every_layer_after_it_is_applied(net):
    net = net()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=10.0, generator=torch.Generator().manual_seed(0))
            parameter.grad = torch.zeros_like(parameter)
    learn(net, zeros_like(net), lr=0.1, momentum=0.5, max_column_norm=1.9365)
    weights = [value for name, value in arrays(net).items() if name.endswith("weight")]
    assert len(weights) in (3, 5)
    for weight in weights:
        norms = np.linalg.norm(weight, axis=1)
        assert_close(norms, np.full(len(weight), 1.9365), rtol=1e-5, atol=0)
