"""The MNIST pair against explicit products, the released sizes and the released initial distributions."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from gan_repro.data import to_unit
from gan_repro.models import Discriminator, Generator, LargestPiece, Maxout


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def number_of_parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.fixture(scope="module")
def pixel_means(mnist):
    return to_unit(mnist.train).mean(dim=0)


@pytest.fixture(scope="module")
def released_G(pixel_means):
    return Generator().initialize(torch.Generator().manual_seed(0), pixel_means=pixel_means)


@pytest.fixture(scope="module")
def released_D():
    return Discriminator().initialize(torch.Generator().manual_seed(0))


# Sizes and initial distributions


def test_the_released_pair_has_as_many_parameters_as_the_authors(released_G, released_D):
    assert number_of_parameters(released_G) == 2_503_984
    assert number_of_parameters(released_D) == 1_231_441


@pytest.mark.parametrize("net, irange", [("released_G", 0.05), ("released_D", 0.005)])
def test_initial_weights_are_uniform_within_irange(net, irange, request):
    for layer in request.getfixturevalue(net).children():
        weights = layer.weight.detach().double().flatten().numpy()
        assert np.abs(weights).max() <= irange * (1 + 1e-6)  # float32 rounds
        assert stats.kstest(weights, stats.uniform(-irange, 2 * irange).cdf).pvalue > 0.01


def test_irange_can_be_chosen(pixel_means):
    generator = torch.Generator().manual_seed(0)
    D = Discriminator().initialize(generator, irange=0.3)
    G = Generator().initialize(generator, pixel_means=pixel_means, irange=0.3)
    for weight in (D.h0.weight, D.h1.weight, G.h0.weight, G.h1.weight, G.y.weight):
        assert weight.abs().max().item() == pytest.approx(0.3, rel=1e-4)


def test_initial_biases_are_0_but_for_those_of_gs_output(released_G, released_D):
    for layer in (released_G.h0, released_G.h1, released_D.h0, released_D.h1, released_D.y):
        assert torch.equal(layer.bias, torch.zeros_like(layer.bias))


def test_gs_output_biases_are_the_logit_of_the_pixel_means_also_where_a_pixel_is_never_on(released_G, mnist):
    means = mnist.train.double().mean(dim=0).numpy() / 255
    clipped = np.clip(means, 1e-7, 1 - 1e-7)
    expected = np.log(clipped / (1 - clipped))
    assert_close(released_G.y.bias.detach().double().numpy(), expected, rtol=2e-5, atol=2e-5)
    assert (means == 0).sum() > 50  # such as the corners
    assert released_G.y.bias[0].item() == pytest.approx(math.log(1e-7 / (1 - 1e-7)))


def test_a_pixel_that_is_always_on_has_a_finite_bias_too():
    G = Generator(num_z=2, num_hidden=3, num_pixels=3)
    G.initialize(torch.Generator(), pixel_means=torch.tensor([0.0, 0.5, 1.0]))
    assert_close(G.y.bias.detach(), torch.tensor([-16.118096, 0.0, 16.118096]))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(pixel_means):
    def weights(seed):
        generator = torch.Generator().manual_seed(seed)
        G = Generator(num_hidden=20).initialize(generator, pixel_means=pixel_means)
        D = Discriminator(num_units=6).initialize(generator)
        return torch.cat([layer.weight.detach().flatten() for net in (G, D) for layer in net.children()])

    assert torch.equal(weights(0), weights(0))
    assert (weights(0) == weights(1)).float().mean() < 0.01


# Maxout


def test_the_largest_piece_and_its_gradient_agree_with_amax():
    pieces, grad = normal(40, 5, 7).requires_grad_(), normal(40, 7, seed=1)
    assert torch.equal(LargestPiece.apply(pieces), pieces.amax(dim=1))
    (ours,) = torch.autograd.grad(LargestPiece.apply(pieces), pieces, grad)
    (theirs,) = torch.autograd.grad(pieces.amax(dim=1), pieces, grad)
    assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(3, 5, 4), (1, 1, 6), (4, 2, 1)])
def test_the_largest_pieces_gradient_is_that_of_finite_differences(shape):
    assert torch.autograd.gradcheck(LargestPiece.apply, normal(*shape).requires_grad_())


def test_pieces_that_tie_each_get_the_whole_gradient():
    pieces = torch.tensor([[[1.0, 2.0], [1.0, 0.0], [0.5, 2.0]]], requires_grad=True)
    LargestPiece.apply(pieces).backward(torch.tensor([[3.0, 7.0]]))
    assert torch.equal(pieces.grad, torch.tensor([[[3.0, 7.0], [3.0, 0.0], [0.0, 7.0]]]))


def test_maxout_is_the_largest_of_each_units_linear_functions():
    layer = Maxout(6, num_units=4, num_pieces=3).double()
    with torch.no_grad():
        layer.weight.copy_(normal(12, 6, seed=2))
        layer.bias.copy_(normal(12, seed=3))
    x = normal(9, 6)
    out = layer(x)
    assert out.shape == (9, 4)
    for unit in range(4):
        rows = [piece * 4 + unit for piece in range(3)]  # one piece of all units after another
        linear = [x @ layer.weight[row] + layer.bias[row] for row in rows]
        assert_close(out[:, unit], torch.stack(linear).max(dim=0).values)


def test_maxout_of_one_piece_is_linear():
    layer = Maxout(6, num_units=4, num_pieces=1).double()
    with torch.no_grad():
        layer.weight.copy_(normal(4, 6))
    assert_close(layer(normal(9, 6, seed=1)), normal(9, 6, seed=1) @ layer.weight.T)


# The first layer of D, where half the rows are data


# The nets


def small_D():
    """A float64 D whose weights and biases are all far from 0."""
    D = Discriminator(num_pixels=10, num_units=4, num_pieces=3).double()
    with torch.no_grad():
        for i, parameter in enumerate(D.parameters()):
            parameter.copy_(normal(*parameter.shape, seed=i))
    return D


def logits_by_hand(D, x, masks):
    weight = {name: value.detach().numpy() for name, value in D.state_dict().items()}
    h0 = ((x * masks[0]) @ weight["h0.weight"].T + weight["h0.bias"]).reshape(-1, 3, 4).max(axis=1)
    h1 = ((h0 * masks[1]) @ weight["h1.weight"].T + weight["h1.bias"]).reshape(-1, 3, 4).max(axis=1)
    return (h1 * masks[2]) @ weight["y.weight"].T + weight["y.bias"]


def test_ds_logits_with_masks_are_the_products_written_out():
    D, x = small_D(), normal(8, 10).numpy()
    rng = np.random.default_rng(0)
    masks = [rng.integers(0, 2, (8, width)) * scale for width, scale in zip(D.input_widths, (1.25, 2, 2), strict=True)]
    logits = D(torch.tensor(x), [torch.tensor(mask, dtype=torch.float64) for mask in masks])
    assert logits.shape == (8, 1)
    assert_close(logits.detach().numpy(), logits_by_hand(D, x, masks))


def test_ds_logits_without_masks_are_those_with_masks_of_1():
    D, x = small_D(), normal(8, 10)
    ones = [np.ones((8, width)) for width in D.input_widths]
    assert_close(D(x).detach().numpy(), logits_by_hand(D, x.numpy(), ones))
    assert torch.equal(D(x), D(x, [torch.tensor(mask) for mask in ones]))


def test_d_treats_each_row_by_itself():
    D, x = small_D(), normal(8, 10)
    assert_close(D(x)[3:5], D(x[3:5]))


def test_gs_images_are_the_products_written_out_and_lie_between_0_and_1():
    G, z = Generator(num_z=3, num_hidden=5, num_pixels=7).double(), normal(6, 3)
    weight = {name: value.numpy() for name, value in G.state_dict().items()}
    h0 = np.maximum(z.numpy() @ weight["h0.weight"].T + weight["h0.bias"], 0)
    h1 = np.maximum(h0 @ weight["h1.weight"].T + weight["h1.bias"], 0)
    expected = 1 / (1 + np.exp(-(h1 @ weight["y.weight"].T + weight["y.bias"])))
    assert_close(G(z).detach().numpy(), expected)


def test_an_untrained_g_draws_images_near_the_pixel_means(released_G, pixel_means):
    with torch.no_grad():
        images = released_G(torch.rand(500, 100, generator=torch.Generator().manual_seed(0)) * 3.46 - 1.73)
    assert images.min() >= 0
    assert images.max() <= 1
    assert np.corrcoef(images.mean(dim=0), pixel_means)[0, 1] > 0.99
