"""The contractive auto-encoder's penalty and walk against Jacobians by autograd."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.func import jacrev, vmap
from torch.testing import assert_close

from gan_repro.baselines.cae import CAEConfig, ContractiveLayer, StackedCAE

CONFIG = CAEConfig(num_visible=6, layers=(5, 4), epochs=4, batch_size=10)


@pytest.fixture
def x():
    return torch.rand(7, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def stack():
    model = StackedCAE(CONFIG, torch.Generator().manual_seed(0)).double()
    rng = torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        parameter.data += 0.5 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64)
    return model


def test_the_penalty_is_the_squared_norm_of_the_encoder_s_jacobian(stack, x):
    layer = stack.layers[0]
    jacobians = vmap(jacrev(lambda v: layer.encode(v[None])[0]))(x)  # (n, hidden, visible)
    assert_close(layer.jacobian_norm(layer.encode(x)), jacobians.square().sum(dim=(1, 2)))


def test_the_loss_is_cross_entropy_and_penalty(stack, x):
    layer = stack.layers[0]
    reconstruction = layer.decode(layer.encode(x))
    cross_entropy = F.binary_cross_entropy(reconstruction, x, reduction="none").sum(dim=1)
    penalty = layer.jacobian_norm(layer.encode(x))
    assert_close(layer.loss(x, 0.7), (cross_entropy + 0.7 * penalty).mean())


def test_a_step_of_the_walk_moves_the_code_by_the_jacobian_s_square(stack, x):
    noise = torch.randn(7, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    jacobians = vmap(jacrev(lambda v: stack.encode(v[None])[0]))(x)  # (n, 4, 6), through both layers
    moved = stack.encode(x) + torch.einsum("nij,nkj,nk->ni", jacobians, jacobians, noise)
    assert_close(stack.walk(x, noise), stack.decode(moved).detach())


def test_without_noise_the_walk_only_reconstructs(stack, x):
    assert_close(stack.walk(x, torch.zeros(7, 4, dtype=torch.float64)), stack.decode(stack.encode(x)).detach())


def test_contraction_makes_the_code_follow_the_input_less():
    rng, data = torch.Generator().manual_seed(0), torch.rand(400, 6, generator=torch.Generator().manual_seed(1))
    norms = []
    for contraction in (0.0, 3.0):
        layer = ContractiveLayer(6, 5, torch.Generator().manual_seed(0))
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
        for _ in range(200):
            loss = layer.loss(data[torch.randint(400, (50,), generator=rng)], contraction)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        norms.append(layer.jacobian_norm(layer.encode(data)).mean().item())
    assert norms[1] < 0.5 * norms[0]


def test_layers_are_trained_in_turn():
    x = torch.rand(40, 6, generator=torch.Generator().manual_seed(1))
    model = StackedCAE(CONFIG, torch.Generator().manual_seed(0))
    for epoch, moving in enumerate([0, 0, 1, 1]):
        before = [layer.weight.detach().clone() for layer in model.layers]
        model.train_epoch(x, epoch, torch.Generator().manual_seed(epoch))
        moved = [not layer.weight.equal(old) for layer, old in zip(model.layers, before, strict=True)]
        assert moved == [i == moving for i in range(2)]
    assert_close(model.mean_image, x.mean(dim=0))
    assert model.first_scored == 3


def test_the_contraction_of_the_configuration_reaches_the_training():
    x = torch.rand(40, 6, generator=torch.Generator().manual_seed(1))
    losses = []
    for contraction in (0.0, 5.0):
        model = StackedCAE(replace(CONFIG, contraction=contraction), torch.Generator().manual_seed(0))
        losses.append(model.train_epoch(x, 0, torch.Generator().manual_seed(0))["loss"])
    assert losses[1] > losses[0] + 0.1


def test_walks_begin_at_the_mean_image_and_are_sampled_as_the_configuration_says(monkeypatch):
    config = replace(CONFIG, num_chains=10, burn_in=7, thin=3, step_size=2.5)
    model, steps = StackedCAE(config, torch.Generator().manual_seed(0)), []
    model.mean_image.copy_(torch.linspace(0, 1, 6))

    def walk(x, noise):
        steps.append((x, noise))
        return x + 1

    monkeypatch.setattr(model, "walk", walk)
    drawn = model.draw(25, torch.Generator().manual_seed(0))
    assert_close(steps[0][0], model.mean_image.expand(10, 6))
    assert len(steps) == 7 + 3 + 3
    assert torch.cat([noise for _, noise in steps]).std().item() == pytest.approx(2.5, rel=0.15)
    assert_close(drawn[:, 0], torch.tensor([7.0] * 10 + [10.0] * 10 + [13.0] * 5))  # chain by chain, then the next step


def test_a_stack_draws_what_it_learned():
    bars = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]).repeat(100, 1)
    config = CAEConfig(
        num_visible=6, layers=(12, 8), epochs=80, lr=0.01, contraction=0.05, batch_size=20, step_size=30.0
    )  # fmt: skip
    model = StackedCAE(config, torch.Generator().manual_seed(0))
    for epoch in range(config.epochs):
        model.train_epoch(bars, epoch, torch.Generator().manual_seed(epoch))
    drawn = model.draw(500, torch.Generator().manual_seed(1))
    first, second = (((drawn > 0.5) == bar.bool()).all(dim=1).float().mean() for bar in bars[:2])
    assert first + second > 0.6  # by chance, of 64 patterns, 0.03
    assert min(first, second) > 0.1
