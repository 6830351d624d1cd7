"""The convolutional CIFAR-10 pair against loops and scipy's correlation, the released sizes and distributions."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.signal import correlate
from torch.testing import assert_close

from gan_repro.cifar10_conv_models import ConvDiscriminator, ConvGenerator, MaxoutConv


def small_G():
    return ConvGenerator(width=0.05).initialize(torch.Generator().manual_seed(0))


def small_D(dtype=torch.float32):
    """A D of few channels whose weights and biases are all far from 0."""
    D = ConvDiscriminator(width=0.06)
    with torch.no_grad():
        for i, parameter in enumerate(D.parameters()):
            parameter.normal_(std=0.2, generator=torch.Generator().manual_seed(i))
    return D.to(dtype)


def test_the_released_pair_has_as_many_parameters_as_the_authors():
    with torch.device("meta"):
        G, D = ConvGenerator(), ConvDiscriminator()
    assert sum(parameter.numel() for parameter in G.parameters()) == 64_825_072
    assert sum(parameter.numel() for parameter in D.parameters()) == 12_454_073


def test_the_released_d_takes_an_image_of_3_x_32_x_32_and_gives_one_logit():
    D = ConvDiscriminator().initialize(torch.Generator().manual_seed(0))
    shapes = []
    for layer in (D.h0, D.h1, D.h2):
        layer.register_forward_hook(lambda layer, inputs, output: shapes.append((inputs[0].shape, output.shape)))
    with torch.no_grad():
        assert D(torch.zeros(1, 3, 32, 32)).shape == (1, 1)
    assert shapes == [
        ((1, 3, 32, 32), (1, 32, 16, 16)),
        ((1, 32, 16, 16), (1, 32, 7, 7)),
        ((1, 32, 7, 7), (1, 192, 5, 5)),
    ]
    assert D.h3.weight.shape == (2500, 4800)
    assert D.input_widths == (3072, 32 * 16 * 16, 32 * 7 * 7, 4800, 500)


def test_an_image_and_its_row_of_3072_numbers_are_the_same_to_d():
    D, images = small_D(), torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(D(images), D(images.flatten(1)))


@pytest.mark.parametrize("width, wider", [(1.0, 1), (0.25, 2)])  # wider: where a quarter of the inputs is left
def test_initial_weights_are_uniform_in_the_released_ranges_and_biases_0(width, wider):
    G, D = small_G(), ConvDiscriminator(width=width).initialize(torch.Generator().manual_seed(0))
    of_D = [(D.h0, 0.005), *((layer, 0.005 * wider) for layer in (D.h1, D.h2, D.h3, D.y))]
    ranges = [(G.h0, 0.05), (G.h1, 0.05), (G.y, 0.05), *of_D]
    assert len(ranges) == 8
    for layer, irange in ranges:
        drawn = layer.weight.detach().double().flatten().numpy()
        assert np.abs(drawn).max() <= irange * (1 + 1e-6)
        assert stats.kstest(drawn, stats.uniform(-irange, 2 * irange).cdf).pvalue > 0.01
    assert all((bias == 0).all() for net in (G, D) for name, bias in net.named_parameters() if "bias" in name)


def test_gs_last_layer_is_a_transposed_convolution_with_a_bias_for_each_output():
    G, z = small_G().double(), np.random.default_rng(0).normal(size=(2, 100))
    with torch.no_grad():
        G.y_bias.normal_(generator=torch.Generator().manual_seed(1))
    w = {name: value.numpy() for name, value in G.state_dict().items()}
    h0 = np.maximum(z @ w["h0.weight"].T + w["h0.bias"], 0)
    h1 = 1 / (1 + np.exp(-(h0 @ w["h1.weight"].T + w["h1.bias"])))
    channels = h1.reshape(2, 4, 10, 10)
    expected = np.repeat(w["y_bias"][None], 2, axis=0)
    for i in range(10):
        for j in range(10):  # each position puts its kernels, 5 x 5, 3 pixels after those of the one before
            stamp = np.einsum("nk,kcab->ncab", channels[:, :, i, j], w["y.weight"])
            expected[:, :, 3 * i : 3 * i + 5, 3 * j : 3 * j + 5] += stamp
    images = G(torch.tensor(z)).detach().numpy()
    assert images.shape == (2, 3072)
    assert_close(images, expected.reshape(2, 3072))


def maxout_conv_by_hand(x, weight, bias, *, num_pieces, padding, pool_size, pool_stride):
    """(in, h, w) -> (channels, h', w'); pooling windows start as long as they hold a pixel not seen before."""
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    linear = np.stack([correlate(padded, k, mode="valid", method="direct")[0] for k in weight]) + bias[:, None, None]
    h = linear.reshape(num_pieces, -1, *linear.shape[1:]).max(axis=0)
    starts = range(0, h.shape[1] - pool_size + pool_stride, pool_stride)
    rows = [[h[:, i : i + pool_size, j : j + pool_size].max(axis=(1, 2)) for j in starts] for i in starts]
    return np.array(rows).transpose(2, 0, 1)


@pytest.mark.parametrize("side, padding, pool_size", [(32, 4, 4), (16, 3, 4), (7, 3, 2), (6, 0, 3)])
def test_a_convolutional_maxout_layer_is_its_definition(side, padding, pool_size):
    options = {"num_pieces": 3, "padding": padding, "pool_size": pool_size, "pool_stride": 2}
    layer = MaxoutConv(2, num_channels=4, kernel_size=5 if side < 8 else 8, **options).double()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.tensor(rng.normal(size=tuple(parameter.shape))))
    x = rng.normal(size=(2, 2, side, side))
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = np.stack([maxout_conv_by_hand(image, weight, bias, **options) for image in x])
    assert_close(layer(torch.tensor(x)).detach().numpy(), expected)


def test_ds_logits_with_masks_are_the_layers_written_out():
    D, rng = small_D(torch.float64), np.random.default_rng(0)
    x = rng.normal(size=(2, 3072))
    masks = [
        rng.integers(0, 2, (2, width)) * scale for width, scale in zip(D.input_widths, (1.25, 2, 2, 2, 2), strict=True)
    ]
    w = {name: value.numpy() for name, value in D.state_dict().items()}
    expected = []
    for row, *kept in zip(x, *masks, strict=True):
        h = (row * kept[0]).reshape(3, 32, 32)
        for i, (padding, pool_size) in enumerate([(4, 4), (3, 4), (3, 2)]):
            options = {"num_pieces": 2, "padding": padding, "pool_size": pool_size, "pool_stride": 2}
            h = maxout_conv_by_hand(h, w[f"h{i}.weight"], w[f"h{i}.bias"], **options)
            h = h * kept[i + 1].reshape(h.shape)
        h3 = (w["h3.weight"] @ h.flatten() + w["h3.bias"]).reshape(5, -1).max(axis=0)
        expected.append(w["y.weight"] @ (h3 * kept[4]) + w["y.bias"])
    masks = [torch.tensor(mask, dtype=torch.float64) for mask in masks]
    assert_close(D(torch.tensor(x), masks).detach().numpy(), np.array(expected))
    ones = [torch.ones_like(mask) for mask in masks]
    assert torch.equal(D(torch.tensor(x)), D(torch.tensor(x), ones))


def test_d_treats_each_image_by_itself():
    D, x = small_D(torch.float64), torch.randn(4, 3072, generator=torch.Generator().manual_seed(0)).double()
    assert_close(D(x)[1:3], D(x[1:3]))


def test_d_takes_what_g_makes_and_all_layers_learn():
    G, D = small_G(), small_D()
    D(G(torch.randn(8, 100, generator=torch.Generator().manual_seed(0)))).sum().backward()
    assert all(parameter.grad.abs().max() > 0 for net in (G, D) for parameter in net.parameters())
