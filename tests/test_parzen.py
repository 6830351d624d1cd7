"""The Parzen window against closed forms, torch, the authors' formula and real digits."""

import math
import time

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal
from torch.testing import assert_close

from benchmarks.memory import CLEAR_REFS, peak_memory
from gan_repro.data import load_mnist, to_unit
from gan_repro.parzen import (
    AUTHORS_SIGMAS,
    FINE_SIGMAS,
    choose_sigma,
    mean_and_standard_error,
    parzen_log_likelihood,
    parzen_log_likelihoods,
)


def random_rows(n, d, dtype=torch.float64, seed=0):
    return torch.rand(n, d, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def x():
    return random_rows(23, 6, seed=1)


@pytest.fixture
def samples():
    return random_rows(50, 6, seed=2)


# The density


def test_one_sample_gives_the_gaussian_density(x):
    sample = torch.full((1, 6), 0.3, dtype=torch.float64)
    expected = Independent(Normal(sample[0], 0.25), 1).log_prob(x)
    assert_close(parzen_log_likelihood(x, sample, 0.25), expected, rtol=0, atol=1e-12)


def test_a_point_on_its_only_sample_gets_the_log_of_the_normalising_constant():
    point = random_rows(1, 784, torch.float32)
    expected = torch.tensor([-392 * math.log(2 * math.pi * 0.2**2)], dtype=torch.float64)
    assert_close(parzen_log_likelihood(point, point, 0.2), expected, rtol=0, atol=1e-9)


def test_repeating_every_sample_changes_nothing(x, samples):
    twice = torch.cat([samples, samples])
    assert_close(parzen_log_likelihood(x, twice, 0.2), parzen_log_likelihood(x, samples, 0.2), rtol=0, atol=1e-12)


def test_many_samples_of_a_gaussian_converge_to_it_convolved_with_the_window():
    d, m, tau, sigma = 2, 200_000, 0.5, 0.2
    generator = torch.Generator().manual_seed(3)
    samples = tau * torch.randn(m, d, dtype=torch.float64, generator=generator)
    x = tau * torch.randn(40, d, dtype=torch.float64, generator=generator)

    def log_normal(variance):
        return -(x**2).sum(1) / (2 * variance) - d / 2 * math.log(2 * math.pi * variance)

    # The kernel k has mean N(x; 0, tau^2 + sigma^2); k^2 is (4 pi sigma^2)^(-d/2) times a kernel of variance sigma^2/2.
    log_mean = log_normal(tau**2 + sigma**2)
    log_mean_square = log_normal(tau**2 + sigma**2 / 2) - d / 2 * math.log(4 * math.pi * sigma**2)
    standard_error = ((log_mean_square - 2 * log_mean).expm1() / m).sqrt()  # of the estimate, relative to the density
    z = (parzen_log_likelihood(x, samples, sigma) - log_mean) / standard_error
    assert standard_error.max() < 0.02  # nats: the comparison is a sharp one
    assert z.abs().max() < 5
    assert 0.6 < z.square().mean().sqrt() < 1.5  # the deviations are as large as chance makes them, and no larger


@pytest.mark.parametrize("sigma", [0.05, 0.2, 1.0])
def test_it_equals_torchs_mixture_of_gaussians(x, samples, sigma):
    components = Independent(Normal(samples, sigma), 1)
    mixture = MixtureSameFamily(Categorical(torch.ones(50, dtype=torch.float64)), components)
    assert_close(parzen_log_likelihood(x, samples, sigma, chunk_size=7), mixture.log_prob(x), rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("sigma", [0.05, 0.2, 1.0])
def test_it_equals_the_authors_formula(x, samples, sigma):
    scaled = (x.numpy()[:, None, :] - samples.numpy()[None, :, :]) / sigma  # (23, 50, 6)
    exponents = -0.5 * (scaled**2).sum(axis=2)
    largest = exponents.max(axis=1, keepdims=True)
    log_mean_exp = largest[:, 0] + np.log(np.exp(exponents - largest).mean(axis=1))
    expected = log_mean_exp - 6 * np.log(sigma * np.sqrt(2 * np.pi))
    assert_close(parzen_log_likelihood(x, samples, sigma).numpy(), expected, rtol=1e-12, atol=1e-11)


def test_pixels_in_minus_one_to_one_with_sigma_doubled_score_d_log_2_lower(x, samples):
    lower = parzen_log_likelihood(2 * x - 1, 2 * samples - 1, 0.4)
    assert_close(lower, parzen_log_likelihood(x, samples, 0.2) - 6 * math.log(2), rtol=0, atol=1e-11)


# What must not matter


@pytest.mark.parametrize("dtype, atol", [(torch.float64, 1e-11), (torch.float32, 1e-4)])
@pytest.mark.parametrize("chunk_size", [1, 7, 10, 23, 50])
def test_chunk_size_does_not_matter(x, samples, dtype, atol, chunk_size):
    x, samples = x.to(dtype), samples.to(dtype)
    chunked = parzen_log_likelihood(x, samples, 0.2, chunk_size=chunk_size)
    assert_close(chunked, parzen_log_likelihood(x, samples, 0.2), rtol=0, atol=atol)


def test_the_order_of_samples_does_not_matter(x, samples):
    shuffled = samples[torch.randperm(50, generator=torch.Generator().manual_seed(4))]
    expected = parzen_log_likelihood(x, samples, 0.2, chunk_size=7)
    assert_close(parzen_log_likelihood(x, shuffled, 0.2, chunk_size=7), expected, rtol=0, atol=1e-11)


def test_each_row_of_x_is_scored_by_itself(x, samples):
    one_by_one = torch.cat([parzen_log_likelihood(row[None], samples, 0.2) for row in x])
    assert_close(parzen_log_likelihood(x, samples, 0.2, chunk_size=5), one_by_one, rtol=0, atol=1e-11)


def test_a_grid_of_sigmas_gives_what_one_by_one_gives(x, samples):
    grid = parzen_log_likelihoods(x, samples, AUTHORS_SIGMAS, chunk_size=7)
    one_by_one = torch.stack([parzen_log_likelihood(x, samples, sigma) for sigma in AUTHORS_SIGMAS])
    assert grid.shape == (10, 23)
    assert_close(grid, one_by_one, rtol=0, atol=1e-11)


def test_inputs_are_left_as_they_were(x, samples):
    x_before, samples_before = x.clone(), samples.clone()
    parzen_log_likelihood(x, samples, 0.2, chunk_size=7)
    assert x.equal(x_before) and samples.equal(samples_before)


def test_no_gradient_graph_is_kept(x, samples):
    log_likelihood = parzen_log_likelihood(x.requires_grad_(), samples.requires_grad_(), 0.2)
    assert not log_likelihood.requires_grad


# Precision


def test_far_points_get_finite_values_where_a_plain_exp_underflows():
    samples = random_rows(300, 784, torch.float32)
    far = torch.stack([samples[0] + 1, samples[0] + 1000])
    assert torch.exp(-torch.cdist(far, samples).square() / (2 * 0.1**2)).sum() == 0  # what a plain sum of exp gives
    log_likelihood = parzen_log_likelihood(far, samples, 0.1)
    assert log_likelihood.isfinite().all()
    assert_close(log_likelihood, parzen_log_likelihood(far.double(), samples.double(), 0.1), rtol=1e-6, atol=0)


def test_rounding_puts_no_point_nearer_to_a_sample_than_the_sample_itself():
    samples = random_rows(100, 784, torch.float32)
    highest = -math.log(100) - 392 * math.log(2 * math.pi * 0.01**2)  # distance 0 to one sample, far from the others
    log_likelihood = parzen_log_likelihood(samples, samples, 0.01)
    assert log_likelihood.max() <= highest + 1e-9
    assert log_likelihood.mean() == pytest.approx(highest, abs=1)


@pytest.mark.parametrize("stray", ["x", "samples", "neither"])
def test_float32_is_within_a_hundredth_of_a_nat_of_float64_even_beside_a_stray_row(stray):
    x, samples = (5 + random_rows(40, 784, torch.float32, seed) for seed in (5, 6))
    if stray != "neither":
        {"x": x, "samples": samples}[stray][0] = 1e6
    exact = parzen_log_likelihood(x.double(), samples.double(), 0.2)
    assert_close(parzen_log_likelihood(x, samples, 0.2)[1:], exact[1:], rtol=0, atol=0.01)


def test_half_precision_inputs_are_scored_as_the_float32_numbers_they_stand_for(x, samples):
    x, samples = x.half(), samples.half()
    assert parzen_log_likelihood(x, samples, 0.2).equal(parzen_log_likelihood(x.float(), samples.float(), 0.2))


@pytest.fixture(params=["matmul precision", "backend's precision", "autocast"])
def bfloat16_allowed(request):
    before = torch.get_float32_matmul_precision()
    if request.param == "matmul precision":
        torch.set_float32_matmul_precision("medium")
    elif request.param == "backend's precision":
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    with torch.autocast("cpu", torch.bfloat16, enabled=request.param == "autocast"):
        yield
    torch.set_float32_matmul_precision(before)


def test_bfloat16_products_allowed_in_training_do_not_reach_the_score(bfloat16_allowed):
    x, samples = random_rows(40, 784, torch.float32, seed=5), random_rows(40, 784, torch.float32, seed=6)
    setting = torch.backends.mkldnn.matmul.fp32_precision
    exact = parzen_log_likelihood(x.double(), samples.double(), 0.2)
    assert_close(parzen_log_likelihood(x, samples, 0.2), exact, rtol=0, atol=0.01)
    assert torch.backends.mkldnn.matmul.fp32_precision == setting  # handed back as it was


# sigma and the two numbers of Table 1


def test_the_grids_are_the_authors_and_steps_of_a_hundredth():
    assert AUTHORS_SIGMAS == pytest.approx(np.logspace(-1, 0, 10), rel=1e-12)
    assert FINE_SIGMAS == pytest.approx(np.arange(0.10, 0.295, 0.01), rel=1e-12)


def test_choose_sigma_takes_the_top_of_the_curve_it_returns(x, samples):
    choice = choose_sigma(x, samples)
    curve = [parzen_log_likelihood(x, samples, sigma).mean().item() for sigma in AUTHORS_SIGMAS]
    assert choice.sigmas == AUTHORS_SIGMAS
    assert choice.mean_log_likelihoods == pytest.approx(curve, abs=1e-11)
    assert choice.sigma == AUTHORS_SIGMAS[np.argmax(curve)]
    assert 0.1 < choice.sigma < 1  # neither end of the grid, where an argmin would land
    assert choose_sigma(x, samples, np.array([0.1, choice.sigma])).sigma == choice.sigma


def test_the_standard_error_is_the_std_over_images_by_the_square_root_of_their_number():
    mean, standard_error = mean_and_standard_error(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    assert mean == pytest.approx(3)
    assert standard_error == pytest.approx(math.sqrt((4 + 1 + 0 + 9) / 4) / 2)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (10, 5)])
def test_a_standard_error_of_fewer_than_two_images_is_refused(shape):
    with pytest.raises(ValueError, match="must be a row of two or more"):
        mean_and_standard_error(torch.zeros(shape))


# Errors


@pytest.mark.parametrize("sigma", [0, 0.0, -0.1, math.nan, math.inf])
def test_a_sigma_that_is_not_positive_and_finite_is_refused(x, samples, sigma):
    with pytest.raises(ValueError, match="sigma must be finite and > 0"):
        parzen_log_likelihood(x, samples, sigma)
    with pytest.raises(ValueError, match="sigma must be finite and > 0"):
        choose_sigma(x, samples, [0.1, sigma])


@pytest.mark.parametrize(
    "bad, message",
    [
        (torch.zeros(6), "must be a matrix with one image a row"),
        (torch.zeros(3, 2, 3), "must be a matrix with one image a row"),
        (torch.zeros(0, 6), "is empty"),
        (torch.zeros(3, 0), "is empty"),
        (torch.tensor([[0, 0, 0, math.nan, 0, 0]]), "contains NaN or infinity"),
        (torch.tensor([[0, 0, 0, -math.inf, 0, 0]]), "contains NaN or infinity"),
        (torch.zeros(3, 6, dtype=torch.uint8), "use gan_repro.data.to_unit"),
        (torch.zeros(3, 6, dtype=torch.int64), "use gan_repro.data.to_unit"),
        (torch.zeros(3, 6, dtype=torch.bool), "use gan_repro.data.to_unit"),
    ],
)
def test_bad_images_are_refused_by_name_as_x_and_as_samples(bad, message):
    good = torch.zeros(4, 6)
    with pytest.raises(ValueError, match=f"^x .*{message}"):
        parzen_log_likelihood(bad, good, 0.2)
    with pytest.raises(ValueError, match=f"^samples .*{message}"):
        parzen_log_likelihood(good, bad, 0.2)


@pytest.mark.parametrize(
    "samples, sigmas, chunk_size, message",
    [
        (torch.zeros(4, 5), [0.2], 10, "x has 6 columns, samples have 5"),
        (torch.zeros(4, 6), [], 10, "sigmas is empty"),
        (torch.zeros(4, 6), [0.2], 0, "chunk_size must be at least 1, got 0"),
    ],
)
def test_other_misuse_is_refused(samples, sigmas, chunk_size, message):
    with pytest.raises(ValueError, match=message):
        parzen_log_likelihoods(torch.zeros(4, 6), samples, sigmas, chunk_size)


def test_x_and_samples_on_two_devices_are_refused():
    with pytest.raises(ValueError, match="x is on cpu, samples are on meta"):
        parzen_log_likelihood(torch.zeros(4, 6), torch.zeros(4, 6, device="meta"), 0.2)


# Cost


@pytest.mark.skipif(not CLEAR_REFS.exists(), reason="the peak of memory is read from Linux's /proc")
def test_peak_memory_is_under_300_mb_and_flat_in_the_number_of_samples():
    assert peak_memory("parzen", 10_000, 10_000) < 300e6  # the matrix of distances alone would be 400
    few, many = peak_memory("parzen", 1000, 1000), peak_memory("parzen", 1000, 50_000)
    assert many < few + 100e6  # a copy of the samples would be 157; between runs the heap varies by about 40


def test_the_protocol_costs_at_most_3_times_its_own_matrix_products():
    valid, test, samples = (random_rows(n, 784, torch.float32, seed=n) for n in (300, 3000, 3001))

    def protocol():
        parzen_log_likelihood(test, samples, choose_sigma(valid, samples).sigma)

    def seconds(work):  # of processor time, so that other programs do not count
        start = time.process_time()
        work()
        return time.process_time() - start

    num_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        ours = min(seconds(protocol) for _ in range(4))
        products = min(seconds(lambda: (valid @ samples.T, test @ samples.T)) for _ in range(4))
    finally:
        torch.set_num_threads(num_threads)
    assert ours < 3 * products


# Oracles: training digits as the samples, all 10,000 test images (DESIGN 6)


@pytest.fixture(scope="module")
def digits():
    return load_mnist()


@pytest.mark.oracle
@pytest.mark.parametrize(
    "num_samples, sigmas, sigma, mean, standard_error",
    [
        (10_000, AUTHORS_SIGMAS, 0.1668, 241.19, 2.13),
        (10_000, FINE_SIGMAS, 0.18, 242.70, 1.83),
        (1000, AUTHORS_SIGMAS, 0.2154, 114.22, 1.67),
    ],
)
def test_real_training_digits_score_as_measured(digits, num_samples, sigmas, sigma, mean, standard_error):
    samples = to_unit(digits.train[:num_samples])
    choice = choose_sigma(to_unit(digits.valid[:1000]), samples, sigmas)
    log_likelihoods = parzen_log_likelihood(to_unit(digits.test), samples, choice.sigma)
    assert choice.sigma == pytest.approx(sigma, abs=5e-5)
    assert log_likelihoods.shape == (10_000,)
    assert mean_and_standard_error(log_likelihoods) == (
        pytest.approx(mean, abs=0.05),
        pytest.approx(standard_error, abs=0.01),
    )


@pytest.mark.oracle
def test_float32_on_real_digits_is_as_close_to_float64_as_the_comment_says(digits):
    x, samples = to_unit(digits.test[:1000]), to_unit(digits.train[:10_000])
    error = parzen_log_likelihood(x, samples, 0.1) - parzen_log_likelihood(x.double(), samples.double(), 0.1)
    assert error.abs().max() < 0.01
    assert error.mean().abs() < 0.001
