"""The RBM and the DBN against enumeration of all their states."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from gan_repro.baselines.dbn import DBN, DBNConfig
from gan_repro.baselines.rbm import RBM

NUM_VISIBLE, NUM_HIDDEN = 4, 3


@pytest.fixture
def rbm():
    """Small enough to enumerate, with weights large enough to matter."""
    rng = torch.Generator().manual_seed(0)
    rbm = RBM(NUM_VISIBLE, NUM_HIDDEN, rng).double()
    for parameter in rbm.parameters():
        parameter.data = torch.randn(parameter.shape, generator=rng, dtype=torch.float64)
    return rbm


def states(n):
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)), dtype=torch.float64)


def joint_energies(rbm):
    """(2^visible, 2^hidden) of -v.b - h.c - h.W v, straight from the definition."""
    v, h = states(NUM_VISIBLE), states(NUM_HIDDEN)
    return -((v @ rbm.visible_bias)[:, None] + (h @ rbm.hidden_bias)[None] + v @ rbm.weight.T @ h.T)


def visible_probabilities(rbm):
    return torch.softmax(-joint_energies(rbm).flatten(), dim=0).view(2**NUM_VISIBLE, -1).sum(dim=1)


def test_the_free_energy_is_that_of_the_sum_over_hidden_states(rbm):
    assert_close(rbm.free_energy(states(NUM_VISIBLE)), -torch.logsumexp(-joint_energies(rbm), dim=1))


def test_conditionals_are_those_of_the_joint_distribution(rbm):
    joint = torch.exp(-joint_energies(rbm))
    of_h = (joint / joint.sum(dim=1, keepdim=True)) @ states(NUM_HIDDEN)
    of_v = (joint / joint.sum(dim=0, keepdim=True)).T @ states(NUM_VISIBLE)
    assert_close(rbm.hidden(states(NUM_VISIBLE)), of_h)
    assert_close(rbm.visible(states(NUM_HIDDEN)), of_v)


def test_the_expected_gradient_is_that_of_the_log_likelihood(rbm):
    # Expected over chains that are drawn from the model, which for so few units can be summed.
    data = torch.tensor([[1.0, 0, 1, 1], [0, 0, 1, 0], [0.3, 0.9, 0.5, 0]], dtype=torch.float64)
    log_z = torch.logsumexp(-joint_energies(rbm).flatten(), dim=0)
    exact = torch.autograd.grad(rbm.free_energy(data).mean() + log_z, list(rbm.parameters()))
    expected = [torch.zeros_like(p) for p in rbm.parameters()]
    for v, probability in zip(states(NUM_VISIBLE), visible_probabilities(rbm).detach(), strict=True):
        rbm.set_gradients(data, v[None])
        for total, parameter in zip(expected, rbm.parameters(), strict=True):
            total += probability * parameter.grad
    assert_close(expected, list(exact))


def test_gibbs_sampling_visits_states_as_often_as_they_are_probable(rbm):
    rng = torch.Generator().manual_seed(1)
    v = torch.bernoulli(torch.full((20_000, NUM_VISIBLE), 0.5, dtype=torch.float64), generator=rng)
    v = rbm.gibbs(v, rng, steps=50)
    place = torch.tensor([8, 4, 2, 1])
    counts = torch.bincount((v.long() * place).sum(dim=1), minlength=16).double()
    expected = 20_000 * visible_probabilities(rbm).detach()
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 45  # of 15 degrees of freedom: exceeded once in ten thousand


BARS = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]]).repeat(200, 1)


@pytest.mark.parametrize("persistent", [True, False])
def test_a_dbn_learns_what_two_patterns_look_like(persistent):
    config = DBNConfig(
        num_visible=4, layers=(8, 6), epochs=80, lr=0.2, batch_size=20, persistent=persistent, burn_in=100, thin=5
    )  # fmt: skip
    model = DBN(config, torch.Generator().manual_seed(0))
    for epoch in range(config.epochs):
        model.train_epoch(BARS, epoch, torch.Generator().manual_seed(epoch))
    drawn = model.draw(1000, torch.Generator().manual_seed(5))
    assert drawn.shape == (1000, 4)
    patterns = (drawn > 0.5).float()
    is_first, is_second = ((patterns == bar).all(dim=1).float().mean() for bar in BARS[:2])
    assert is_first + is_second > 0.85
    assert min(is_first, is_second) > 0.2


def test_only_the_layer_whose_turn_it_is_moves():
    config = DBNConfig(num_visible=4, layers=(5, 3), epochs=4, batch_size=20)
    model = DBN(config, torch.Generator().manual_seed(0))
    for epoch, moving in enumerate([0, 0, 1, 1]):
        before = [rbm.weight.detach().clone() for rbm in model.rbms]
        model.train_epoch(BARS, epoch, torch.Generator().manual_seed(epoch))
        moved = [not rbm.weight.equal(old) for rbm, old in zip(model.rbms, before, strict=True)]
        assert moved == [i == moving for i in range(2)]


def test_epochs_that_cannot_be_shared_by_the_layers_are_refused():
    with pytest.raises(ValueError, match="epochs is 3: it must be a multiple of 2, the layers"):
        DBNConfig(epochs=3)


def test_chains_are_sampled_as_the_configuration_says(monkeypatch):
    config = DBNConfig(num_visible=4, layers=(5, 3), num_chains=10, burn_in=7, thin=3)
    model, steps = DBN(config, torch.Generator().manual_seed(0)), []

    def gibbs(v, rng, number):
        steps.append(number)
        return torch.full_like(v, sum(steps) % 2)

    monkeypatch.setattr(model.rbms[-1], "gibbs", gibbs)
    drawn = model.draw(25, torch.Generator().manual_seed(0))
    assert steps == [7, 3, 3]
    assert drawn.shape == (25, 4)
    assert len(drawn.unique(dim=0)) <= 8  # images of the top layer's three binary units, passed down as means


def test_chains_of_an_rbm_begin_where_those_of_its_training_stand(monkeypatch):
    rbm = DBN(DBNConfig(num_visible=4, layers=(5,), batch_size=3), torch.Generator().manual_seed(0))
    dbn = DBN(DBNConfig(num_visible=4, layers=(5, 3), batch_size=3), torch.Generator().manual_seed(0))
    began = []
    for model in (rbm, dbn):
        monkeypatch.setattr(model.rbms[-1], "gibbs", lambda v, rng, number: began.append(v) or v)
    rbm.train_epoch(BARS, 0, torch.Generator().manual_seed(0))
    began.clear()
    rbm.start_chains(5, torch.Generator().manual_seed(1))(1)
    assert_close(began.pop(), rbm.chain0[[0, 1, 2, 0, 1]])
    for seed in (1, 2):  # a DBN's, on hidden units, at random bits
        dbn.start_chains(200, torch.Generator().manual_seed(seed))(1)
    first, second = began
    assert not first.equal(second) and 0.4 < first.mean() < 0.6


def test_chains_begin_where_they_are_told_to(monkeypatch):
    began = []
    for layers in ((5,), (5, 3)):
        for start in ("bits", "persistent"):
            model = DBN(
                DBNConfig(num_visible=4, layers=layers, batch_size=3, start=start), torch.Generator().manual_seed(0)
            )
            monkeypatch.setattr(model.rbms[-1], "gibbs", lambda v, rng, number: began.append(v) or v)
            top = model.chain1 if len(layers) == 2 else model.chain0
            top.fill_(0.25)  # no bit
            model.start_chains(50, torch.Generator().manual_seed(1))(1)
            at_bits, v = start == "bits", began.pop()
            assert set(v.unique().tolist()) == ({0.0, 1.0} if at_bits else {0.25})
    with pytest.raises(ValueError, match='start is "data": it must be one of usual, bits, persistent'):
        DBNConfig(start="data")
    with pytest.raises(ValueError, match="start is persistent, but no chain goes on from update to update"):
        DBNConfig(start="persistent", persistent=False)


def test_means_are_passed_down_or_hidden_units_drawn_with_these_means():
    config = DBNConfig(num_visible=4, layers=(3, 2))
    model, v = DBN(config, torch.Generator().manual_seed(0)), torch.tensor([[0.2, 0.5, 0.9]])
    model.rbms[0].weight.data *= 300  # units of some effect
    rng, visible = torch.Generator().manual_seed(1), model.rbms[0].visible
    assert_close(model.pass_down(v, rng), visible(v))
    patterns = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)  # all eight of the hidden units
    chances = (patterns * v + (1 - patterns) * (1 - v)).prod(dim=1)
    model.config = replace(config, mean_field=False)
    drawn = model.pass_down(v.expand(20_000, -1), rng)
    assert torch.cdist(drawn, visible(patterns)).amin(dim=1).max() < 1e-3  # each is that of a pattern
    assert_close(drawn.mean(dim=0), chances @ visible(patterns), atol=0.02, rtol=0)
    assert (visible(v) - chances @ visible(patterns)).abs().max() > 0.05  # which is not what means passed on give
