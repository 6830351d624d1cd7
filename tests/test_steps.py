"""The gradients of one update: the plain forms against the losses on probabilities, the one-pass form against both."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from gan_repro.game import learn, zeros_like
from gan_repro.models import Discriminator, Generator
from gan_repro.one_pass import one_pass_update
from gan_repro.steps import discriminator_gradients, generator_gradients, two_pass_gradients
from gan_repro.streams import dropout_masks

M, NUM_Z, NUM_PIXELS, NUM_UNITS = 8, 5, 20, 24  # more units than rows, so that any logits can be had
SMALLEST_NORMAL = torch.finfo(torch.float32).tiny
LOSSES = ("nonsaturating", "minimax")


def update_as_gradients(G, D, x, z, masks, **losses):
    """What the update takes for the gradients: with lr 1, momentum 0, the velocities are minus them. In `.grad`."""
    if masks is None:
        masks = [torch.ones(2 * len(x), width, dtype=x.dtype) for width in D.input_widths]
    v_G, v_D = zeros_like(G), zeros_like(D)
    logits = one_pass_update(copy.deepcopy(G), copy.deepcopy(D), v_G, v_D, x, z, masks, lr=1, momentum=0, **losses)
    for net, velocity in ((G, v_G), (D, v_D)):
        for parameter, v in zip(net.parameters(), velocity.parameters(), strict=True):
            parameter.grad = -v
    return logits


class Case:
    """Nets whose weights are all far from 0, a minibatch of data and of noise, and masks for its 2m rows or None."""

    def __init__(self, *, with_masks: bool, dtype: torch.dtype = torch.float64, seed: int = 0):
        generator = torch.Generator().manual_seed(seed)
        self.G = Generator(num_z=NUM_Z, num_hidden=12, num_pixels=NUM_PIXELS)
        self.D = Discriminator(num_pixels=NUM_PIXELS, num_units=NUM_UNITS, num_pieces=3)
        with torch.no_grad():
            for parameter in (*self.G.parameters(), *self.D.parameters()):
                parameter.uniform_(-0.5, 0.5, generator=generator)
        self.x = torch.rand(M, NUM_PIXELS, generator=generator)
        self.z = torch.randn(M, NUM_Z, generator=generator)
        self.masks = None
        if with_masks:
            self.masks = dropout_masks(seed, "masks", 0, 2 * M, self.D.input_widths, (0.8, 0.5, 0.5))
        self.to(dtype)

    def to(self, dtype: torch.dtype) -> "Case":
        self.G.to(dtype)
        self.D.to(dtype)
        self.x, self.z = self.x.to(dtype), self.z.to(dtype)
        self.masks = None if self.masks is None else [mask.to(dtype) for mask in self.masks]
        return self

    def in_float64(self) -> "Case":
        """The same numbers, so that what differs is the arithmetic."""
        return copy.deepcopy(self).to(torch.float64)

    def fake_masks(self):
        return None if self.masks is None else [mask[M:] for mask in self.masks]

    @torch.no_grad()
    def aim(self, logits: torch.Tensor) -> "Case":
        """Solve for the weights of D's last layer that give these logits, (2m, 1), data first."""
        rows, layers = torch.cat([self.x, self.G(self.z)]), (self.D.h0, self.D.h1)
        for i, layer in enumerate(layers):
            rows = layer(rows if self.masks is None else rows * self.masks[i])
        rows = rows if self.masks is None else rows * self.masks[2]
        with_bias = torch.cat([rows, torch.ones(2 * M, 1)], dim=1).double()
        solution = torch.linalg.lstsq(with_bias, logits.double(), driver="gelsd").solution
        self.D.y.weight.copy_(solution[:-1].T)
        self.D.y.bias.copy_(solution[-1])
        return self

    def gradients(self, form, **losses) -> dict[str, torch.Tensor]:
        """Gradients by the parameters of both nets, from nothing."""
        self.G.zero_grad(set_to_none=True)
        self.D.zero_grad(set_to_none=True)
        form(self.G, self.D, self.x, self.z, self.masks, **losses)
        return {
            f"{net}.{name}": parameter.grad.double()
            for net in ("G", "D")
            for name, parameter in getattr(self, net).named_parameters()
        }


@pytest.fixture(params=[True, False], ids=["with masks", "without masks"])
def with_masks(request):
    return request.param


def probabilities(case, row_masks=slice(None)):
    """D(x) and D(G(z)), with gradients to both nets."""
    masks = None if case.masks is None else [mask[row_masks] for mask in case.masks]
    return case.D(torch.cat([case.x, case.G(case.z)]), masks).sigmoid().chunk(2)


# The plain forms


@pytest.mark.parametrize("d_loss_scale", [0.5, 1.0])
def test_ds_gradients_are_those_of_two_cross_entropies(with_masks, d_loss_scale):
    case = Case(with_masks=with_masks)
    real, fake = probabilities(case)
    loss = F.binary_cross_entropy(real, torch.ones_like(real)) + F.binary_cross_entropy(fake, torch.zeros_like(fake))
    expected = torch.autograd.grad(d_loss_scale * loss, list(case.D.parameters()))
    logits = discriminator_gradients(case.G, case.D, case.x, case.z, case.masks, d_loss_scale=d_loss_scale)
    assert_close([p.grad for p in case.D.parameters()], list(expected))
    assert_close([part.sigmoid() for part in logits], [real.detach(), fake.detach()])


@pytest.mark.parametrize("generator_loss", LOSSES)
def test_gs_gradients_are_those_of_its_loss_on_probabilities(with_masks, generator_loss):
    case = Case(with_masks=with_masks)
    fake = case.D(case.G(case.z), case.fake_masks()).sigmoid()
    loss = -fake.log().mean() if generator_loss == "nonsaturating" else (1 - fake).log().mean()
    expected = torch.autograd.grad(loss, list(case.G.parameters()))
    logits = generator_gradients(case.G, case.D, case.z, case.fake_masks(), generator_loss=generator_loss)
    assert_close([p.grad for p in case.G.parameters()], list(expected))
    assert_close(logits.sigmoid(), fake.detach())


def test_a_d_step_leaves_g_alone_and_a_g_step_leaves_d_alone():
    case = Case(with_masks=True)
    before = copy.deepcopy((case.G.state_dict(), case.D.state_dict()))
    discriminator_gradients(case.G, case.D, case.x, case.z, case.masks, d_loss_scale=0.5)
    assert all(parameter.grad is None for parameter in case.G.parameters())
    marks = [torch.full_like(parameter, 7.0) for parameter in case.D.parameters()]
    for parameter, mark in zip(case.D.parameters(), marks, strict=True):
        parameter.grad = mark
    generator_gradients(case.G, case.D, case.z, case.fake_masks(), generator_loss="minimax")
    assert all(p.grad is mark and (mark == 7).all() for p, mark in zip(case.D.parameters(), marks, strict=True))
    assert all(parameter.grad is not None for parameter in case.G.parameters())
    assert_close(before, (case.G.state_dict(), case.D.state_dict()), rtol=0, atol=0)


def test_gradients_replace_what_was_there_and_move_no_weight():
    case, losses = Case(with_masks=True), {"generator_loss": "nonsaturating", "d_loss_scale": 0.5}
    before = copy.deepcopy((case.G.state_dict(), case.D.state_dict()))
    first = case.gradients(two_pass_gradients, **losses)
    two_pass_gradients(case.G, case.D, case.x, case.z, case.masks, **losses)  # over the gradients of the first call
    again = [parameter.grad for net in (case.G, case.D) for parameter in net.parameters()]
    assert_close(again, list(first.values()), rtol=0, atol=0)
    assert_close(before, (case.G.state_dict(), case.D.state_dict()), rtol=0, atol=0)


# One pass


@pytest.mark.parametrize("generator_loss", LOSSES)
@pytest.mark.parametrize("d_loss_scale", [0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_one_pass_gives_the_gradients_of_two_passes(with_masks, generator_loss, d_loss_scale, seed):
    case, losses = Case(with_masks=with_masks, seed=seed), {"generator_loss": generator_loss}
    losses["d_loss_scale"] = d_loss_scale
    two, one = case.gradients(two_pass_gradients, **losses), case.gradients(update_as_gradients, **losses)
    for name, expected in two.items():
        assert expected.abs().max() > 1e-6, name  # or the comparison would be of zeros
        assert (one[name] - expected).norm() <= 1e-6 * expected.norm(), name


def test_one_pass_returns_the_same_logits_as_two(with_masks):
    case, losses = Case(with_masks=with_masks), {"generator_loss": "minimax", "d_loss_scale": 0.5}
    one, two = (
        form(case.G, case.D, case.x, case.z, case.masks, **losses) for form in (update_as_gradients, two_pass_gradients)
    )
    assert_close(one, two)
    assert [part.shape for part in one] == [(M, 1), (M, 1)]
    assert not any(part.requires_grad for part in (*one, *two))


@pytest.mark.parametrize("generator_loss", LOSSES)
def test_one_pass_holds_at_the_released_sizes_on_real_digits(mnist, generator_loss):
    generator = torch.Generator().manual_seed(0)
    x = mnist.train[:20].double() / 255
    G = Generator().initialize(generator, pixel_means=x.mean(dim=0)).double()
    D = Discriminator().initialize(generator, irange=0.05).double()
    z = torch.rand(20, 100, dtype=torch.float64, generator=generator) * 2 - 1
    masks = [mask.double() for mask in dropout_masks(0, "masks", 0, 40, D.input_widths, (0.8, 0.5, 0.5))]
    gradients = []
    for form in (update_as_gradients, two_pass_gradients):
        form(G, D, x, z, masks, generator_loss=generator_loss, d_loss_scale=0.5)
        gradients.append([parameter.grad for net in (G, D) for parameter in net.parameters()])
    for one, two in zip(*gradients, strict=True):
        assert (one - two).norm() <= 1e-6 * two.norm()


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_one_pass_moves_the_weights_as_two_passes_and_pylearn2s_momentum_do(momentum):
    case, losses = Case(with_masks=True), {"generator_loss": "nonsaturating", "d_loss_scale": 0.5}
    plain, rates = copy.deepcopy(case), {"lr": 0.3, "momentum": momentum}
    velocities, plain_velocities = ([zeros_like(net) for net in (case.G, case.D)] for _ in range(2))
    for _ in range(4):
        one_pass_update(case.G, case.D, *velocities, case.x, case.z, case.masks, **losses, **rates)
        two_pass_gradients(plain.G, plain.D, plain.x, plain.z, plain.masks, **losses)
        for net, velocity in zip((plain.G, plain.D), plain_velocities, strict=True):
            learn(net, velocity, **rates)
    for net, other in zip((case.G, case.D, *velocities), (plain.G, plain.D, *plain_velocities), strict=True):
        assert_close(net.state_dict(), other.state_dict(), rtol=1e-9, atol=1e-12)
    assert (case.G.h0.weight - Case(with_masks=True).G.h0.weight).abs().max() > 0.01


def test_a_maximum_that_two_pieces_share_is_treated_alike_in_one_pass_and_in_two():
    case, losses = Case(with_masks=True), {"generator_loss": "minimax", "d_loss_scale": 1.0}
    with torch.no_grad():
        case.D.h0.weight[NUM_UNITS : 2 * NUM_UNITS] = case.D.h0.weight[:NUM_UNITS]  # two pieces of each unit are one
        case.D.h0.bias[NUM_UNITS : 2 * NUM_UNITS] = case.D.h0.bias[:NUM_UNITS]
    one, two = (case.gradients(form, **losses) for form in (update_as_gradients, two_pass_gradients))
    assert_close(one, two, rtol=1e-9, atol=1e-12)


# One pass in float32, where logits saturate: each parameter's gradient has to be met to a thousandth of its norm. Three
# errors are allowed beside that, since no float32 arithmetic is free of them. Numbers below the smallest normal one,
# 1.2e-38, lose their digits and then vanish (e^-100 is 4e-44): that much in each entry. And a sum whose terms cancel,
# as those of D's last bias do where D is as wrong on data as on samples, keeps the rounding of its terms: a millionth
# of the largest gradient of that net. And some logits are had only by weights so large that rounding moves the logits
# by a thousandth: what two plain passes in float32 are wrong by, up to a hundredth, one pass may be wrong by too.


def check_in_float32(case: Case, generator_loss: str, d_loss_scale: float = 0.5) -> dict[str, torch.Tensor]:
    """Compare with two passes in float64 at the same numbers, norm by norm; returns the true gradients."""
    losses = {"generator_loss": generator_loss, "d_loss_scale": d_loss_scale}
    one = case.gradients(update_as_gradients, **losses)
    plain = case.gradients(two_pass_gradients, **losses)
    reference = case.in_float64().gradients(two_pass_gradients, **losses)
    for name, expected in reference.items():
        assert one[name].isfinite().all(), name
        moved_logits = min((plain[name] - expected).norm(), 1e-2 * expected.norm())
        vanished = SMALLEST_NORMAL * expected.numel() ** 0.5
        rounded = 1e-6 * max(other.norm() for net, other in reference.items() if net[0] == name[0])
        assert (one[name] - expected).norm() <= 1e-3 * expected.norm() + vanished + rounded + moved_logits, name
    return reference


@pytest.mark.parametrize("generator_loss", LOSSES)
@pytest.mark.parametrize("size", [30.0, 60.0, 100.0])
@pytest.mark.parametrize("real_sign", [1, -1])
@pytest.mark.parametrize("fake_sign", [1, -1])
def test_one_pass_survives_float32_when_all_rows_saturate(with_masks, generator_loss, size, real_sign, fake_sign):
    logits = torch.cat([torch.full((M, 1), real_sign * size), torch.full((M, 1), fake_sign * size)])
    case = Case(with_masks=with_masks, dtype=torch.float32).aim(logits)
    check_in_float32(case, generator_loss)


@pytest.mark.parametrize("generator_loss", LOSSES)
@pytest.mark.parametrize("size", [100.0, -100.0])
def test_one_pass_survives_float32_when_ds_last_bias_decides_all(with_masks, generator_loss, size):
    case = Case(with_masks=with_masks, dtype=torch.float32)
    with torch.no_grad():
        case.D.y.bias.fill_(size)
    check_in_float32(case, generator_loss)


@pytest.mark.parametrize("generator_loss", LOSSES)
@pytest.mark.parametrize("d_loss_scale", [0.5, 1.0])
@pytest.mark.parametrize("size", [5.0, 30.0, 100.0])
def test_one_pass_survives_float32_when_rows_saturate_either_way(with_masks, generator_loss, d_loss_scale, size):
    logits = torch.linspace(-size, size, 2 * M)[torch.randperm(2 * M, generator=torch.Generator().manual_seed(1))]
    case = Case(with_masks=with_masks, dtype=torch.float32).aim(logits[:, None])
    check_in_float32(case, generator_loss, d_loss_scale)


@pytest.mark.parametrize("generator_loss", LOSSES)
@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_neither_excuse_is_needed_at_logits_near_60(with_masks, generator_loss, signs):
    sizes = (
        torch.linspace(57, 60, M)[:, None],
        torch.linspace(61, 64, M)[:, None],
    )  # unequal, so that sums differ from 0
    logits = torch.cat([sign * size for sign, size in zip(signs, sizes, strict=True)])
    case = Case(with_masks=with_masks, dtype=torch.float32).aim(logits)
    losses = {"generator_loss": generator_loss, "d_loss_scale": 0.5}
    one = case.gradients(update_as_gradients, **losses)
    for name, expected in case.in_float64().gradients(two_pass_gradients, **losses).items():
        if (signs, name) != ((-1, 1), "D.y.bias"):  # whose terms do cancel
            assert expected.norm() > 1e-35
            assert (one[name] - expected).norm() <= 1e-3 * expected.norm(), name


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    logits=st.lists(st.floats(-100, 100, width=32), min_size=2 * M, max_size=2 * M),
    generator_loss=st.sampled_from(LOSSES),
    d_loss_scale=st.sampled_from([0.5, 1.0]),
    with_masks=st.booleans(),
)
def test_one_pass_survives_float32_at_any_logits_up_to_100(logits, generator_loss, d_loss_scale, with_masks):
    case = Case(with_masks=with_masks, dtype=torch.float32).aim(torch.tensor(logits)[:, None])
    check_in_float32(case, generator_loss, d_loss_scale)


@pytest.mark.parametrize("generator_loss", LOSSES)
@pytest.mark.parametrize("size", [1e3, 1e4, 1e5])
def test_logits_beyond_float64s_exponentials_still_give_finite_gradients(generator_loss, size):
    for signs in [(1, 1), (1, -1), (-1, 1), (-1, -1)]:
        case = Case(with_masks=True, dtype=torch.float32)
        case.aim(torch.cat([torch.full((M, 1), size * sign) for sign in signs]))
        check_in_float32(case, generator_loss)


@pytest.mark.parametrize("form", [update_as_gradients, two_pass_gradients])
def test_a_weight_that_is_nan_gives_gradients_that_are_nan_rather_than_numbers(form):
    case = Case(with_masks=True)
    with torch.no_grad():
        case.G.h0.weight[0, 0] = float("nan")
    gradients = case.gradients(form, generator_loss="nonsaturating", d_loss_scale=0.5)
    assert not gradients["G.y.weight"].isfinite().all()
