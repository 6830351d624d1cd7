"""Theory against scipy and closed forms, its properties, and errors planted in it that the notebooks must notice."""

import math

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.spatial.distance import jensenshannon
from torch.distributions import Normal
from torch.testing import assert_close

from gan_repro import theory
from gan_repro.losses import discriminator_loss
from gan_repro.notebooks import NOTEBOOKS, settings
from gan_repro.theory import (
    criterion,
    expectation,
    gaussian_mixture,
    jsd,
    kl,
    log_masses,
    log_shares,
    optimal_logits,
    value,
)

LOG_2, LOG_4 = math.log(2), math.log(4)


def normal(mean: float, std: float) -> Normal:
    return Normal(*torch.tensor([mean, std], dtype=torch.float64))


@st.composite
def pairs_of_distributions(draw):
    """Log-probabilities of two distributions on one discrete space: zeros, tiny and large shares included."""
    size = draw(st.integers(1, 12))
    share = st.one_of(st.just(0.0), st.floats(1e-300, 1e-12), st.floats(1e-3, 1.0))
    pair = []
    for _ in range(2):
        shares = draw(st.lists(share, min_size=size, max_size=size).filter(any))
        weights = torch.tensor(shares, dtype=torch.float64)
        pair.append((weights / weights.sum()).log())
    return pair


@checks(deadline=None, derandomize=True)
@given(pairs_of_distributions())
def test_kl_and_jsd_are_those_of_scipy(pair):
    p, q = (log.exp().numpy() for log in pair)
    expected = stats.entropy(p, q)
    assert kl(*pair).item() == pytest.approx(expected, abs=1e-9)
    assert jsd(*pair).item() == pytest.approx(jensenshannon(p, q) ** 2, abs=1e-9)


@checks(deadline=None, derandomize=True)
@given(pairs_of_distributions())
def test_jsd_lies_between_0_and_log_2_and_does_not_mind_the_order(pair):
    log_p, log_q = pair
    assert -1e-14 <= jsd(log_p, log_q).item() <= LOG_2 + 1e-14
    assert_close(jsd(log_p, log_q), jsd(log_q, log_p), atol=1e-14, rtol=0)
    assert abs(jsd(log_p, log_p).item()) < 1e-14


@checks(deadline=None, derandomize=True)
@given(pairs_of_distributions())
def test_theorem_1_holds_and_no_criterion_is_below_minus_log_4(pair):
    C = criterion(*pair)
    assert -LOG_4 - 1e-12 <= C.item() <= 1e-12
    assert_close(C, -LOG_4 + 2 * jsd(*pair), atol=1e-9, rtol=0)


@checks(deadline=None, derandomize=True)
@given(pairs_of_distributions(), st.lists(st.floats(-30, 30), min_size=12, max_size=12))
def test_no_discriminator_beats_the_optimal_one(pair, logits):
    logits = torch.tensor(logits[: len(pair[0])], dtype=torch.float64)
    assert value(logits, *pair) <= criterion(*pair) + 1e-12


def test_a_density_that_is_nearly_p_data_has_a_jsd_of_the_size_of_the_square():
    eps = 1e-5
    p, q = (torch.tensor([0.5 + sign * eps, 0.5 - sign * eps], dtype=torch.float64).log() for sign in (1, -1))
    assert jsd(p, q).item() == pytest.approx(2 * eps**2, rel=1e-4)


def test_kl_and_entropy_of_gaussians_have_their_closed_form():
    x = torch.linspace(-20, 20, 4001, dtype=torch.float64)
    p, q = normal(0, 1), normal(1, 2)
    log_p, log_q, dx = p.log_prob(x), q.log_prob(x), x[1] - x[0]
    assert_close(kl(log_p, log_q, dx), torch.distributions.kl_divergence(p, q), atol=1e-10, rtol=0)
    assert_close(-expectation(log_p, log_p, dx), p.entropy(), atol=1e-10, rtol=0)


def test_jsd_of_gaussians_is_that_of_adaptive_quadrature():
    p, q = stats.norm(0, 1), stats.norm(1.5, 0.7)

    def integrand(at):
        middle = (p.pdf(at) + q.pdf(at)) / 2
        return (p.pdf(at) * np.log(p.pdf(at) / middle) + q.pdf(at) * np.log(q.pdf(at) / middle)) / 2

    expected, _ = integrate.quad(integrand, -8, 8, epsabs=1e-12)
    x = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    ours = jsd(normal(0, 1).log_prob(x), normal(1.5, 0.7).log_prob(x), x[1] - x[0])
    assert ours.item() == pytest.approx(expected, abs=1e-9)


def test_far_apart_densities_neither_overflow_nor_vanish():
    x = torch.linspace(-60, 60, 12001, dtype=torch.float64)  # the densities underflow at each other's place
    log_p, log_q, dx = normal(-50, 1).log_prob(x), normal(50, 1).log_prob(x), x[1] - x[0]
    assert jsd(log_p, log_q, dx).item() == pytest.approx(LOG_2, abs=1e-12)
    assert kl(log_p, log_q, dx).item() == pytest.approx(100**2 / 2, rel=1e-9)
    assert criterion(log_p, log_q, dx).item() == pytest.approx(0, abs=1e-12)


def test_disjoint_supports_give_log_2_infinity_and_0():
    log_p, log_q = (torch.tensor(p, dtype=torch.float64).log() for p in ([0.3, 0.7, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]))
    assert_close(jsd(log_p, log_q).item(), LOG_2)
    assert kl(log_p, log_q).item() == math.inf
    assert criterion(log_p, log_q).item() == 0
    assert optimal_logits(log_p, log_q).isnan().tolist() == [False, False, False, True]


def test_value_is_minus_the_minibatch_loss_when_the_shares_are_those_of_the_minibatch():
    logits = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    real, fake = torch.tensor([0, 0, 1, 2]), torch.tensor([2, 1, 2, 2])
    shares = [torch.bincount(draws, minlength=3).double().div(4).log() for draws in (real, fake)]
    assert_close(value(logits, *shares), -discriminator_loss(logits[real], logits[fake]))


def test_optimal_logits_are_those_of_equation_2():
    p_data, p_g = torch.tensor([0.1, 0.6, 0.3]), torch.tensor([0.5, 0.25, 0.25])
    assert_close(optimal_logits(p_data.log(), p_g.log()).sigmoid(), p_data / (p_data + p_g))


def test_leading_dimensions_are_a_batch():
    generator = torch.Generator().manual_seed(0)
    log_p, log_q = torch.randn(2, 4, 7, generator=generator, dtype=torch.float64).log_softmax(dim=-1)
    for function in (kl, jsd, criterion):
        assert_close(function(log_p, log_q), torch.stack([function(p, q) for p, q in zip(log_p, log_q, strict=True)]))


def test_a_density_that_does_not_sum_to_1_is_refused():
    half = torch.tensor([0.25, 0.25], dtype=torch.float64).log()
    whole = torch.tensor([0.5, 0.5], dtype=torch.float64).log()
    with pytest.raises(ValueError, match=r"sums to 0\.5000 over its points"):
        kl(half, whole)
    with pytest.raises(ValueError, match=r"sums to 0\.5000"):
        value(torch.zeros(2), whole, half)


def test_gaussian_mixture_has_the_density_and_distribution_function_of_scipy():
    weights, means, stds = [3.0, 1.0], [-1.0, 2.0], [0.5, 1.5]
    mixture, x = gaussian_mixture(weights, means, stds), np.linspace(-4, 6, 31)
    parts = [stats.norm(mean, std) for mean, std in zip(means, stds, strict=True)]
    pdf = 0.75 * parts[0].pdf(x) + 0.25 * parts[1].pdf(x)
    cdf = 0.75 * parts[0].cdf(x) + 0.25 * parts[1].cdf(x)
    np.testing.assert_allclose(mixture.log_prob(torch.tensor(x)), np.log(pdf), rtol=1e-12)
    edges = torch.tensor(x)
    np.testing.assert_allclose(log_masses(mixture, edges).exp(), np.diff([0, *cdf, 1]), atol=1e-15)


def test_shares_count_each_sample_once_open_ends_included():
    samples = torch.tensor([[-9.0, -0.5, 0.5, 0.6], [9.0, 9.0, 9.0, 0.2]])
    edges = torch.tensor([-1.0, 0.0, 1.0])
    assert log_shares(samples, edges).exp().tolist() == [[0.25, 0.25, 0.5, 0.0], [0.0, 0.0, 0.25, 0.75]]
    with pytest.raises(ValueError, match="a sample is not finite"):
        log_shares(torch.tensor([0.0, math.nan]), edges)


def test_shares_of_draws_from_a_density_come_close_to_its_masses():
    draws = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    edges = torch.linspace(-4, 4, 81, dtype=torch.float64)
    assert jsd(log_masses(normal(0, 1), edges), log_shares(draws, edges)).item() < 2e-4  # 81 / (8 * 200,000) expected
    assert jsd(log_masses(normal(0.1, 1), edges), log_shares(draws, edges)).item() > 1e-3


def first_failing_cell(name: str, **others) -> str | None:
    """Run a notebook's code cells in this process with its smoke settings: the id of the first whose assert fails."""
    namespace: dict = {}
    dtype = torch.get_default_dtype()
    try:
        for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells:
            if cell.cell_type != "code":
                continue
            try:
                exec(compile(cell.source, f"{name}: {cell.id}", "exec"), namespace)
            except AssertionError:
                return cell.id
            if "parameters" in cell.metadata.get("tags", []):
                namespace |= settings(name, "smoke") | others
        return None
    finally:
        torch.set_default_dtype(dtype)
        plt.close("all")


@pytest.fixture
def no_window(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))


def test_without_an_error_no_assert_of_the_theory_notebook_fails(no_window):
    assert first_failing_cell("01_theory") is None


def value_with_wrong_sign(D_logits, log_p_data, log_p_g, dx=1.0):
    return expectation(log_p_data, -F.softplus(-D_logits), dx) - expectation(log_p_g, -F.softplus(D_logits), dx)


def value_with_densities_swapped(D_logits, log_p_data, log_p_g, dx=1.0):
    return RIGHT["value"](D_logits, log_p_g, log_p_data, dx)


def value_doubled(D_logits, log_p_data, log_p_g, dx=1.0):
    return 2 * RIGHT["value"](D_logits, log_p_data, log_p_g, dx)


def jsd_without_its_half(log_p, log_q, dx=1.0):
    return 2 * RIGHT["jsd"](log_p, log_q, dx)


def jsd_of_the_sum_instead_of_the_mean(log_p, log_q, dx=1.0):
    log_sum = torch.logaddexp(log_p, log_q)
    return (RIGHT["kl"](log_p, log_sum, dx) + RIGHT["kl"](log_q, log_sum, dx)) / 2


def kl_with_wrong_sign(log_p, log_q, dx=1.0):
    return -RIGHT["kl"](log_p, log_q, dx)


def kl_with_densities_swapped(log_p, log_q, dx=1.0):
    return RIGHT["kl"](log_q, log_p, dx)


def criterion_with_the_constant_of_one_mean(log_p_data, log_p_g, dx=1.0):
    return RIGHT["criterion"](log_p_data, log_p_g, dx) + LOG_2


def logits_with_densities_swapped(log_p_data, log_p_g):
    return log_p_g - log_p_data


def logits_of_the_density_of_data_alone(log_p_data, log_p_g):
    return log_p_data + 0 * log_p_g


RIGHT = {name: getattr(theory, name) for name in ("value", "jsd", "kl", "criterion")}  # before anything is planted


@pytest.mark.parametrize(
    "function,wrong,noticed_in",
    [
        ("value", value_with_wrong_sign, "game-value"),
        ("value", value_with_densities_swapped, "game-value"),
        ("value", value_doubled, "game-value"),
        ("optimal_logits", logits_with_densities_swapped, "search"),
        ("optimal_logits", logits_of_the_density_of_data_alone, "search"),
        ("jsd", jsd_without_its_half, "theorem-steps"),
        ("jsd", jsd_of_the_sum_instead_of_the_mean, "theorem-steps"),
        ("criterion", criterion_with_the_constant_of_one_mean, "theorem-steps"),
        ("kl", kl_with_wrong_sign, "theorem-steps"),
        ("kl", kl_with_densities_swapped, "theorem-steps"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_error_planted_in_the_theory_fails_an_assert_of_the_notebook(
    function, wrong, noticed_in, monkeypatch, no_window
):
    monkeypatch.setattr(theory, function, wrong)
    assert first_failing_cell("01_theory") == noticed_in


# In this cell of 01, this text, replaced by this, must fail an assert in the cell given last.
ERRORS_IN_CELLS = [
    ("game-value", "+ (p_g * (1 - D).log()).sum()", "- (p_g * (1 - D).log()).sum()", "game-value"),
    ("pointwise", "f = a * y.log() + b", "f = b * y.log() + a", "pointwise"),
    ("search", "D_star = p_data / (", "D_star = p_g / (", "search"),
    ("theorem-steps", "by_6 = -log_4 + 2 *", "by_6 = -log_4 +", "theorem-steps"),
    ("theorem-step-3", "log_m - log_p_data", "log_p_data - log_m", "theorem-step-3"),
    ("path-values", "-log_4 + 2 * JSD_path", "-log_2 + 2 * JSD_path", "path-values"),
    ("iterate", "log_p_g - eta * slope", "log_p_g + eta * slope", "iterate"),
    ("poor-D", "- log_p_g.exp() * D_logits.sigmoid()", "+ log_p_g.exp() * D_logits.sigmoid()", "poor-D"),
    ("poor-D", "- log_p_g.exp() * D_logits.sigmoid()", "- 2 * log_p_g.exp() * D_logits.sigmoid()", "poor-D"),
    ("parameter-space", "theta.data -= 0.1", "theta.data += 0.1", "parameter-ends"),
    ("saddle-check", "value(coin, log_p_states, starts)", "value(coin + 1, log_p_states, starts)", "saddle-check"),
    ("bilinear-paths", "d = d + eta * (", "d = d - eta * (", "bilinear-paths"),
    ("saturation-figure", "* loss(logits)", "* -loss(logits)", "saturation-figure"),
    ("fixed-point-parameters", "in (D, 1 - D)", "in (1 - D, D)", "fixed-point-parameters"),
    ("disjoint-check", ", criterion(log_p_data, log_p_g)", ", -criterion(log_p_data, log_p_g)", "disjoint-check"),
    ("disjoint-slope", "grad(criterion(", "grad(-criterion(", "disjoint-slope"),
    ("disjoint-slope", "(1 - D) * theta", "D * theta", "disjoint-slope"),
    ("nce-fit", "log_model() - log_noise", "log_noise - log_model()", "nce-fit"),
    ("misreading-score", "* -(1 - y).log() +", "* y.log() +", "misreading-score"),
    ("misreading-noise", "1 + s**2", "1", "misreading-noise"),
]


def asserts_fail(cells, namespace: dict) -> bool:
    try:
        for source in cells:
            exec(source, namespace)
    except AssertionError:
        return True
    return False


def test_an_error_planted_in_a_cell_of_any_section_fails_an_assert(no_window):
    notebook = nbformat.read(NOTEBOOKS / "01_theory.ipynb", as_version=4)
    cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
    ids = list(cells)
    namespace: dict = {}
    dtype = torch.get_default_dtype()
    unnoticed = []
    try:
        for name, cell in cells.items():  # one run; at its cell each error is tried on a copy of what was there
            for where, right, wrong, noticed_in in ERRORS_IN_CELLS:
                if where == name:
                    assert cell.source.count(right) == 1, (where, right)
                    later = [cells[i].source for i in ids[ids.index(where) + 1 : ids.index(noticed_in) + 1]]
                    state = namespace["rng"].get_state()
                    if not asserts_fail([cell.source.replace(right, wrong), *later], dict(namespace)):
                        unnoticed.append((where, wrong))
                    namespace["rng"].set_state(state)
            exec(cell.source, namespace)
            if "parameters" in cell.metadata.get("tags", []):
                namespace |= settings("01_theory", "smoke")
            plt.close("all")
    finally:
        torch.set_default_dtype(dtype)
    assert not unnoticed


@pytest.mark.notebooks
@pytest.mark.parametrize(
    "others",
    [
        {"generator_loss": "minimax", "noise": "uniform", "k": 2, "density": "shoulder"},
        {"density": "two_modes"},
    ],
    ids=["minimax-uniform-k2-shoulder", "two_modes"],
)
def test_the_one_dimensional_gan_runs_with_each_of_its_choices(others, no_window):
    short = {"num_steps": 30, "num_steps_other": 5, "num_steps_curve": 5}
    assert first_failing_cell("02_one_dimensional_gan", **short, **others) is None
