"""The losses of Section 3 against their formulas on probabilities, and where those formulas overflow."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from gan_repro.losses import (
    GENERATOR_LOSSES,
    discriminator_loss,
    generator_loss_minimax,
    generator_loss_nonsaturating,
)


@pytest.fixture
def logits():
    """On data and on G(z), float64, (50, 1) each, from about -8 to 8."""
    both = 3 * torch.randn(2, 50, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return both[0].requires_grad_(), both[1].requires_grad_()


def gradients(loss, *inputs):
    return torch.autograd.grad(loss, inputs)


def test_an_undecided_discriminator_gives_minus_log_4():
    zeros = torch.zeros(5, 1)  # D = 1/2 everywhere, Theorem 1
    assert -discriminator_loss(zeros, zeros).item() == pytest.approx(-math.log(4), abs=1e-7)
    assert generator_loss_minimax(zeros).item() == pytest.approx(-math.log(2), abs=1e-7)
    assert generator_loss_nonsaturating(zeros).item() == pytest.approx(math.log(2), abs=1e-7)


def test_ds_loss_is_minus_equation_1_and_the_sum_of_two_cross_entropies(logits):
    real, fake = logits
    value = real.sigmoid().log().mean() + (1 - fake.sigmoid()).log().mean()  # eq. 1
    assert_close(discriminator_loss(real, fake), -value)
    entropies = F.binary_cross_entropy(real.sigmoid(), torch.ones_like(real)) + F.binary_cross_entropy(
        fake.sigmoid(), torch.zeros_like(fake)
    )
    assert_close(discriminator_loss(real, fake), entropies)
    assert_close(gradients(discriminator_loss(real, fake), real, fake), gradients(entropies, real, fake))


def test_the_nonsaturating_loss_is_minus_log_d_and_the_cross_entropy_with_the_label_data(logits):
    fake = logits[1]
    assert_close(generator_loss_nonsaturating(fake), -fake.sigmoid().log().mean())
    entropy = F.binary_cross_entropy(fake.sigmoid(), torch.ones_like(fake))
    assert_close(generator_loss_nonsaturating(fake), entropy)
    assert_close(gradients(generator_loss_nonsaturating(fake), fake), gradients(entropy, fake))


def test_the_minimax_loss_is_gs_term_of_the_value_that_d_maximises(logits):
    real, fake = logits
    assert_close(generator_loss_minimax(fake), (1 - fake.sigmoid()).log().mean())
    # what G minimises and what D maximises are the same number, but for the term that G has no part in
    assert_close(generator_loss_minimax(fake), -discriminator_loss(real, fake) - real.sigmoid().log().mean())


def test_both_generator_losses_fall_when_d_is_fooled_but_only_minimax_saturates():
    rejected = torch.full((4, 1), -10.0, requires_grad=True)  # early in learning: D rejects every sample
    (minimax,) = gradients(generator_loss_minimax(rejected), rejected)
    (nonsaturating,) = gradients(generator_loss_nonsaturating(rejected), rejected)
    assert_close(minimax, torch.full((4, 1), -1 / (1 + math.exp(10)) / 4))
    assert_close(nonsaturating, torch.full((4, 1), -1 / (1 + math.exp(-10)) / 4))


def test_the_losses_go_by_their_right_names():
    assert GENERATOR_LOSSES == {
        "minimax": generator_loss_minimax,
        "nonsaturating": generator_loss_nonsaturating,
    }
    certain = torch.tensor([[2.0]])
    assert generator_loss_minimax(certain) < -2
    assert 0 < generator_loss_nonsaturating(certain) < 0.2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [30.0, 100.0, 1e4])
def test_the_losses_and_their_gradients_stay_right_at_huge_logits(size, dtype):
    up, down = (torch.full((3, 1), sign * size, dtype=dtype, requires_grad=True) for sign in (1, -1))
    tail = math.exp(-size)  # log(1 + exp(size)) = size + tail to double precision
    size = torch.tensor(size, dtype=dtype)
    assert_close(discriminator_loss(up, down), torch.tensor(2 * tail, dtype=dtype))  # D is right
    assert_close(discriminator_loss(down, up), 2 * size + 2 * tail)  # D is wrong
    for loss, at, value, slope in [
        (generator_loss_minimax, up, -size - tail, -1.0),
        (generator_loss_minimax, down, torch.tensor(-tail, dtype=dtype), -tail),
        (generator_loss_nonsaturating, up, torch.tensor(tail, dtype=dtype), -tail),
        (generator_loss_nonsaturating, down, size + tail, -1.0),
    ]:
        assert_close(loss(at), value)
        assert_close(gradients(loss(at), at)[0], torch.full_like(at, slope / 3))


def test_small_losses_keep_their_digits():
    logits = torch.tensor([[20.0]])  # 1 - D = 2e-9: a probability in float32 would be 1, its loss 0
    assert generator_loss_nonsaturating(logits).item() == pytest.approx(math.log1p(math.exp(-20)), rel=1e-5)


def test_a_minibatch_of_any_size_is_averaged(logits):
    real, fake = logits
    by_row = torch.stack([discriminator_loss(r[None], f[None]) for r, f in zip(real, fake, strict=True)])
    assert_close(discriminator_loss(real, fake), by_row.mean())
