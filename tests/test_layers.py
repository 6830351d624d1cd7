"""gan_repro.layers against numpy and PyTorch's own limit on norms."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import gan_repro.game
from gan_repro.game import learn, zeros_like
from gan_repro.layers import (
    Linear,
    give_back,
    initialize_sparse,
    initialize_uniform,
    limit_column_norms,
    scaled,
)
from gan_repro.models import Maxout


def test_width_1_is_the_released_net_and_no_width_leaves_a_layer_empty():
    assert [scaled(8000, width) for width in (1, 1.0, 0.1, 0.00001)] == [8000, 8000, 800, 1]


@pytest.mark.parametrize("width", [0, -1, 1.5, float("nan")])
def test_a_width_outside_0_to_1_is_refused(width):
    with pytest.raises(ValueError, match=r"width is .*: it must lie in \(0, 1\]"):
        scaled(100, width)


def test_uniform_weights_fill_their_range_evenly_and_biases_are_all_the_same():
    layer = nn.Linear(300, 200)
    initialize_uniform(layer, torch.Generator().manual_seed(0), irange=0.5, bias=-2.0)
    weights = layer.weight.detach().double().flatten().numpy()
    assert stats.kstest(weights, stats.uniform(-0.5, 1.0).cdf).pvalue > 0.01
    assert np.abs(weights).max() <= 0.5
    assert layer.bias.tolist() == [-2.0] * 200


@pytest.fixture(scope="module")
def sparse():
    layer = nn.Linear(500, 400)
    initialize_sparse(layer, torch.Generator().manual_seed(0), num_nonzero=100, bias=torch.arange(400.0))
    return layer


def test_each_sparse_unit_has_100_normal_weights_and_its_own_bias(sparse):
    weights = sparse.weight.detach().double().numpy()
    assert ((weights != 0).sum(axis=1) == 100).all()
    assert stats.kstest(weights[weights != 0], stats.norm.cdf).pvalue > 0.01
    assert sparse.bias.tolist() == list(range(400))


def test_all_inputs_are_as_likely_and_units_choose_theirs_independently(sparse):
    chosen = (sparse.weight != 0).double()  # (units, inputs)
    per_input = chosen.sum(dim=0).numpy()  # mean 80, variance 400 * 0.2 * 0.8
    assert stats.chi2(499).sf(((per_input - 80) ** 2 / 64).sum()) > 0.001
    shared = (chosen @ chosen.T)[~torch.eye(400, dtype=torch.bool)]  # of two units' inputs: hypergeometric, mean 20
    assert shared.mean().item() == pytest.approx(20, abs=0.2)
    assert shared.std().item() == pytest.approx(stats.hypergeom(500, 100, 100).std(), rel=0.05)


def test_a_layer_of_few_inputs_has_a_normal_weight_for_each():
    layer = nn.Linear(30, 4)
    initialize_sparse(layer, torch.Generator().manual_seed(0), num_nonzero=100, bias=torch.zeros(4))
    assert (layer.weight != 0).all()


def net_of_every_kind():
    """Rows of very different norms, above and below the limit."""
    net = nn.Sequential(nn.Linear(20, 30), Maxout(30, num_units=7, num_pieces=3), nn.Conv2d(1, 2, 5)).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            rows = 10 ** torch.linspace(-4, 2, len(parameter), dtype=torch.float64)
            parameter.normal_(generator=generator).mul_(rows.view(-1, *[1] * (parameter.ndim - 1)))
    return net


def test_norms_are_limited_unit_by_unit_as_pylearn2_does():
    net = net_of_every_kind()
    before = copy.deepcopy(net)
    for layer in net[:2]:
        limit_column_norms(layer.weight, 1.9365)
    for now, then in zip(net[:2], before[:2], strict=True):
        columns = then.weight.detach().numpy().T  # pylearn2's layout: one column a unit
        norms = np.sqrt(np.square(columns).sum(axis=0))
        assert norms.min() < 1e-2 and norms.max() > 100
        expected = columns * (np.clip(norms, 0, 1.9365) / (1e-7 + norms))
        assert_close(now.weight.detach().numpy().T, expected, rtol=1e-12, atol=0)
        assert torch.equal(now.bias, then.bias)


def test_norms_are_limited_as_pytorch_s_renorm_does_but_for_1e_7():
    net = net_of_every_kind()
    expected = torch.renorm(net[0].weight.detach(), p=2, dim=0, maxnorm=1.9365)
    limit_column_norms(net[0].weight, 1.9365)
    norms = torch.linalg.vector_norm(net[0].weight.detach() - expected, dim=1)
    assert norms.max() < 1.1e-7


@pytest.mark.parametrize("block", [1, 50, 10**6])
def test_learning_moves_and_limits_every_fully_connected_layer_in_blocks_of_any_size(monkeypatch, block):
    monkeypatch.setattr(gan_repro.game, "BLOCK", block)
    net, velocity = net_of_every_kind(), zeros_like(net_of_every_kind())
    expected = []
    for parameter, v in zip(net.parameters(), velocity.parameters(), strict=True):
        v.fill_(0.01)
        parameter.grad = torch.full_like(parameter, 2.0)
        moved = parameter.detach() + 0.5 * 0.01 - 0.1 * 2.0
        if parameter.ndim == 2:  # neither biases nor the kernels of convolutions
            moved = torch.renorm(moved, p=2, dim=0, maxnorm=1.9365)
        expected.append(moved)
    learn(net, velocity, lr=0.1, momentum=0.5, max_column_norm=1.9365)
    for parameter, v, moved in zip(net.parameters(), velocity.parameters(), expected, strict=True):
        assert_close(parameter.detach(), moved, rtol=0, atol=2e-7)
        assert_close(v, torch.full_like(v, 0.5 * 0.01 - 0.1 * 2.0))


def with_spare(layer):
    """A copy that has given back a gradient, full of what no gradient holds."""
    layer = copy.deepcopy(layer)
    layer.weight.grad = torch.full_like(layer.weight, torch.nan)
    give_back(layer.weight)
    return layer


@pytest.fixture
def draws():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def layer(draws):
    layer = Linear(7, 4)
    nn.init.normal_(layer.weight, generator=draws)
    return layer


@pytest.mark.parametrize("make", [lambda: Linear(70, 40), lambda: Maxout(70, num_units=8, num_pieces=5)])
def test_a_gradient_in_memory_that_was_given_back_has_the_bits_of_a_new_one(make, draws):
    layer = make()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, generator=draws)
    reusing = with_spare(layer)
    where = reusing.weight.spare.data_ptr()
    for _ in range(2):
        x = torch.randn(9, 70, generator=draws)
        found = []
        for one in (layer, reusing):
            seen = x.clone().requires_grad_()
            loss = one(seen).tanh().sum()
            loss.backward()
            found.append([loss.detach(), seen.grad, one.weight.grad.clone(), one.bias.grad.clone()])
            assert one is layer or one.weight.grad.data_ptr() == where
            give_back(one.weight)
            one.bias.grad = None
        assert all(map(torch.equal, *found))


@pytest.mark.parametrize(
    "learning", [(True, True, True), (False, True, True), (True, False, True), (True, True, False)]
)
@pytest.mark.parametrize("is_reusing", [True, False])
def test_gradients_are_those_of_pytorch_s_own_layer_whatever_is_held_fixed(learning, is_reusing, draws):
    layer = Linear(13, 9)
    plain = nn.Linear(13, 9, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    layer = with_spare(layer) if is_reusing else layer
    x = torch.randn(8, 13, generator=draws)
    found = []
    for one, kind in ((layer, torch.float32), (plain, torch.float64)):
        parts = [x.to(kind, copy=True), one.weight, one.bias]
        for part, learns in zip(parts, learning, strict=True):
            part.requires_grad_(learns)
        one(parts[0]).tanh().sum().backward()
        found.append([part.grad for part in parts])
    for ours, theirs, learns in zip(*found, learning, strict=True):
        assert (ours is not None) == (theirs is not None) == learns
        if learns:
            assert_close(ours, theirs.float())


def test_shapes_alone_go_through_as_well():
    with torch.device("meta"):
        assert Linear(7, 4)(torch.empty(2, 7)).shape == (2, 4)


def test_autocast_is_heeded():
    layer, x = Linear(7, 4), torch.ones(2, 7)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
        layer(layer(x).repeat(1, 2)[:, :7]).sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_memory_that_does_not_fit_the_weight_any_more_is_not_used(layer):
    reusing = with_spare(layer).double()
    x = torch.ones(2, 7, dtype=torch.float64)
    reusing(x).sum().backward()
    assert torch.equal(reusing.weight.grad, torch.full_like(reusing.weight, 2.0))


def test_a_layer_whose_weights_are_held_fixed_leaves_what_was_given_back(layer):
    reusing = with_spare(layer)
    reusing.requires_grad_(False)
    x = torch.ones(2, 7, requires_grad=True)
    reusing(x).sum().backward()
    assert x.grad.any() and reusing.weight.spare.isnan().all()


def test_a_look_without_gradients_or_never_gone_back_through_leaves_what_was_given_back(layer):
    reusing = with_spare(layer)
    where = reusing.weight.spare.data_ptr()
    with torch.no_grad():
        reusing(torch.ones(2, 7))
    reusing(torch.ones(2, 7))  # its graph is dropped
    assert reusing.weight.spare.data_ptr() == where
    reusing(torch.ones(2, 7)).sum().backward()
    assert torch.equal(reusing.weight.grad, torch.full_like(reusing.weight, 2.0))
    assert reusing.weight.grad.data_ptr() == where


def on_the_cpu(layer, x):
    with torch.autograd.graph.save_on_cpu():
        return layer(x)


@pytest.mark.parametrize("run", [partial(checkpoint, use_reentrant=False), on_the_cpu])
def test_memory_is_found_again_where_what_was_saved_for_the_pass_back_is_brought_back_as_another_tensor(run, layer):
    reusing = with_spare(layer)
    where = reusing.weight.spare.data_ptr()
    run(reusing, torch.ones(2, 7)).sum().backward()
    assert torch.equal(reusing.weight.grad, torch.full_like(reusing.weight, 2.0))
    assert reusing.weight.grad.data_ptr() == where


@pytest.mark.parametrize("layer", [Linear(7, 4, bias=False), Linear(7, 4)])
def test_other_shapes_and_a_layer_without_bias_go_by_pytorch_s_own(layer):
    reusing = with_spare(layer)
    x = torch.ones(3, 2, 7) if reusing.bias is not None else torch.ones(2, 7)
    reusing(x).sum().backward()
    assert torch.equal(reusing.weight.grad, torch.full_like(reusing.weight, x.numel() / 7))


def used_twice(layer, x, y):
    return torch.autograd.grad(layer(x).sum() + layer(y).tanh().sum(), layer.weight)


def gone_back_through_twice(layer, x, y):
    out = layer(x)
    return [torch.autograd.grad(of(out).sum(), layer.weight, retain_graph=True)[0] for of in (torch.tanh, torch.exp)]


def twice_and_then_with_another(layer, x, y):
    first, second = layer(x), layer(y)
    found = [torch.autograd.grad(second.sum(), layer.weight, retain_graph=True)[0] for _ in range(2)]
    third = layer(x + y)
    return [*found, torch.autograd.grad(first.sum() + third.tanh().sum(), layer.weight)[0]]


@pytest.mark.parametrize("use", [used_twice, gone_back_through_twice, twice_and_then_with_another])
def test_memory_that_was_given_back_holds_one_gradient_and_no_second(use, layer, draws):
    x, y = torch.randn(2, 3, 7, generator=draws)
    for found, expected in zip(use(with_spare(layer), x, y), use(layer, x, y), strict=True):
        assert_close(found, expected)
