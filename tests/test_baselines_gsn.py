"""Walkback against the same computation in NumPy, written from the authors' description."""

import copy

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from gan_repro.baselines.gsn import GSN, GSNConfig

CONFIG = GSNConfig(num_visible=6, num_hidden=5, walkback=3, batch_size=4)


@pytest.fixture
def gsn():
    model = GSN(CONFIG, torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=rng)
    return model


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def test_walkback_costs_are_those_of_a_plain_walk_with_the_same_draws(gsn):
    x = torch.rand(4, 6, generator=torch.Generator().manual_seed(2))
    W1, W2, b0, b1, b2 = (
        p.detach().double().numpy() for p in (gsn.weight1, gsn.weight2, gsn.bias0, gsn.bias1, gsn.bias2)
    )
    draws = torch.Generator().manual_seed(3)

    def corrupt(v):
        u = torch.rand(4, 6, generator=draws).numpy()
        v = v.copy()
        v[u < 0.4] = 0  # salt and pepper, 0.4: half of them to 1
        v[u < 0.2] = 1
        return v

    target, state, h2, costs = x.double().numpy(), corrupt(x.double().numpy()), np.zeros((4, 5)), []
    for _ in range(3):
        h1 = np.tanh(state @ W1.T + h2 @ W2 + b1)  # the odd layer: no noise
        p = sigmoid(h1 @ W1 + b0)
        costs.append(-(target * np.log(p) + (1 - target) * np.log(1 - p)).mean())
        sampled = torch.bernoulli(torch.tensor(p, dtype=torch.float32), generator=draws).double().numpy()
        noise = [2 * torch.randn(4, 5, generator=draws).double().numpy() for _ in range(2)]
        h2 = np.tanh(h1 @ W2.T + b2 + noise[0]) + noise[1]
        state = corrupt(sampled)
    ours = gsn.walkback_costs(x, torch.Generator().manual_seed(3))
    np.testing.assert_allclose(ours.detach().numpy(), costs, rtol=1e-5)


def test_gradients_are_those_of_finite_differences(gsn):
    gsn, x = gsn.double(), torch.rand(4, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def cost():
        return gsn.walkback_costs(x, torch.Generator().manual_seed(3)).sum()

    gradients = torch.autograd.grad(cost(), list(gsn.parameters()))
    for parameter, gradient in zip(gsn.parameters(), gradients, strict=True):
        for place in ((0,) * parameter.dim(), (-1,) * parameter.dim()):
            before, values = parameter.data[place].item(), []
            for step in (1e-6, -1e-6):
                parameter.data[place] = before + step
                values.append(cost().item())
            parameter.data[place] = before
            assert gradient[place].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-8)


def test_updates_are_those_of_an_averaged_gradient_at_a_falling_rate(gsn):
    x, plain = torch.rand(4, 6, generator=torch.Generator().manual_seed(2)), copy.deepcopy(gsn)
    buffers = None
    for epoch in range(3):  # of one minibatch each
        rng = torch.Generator().manual_seed(epoch)
        rows = torch.randperm(4, generator=rng)
        gradients = torch.autograd.grad(plain.walkback_costs(x[rows], rng).sum(), list(plain.parameters()))
        # torch begins the average at the first gradient, where the authors begin it at 0.
        buffers = gradients if buffers is None else [(b + g) / 2 for b, g in zip(buffers, gradients, strict=True)]
        for parameter, buffer in zip(plain.parameters(), buffers, strict=True):
            parameter.data -= 0.25 * 0.995**epoch * buffer
        gsn.train_epoch(x, epoch, torch.Generator().manual_seed(epoch))
    assert_close(list(gsn.parameters()), list(plain.parameters()))


def test_corruption_sets_as_many_pixels_as_it_says(gsn):
    x = torch.full((1000, 6), 0.5)
    corrupted = gsn.corrupt(x, torch.Generator().manual_seed(0))
    for value, share in ((0, 0.2), (1, 0.2), (0.5, 0.6)):
        assert (corrupted == value).float().mean().item() == pytest.approx(share, abs=0.02)


def test_chains_begin_at_bits_of_the_mean_training_image(gsn, monkeypatch):
    x = torch.tensor([[0.0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 1, 1], [0, 1, 0, 1, 1, 1], [0, 1, 0, 1, 0, 1]])
    gsn.train_epoch(x, 0, torch.Generator().manual_seed(0))
    assert_close(gsn.mean_image, torch.tensor([0.0, 1, 0, 1, 0.5, 1]))
    starts, odd_layer = [], gsn.odd_layer
    monkeypatch.setattr(gsn, "odd_layer", lambda *around: starts.append(around) or odd_layer(*around))
    gsn.start_chains(1000, torch.Generator().manual_seed(0))(1)
    ((bits,),) = starts  # the layer above is as in training: not there yet
    assert_close(bits[:, [0, 1, 2, 3, 5]], torch.tensor([0.0, 1, 0, 1, 1]).expand(1000, 5))
    assert bits[:, 4].unique().tolist() == [0, 1] and abs(bits[:, 4].mean() - 0.5) < 0.05


def test_a_gsn_draws_what_it_learned():
    bars = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]).repeat(100, 1)
    config = GSNConfig(
        num_visible=6, num_hidden=20, noise=0.5, salt_and_pepper=0.3, batch_size=10, lr=0.05, num_chains=500
    )  # fmt: skip
    model = GSN(config, torch.Generator().manual_seed(0))
    costs = [model.train_epoch(bars, e, torch.Generator().manual_seed(e))["cross_entropy"] for e in range(100)]
    assert costs[-1] < 0.6 * costs[0]
    drawn = model.draw(500, torch.Generator().manual_seed(1))
    assert drawn.shape == (500, 6)
    first, second = (((drawn > 0.5) == bar.bool()).all(dim=1).float().mean() for bar in bars[:2])
    assert first + second > 0.6  # by chance, of 64 patterns, 0.03
    assert min(first, second) > 0.15
