"""The fully connected CIFAR-10 pair against explicit products, the released sizes and initial distributions."""

import numpy as np
import torch
from scipy import stats
from torch.testing import assert_close

from gan_repro.cifar10_models import CIFAR10Generator, cifar10_discriminator


def small_G():
    return CIFAR10Generator(width=0.02).initialize(torch.Generator().manual_seed(0))


def test_the_released_pair_has_as_many_parameters_as_the_authors():
    with torch.device("meta"):
        G, D = CIFAR10Generator(), cifar10_discriminator()
    assert sum(parameter.numel() for parameter in G.parameters()) == 89_395_072
    assert sum(parameter.numel() for parameter in D.parameters()) == 37_393_601


def test_width_scales_the_hidden_layers_and_nothing_else():
    G, D = small_G(), cifar10_discriminator(width=0.05)
    assert [tuple(layer.weight.shape) for layer in (G.h0, G.h1, G.y)] == [(160, 100), (160, 160), (3072, 160)]
    assert (D.h0.num_units, D.h1.num_units, D.h0.num_pieces, D.h1.num_pieces) == (80, 80, 5, 5)
    assert D.input_widths == (3072, 80, 80)


def test_initial_weights_are_uniform_in_the_released_ranges_and_biases_0():
    G, D = small_G(), cifar10_discriminator(width=0.05).initialize(torch.Generator().manual_seed(0))
    ranges = [(G.h0, 0.05), (G.h1, 0.05), (G.y, 0.5), (D.h0, 0.005), (D.h1, 0.005), (D.y, 0.005)]
    for layer, irange in ranges:
        drawn = layer.weight.detach().double().flatten().numpy()
        assert stats.kstest(drawn, stats.uniform(-irange, 2 * irange).cdf).pvalue > 0.01
        assert (layer.bias == 0).all()


def test_gs_images_are_the_products_written_out_and_take_either_sign():
    G, z = small_G().double(), np.random.default_rng(0).normal(size=(6, 100))
    w = {name: value.numpy() for name, value in G.state_dict().items()}
    h0 = np.maximum(z @ w["h0.weight"].T + w["h0.bias"], 0)
    h1 = 1 / (1 + np.exp(-(h0 @ w["h1.weight"].T + w["h1.bias"])))
    images = G(torch.tensor(z)).detach().numpy()
    assert_close(images, h1 @ w["y.weight"].T + w["y.bias"])
    assert images.min() < 0 < images.max()


def test_d_takes_what_g_makes_and_all_layers_learn():
    G, D = small_G(), cifar10_discriminator(width=0.02).initialize(torch.Generator().manual_seed(0))
    logits = D(G(torch.randn(4, 100, generator=torch.Generator().manual_seed(0))))
    assert logits.shape == (4, 1)
    logits.sum().backward()
    assert all(parameter.grad.abs().max() > 0 for net in (G, D) for parameter in net.parameters())
