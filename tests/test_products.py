"""gan_repro.products against PyTorch's own product in 64 bits."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from gan_repro.layers import Linear
from gan_repro.models import Discriminator, Generator
from gan_repro.one_pass import one_pass_update
from gan_repro.products import ONEDNN, affine

# rows, in_features, out_features: one row, one unit, rows of no power of two, those of the MNIST pair
SHAPES = [(1, 1, 1), (7, 13, 1), (1, 300, 5), (100, 100, 1200), (200, 784, 1200), (3, 2000, 17)]


def operands(rows, in_features, out_features, dtype=torch.float64):
    draw = torch.Generator().manual_seed(0)
    shapes = (rows, in_features), (out_features, in_features), (out_features,)
    return [torch.randn(shape, generator=draw, dtype=torch.float64).to(dtype) for shape in shapes]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_product_in_32_bits_is_near_that_in_64_as_pytorch_s_own_is(shape, has_bias):
    x, weight, bias = operands(*shape, dtype=torch.float32)
    bias = bias if has_bias else None
    exact = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    found = affine(x, weight, bias)
    assert found.dtype == torch.float32
    error = 1e-6 * shape[1] ** 0.5 * x.abs().max() * weight.abs().max()
    assert (found - exact).abs().max() <= error
    assert (F.linear(x, weight, bias) - exact).abs().max() <= error


@pytest.mark.parametrize(
    "view",
    [
        lambda x, weight: (x, weight.t().contiguous().t()),  # the transpose of what lies in memory
        lambda x, weight: (x[:1].expand(5, -1), weight),  # one row five times, as the gradient of a sum lies
        lambda x, weight: (x.t().contiguous().t(), weight),
        lambda x, weight: (torch.cat([x, x])[::2], weight),  # every other row
        lambda x, weight: (torch.cat([x, x], dim=1)[:, 13:], torch.cat([weight, weight])[9:]),  # from another start
        lambda x, weight: (x, torch.cat([weight, weight], dim=1)[:, 13:]),  # rows that do not touch
        lambda x, weight: (x, weight[:1].expand(9, -1)),
    ],
)
def test_factors_may_lie_in_memory_in_any_order(view):
    x, weight, bias = operands(8, 13, 9, dtype=torch.float32)
    x, weight = view(x, weight)
    expected = F.linear(x.double(), weight.double(), bias.double()).float()
    assert_close(affine(x, weight, bias), expected)
    assert_close(affine(x, weight), expected - bias, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lay", [lambda bias: bias.repeat_interleave(2)[::2], lambda bias: bias[:1].expand(9)])
def test_a_bias_may_have_gaps(lay):
    x, weight, bias = operands(8, 13, 9, dtype=torch.float32)
    bias = lay(bias)
    assert_close(affine(x, weight, bias), F.linear(x, weight, bias))


@pytest.mark.parametrize("shapes", [((2, 4), (3, 5), (3,)), ((2, 4), (3, 4), (2,)), ((2, 4), (3, 4), (1, 2))])
def test_shapes_that_do_not_fit_are_told_by_pytorch_s_own(shapes):
    factors = [torch.zeros(shape) for shape in shapes]
    with pytest.raises(RuntimeError, match=r"shapes? cannot be multiplied|expand|must match"):
        affine(*factors)
    assert affine(torch.zeros(2, 0), torch.zeros(3, 0), torch.ones(3)).tolist() == [[1.0] * 3] * 2


@pytest.fixture
def asked(monkeypatch):
    """The shapes (rows, in_features, out_features) that oneDNN was asked for, in their order."""
    shapes = []

    def onednn(x, weight, bias, *_):
        shapes.append((*x.shape, len(weight)))
        return F.linear(x, weight, bias)

    monkeypatch.setattr("gan_repro.products.ONEDNN", onednn)
    return shapes


def test_a_layer_asks_onednn_for_its_product_and_for_the_gradient_of_its_input(asked):
    x = torch.ones(2, 7, requires_grad=True)
    Linear(7, 4)(x).sum().backward()
    assert asked == [(2, 7, 4), (2, 4, 7)]


def test_the_one_pass_step_asks_onednn_for_its_products(asked):
    G, D = Generator(num_z=5, num_hidden=6, num_pixels=9), Discriminator(num_pixels=9, num_units=2, num_pieces=2)
    nets = [net.requires_grad_(False) for net in (G, D)]
    x, z, masks = torch.rand(3, 9), torch.rand(3, 5), [torch.ones(6, width) for width in D.input_widths]
    rates = {"generator_loss": "nonsaturating", "d_loss_scale": 0.5, "lr": 0.0, "momentum": 0.0}
    one_pass_update(*nets, *nets, x, z, masks, **rates)
    forward = [(3, 5, 6), (3, 6, 6), (3, 6, 9), (6, 9, 4), (6, 2, 4)]
    assert asked == [*forward, (6, 4, 2), (3, 4, 9), (3, 9, 6), (3, 6, 6)]


def test_other_numbers_and_builds_without_onednn_go_by_pytorch_s_own(monkeypatch):
    doubles = operands(200, 784, 120)
    assert torch.equal(affine(*doubles), F.linear(*doubles))
    floats = [value.float() for value in doubles]
    with torch.device("meta"):
        assert affine(torch.empty(2, 3), torch.empty(4, 3), torch.empty(4)).shape == (2, 4)
    monkeypatch.setattr("gan_repro.products.ONEDNN", None)
    assert torch.equal(affine(*floats), F.linear(*floats))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this build has no oneDNN")
def test_a_build_with_onednn_has_the_operator():
    assert ONEDNN is not None


def test_the_same_factors_give_the_same_bits_wherever_they_lie():
    x, weight, bias = operands(100, 784, 1200, dtype=torch.float32)
    found = affine(x, weight, bias)
    for offset in (1, 3, 16, 101):  # in memory
        there = [torch.cat([torch.zeros(offset), value.flatten()])[offset:].view(value.shape) for value in (x, weight)]
        assert torch.equal(affine(*there, bias), found)
