"""Every draw of a training run: frozen to the bit, and distributed as it says."""

import hashlib
import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from gan_repro.streams import STREAMS, dropout_masks, epoch_order, raw_bits, sample_noise

WIDTHS, KEEP = (784, 240, 240), (0.8, 0.5, 0.5)  # of the released D


def fingerprint(*arrays) -> str:
    """The first 16 digits of the SHA-256 of the arrays' bytes."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()[:16]


def largest_correlation(arrays) -> float:
    """Of all pairs, in units of what independent draws of that length give: standard normal if they are independent."""
    rows = np.stack([np.asarray(a, dtype=np.float64).ravel() for a in arrays])
    correlations = np.corrcoef(rows)
    return np.abs(correlations[np.triu_indices(len(rows), k=1)]).max() * math.sqrt(rows.shape[1])


# The bits: a change of any value below is a new training recipe


def philox4x64_10(counter: list[int], key: list[int]) -> list[int]:
    """One block of Philox (Salmon et al., 2011, Section 3.3 and its table of constants), in Python's integers."""
    mask, (c0, c1, c2, c3), (k0, k1) = 2**64 - 1, counter, key
    for _ in range(10):
        high0, low0 = divmod(0xD2E7470EE14C6C93 * c0, 2**64)
        high1, low1 = divmod(0xCA5A826395121157 * c2, 2**64)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return [c0, c1, c2, c3]


@pytest.mark.parametrize("seed, stream, step", [(0, "order", 0), (7, "masks", 123456), (2**64 - 1, "z", 1)])
def test_the_bits_are_those_of_philox_with_key_seed_and_stream_and_the_step_in_the_counters_top_word(
    seed, stream, step
):
    blocks = [philox4x64_10([i, 0, 0, step], [seed, STREAMS[stream]]) for i in (1, 2, 3)]
    assert raw_bits(seed, stream, step, 96).tolist() == list(itertools.chain(*blocks))


def test_the_streams_keep_their_numbers():
    assert STREAMS == {"order": 0, "z": 1, "masks": 2, "z_for_d": 3, "masks_for_d": 4, "evaluation": 5}


@pytest.mark.parametrize(
    "seed, epoch, golden",
    [(0, 0, "102a4e5751951639"), (0, 1, "3a55fa9fb3f7e538"), (3, 700, "d93d3555bd69ad9c")],
)
def test_the_order_of_an_epoch_is_frozen(seed, epoch, golden):
    assert fingerprint(epoch_order(seed, epoch, 50_000)) == golden


@pytest.mark.parametrize(
    "seed, stream, step, golden",
    [
        (0, "z", 0, "f2270f0168ea9414"),
        (0, "z", 1, "37ebf209f4dd65a3"),
        (3, "z", 70_000, "41bc36b5fc37126c"),
        (0, "z_for_d", 0, "5584a11be5fc2aff"),
        (3, "z_for_d", 70_000, "024381dce665232a"),
        (0, "evaluation", 0, "b0d5add5a335ad9c"),
        (3, "evaluation", 1, "3564d35274ef893f"),
    ],
)
def test_uniform_noise_is_frozen(seed, stream, step, golden):
    assert fingerprint(sample_noise("uniform", seed, stream, step, (100, 100))) == golden


@pytest.mark.parametrize(
    "prior, golden",
    [
        (
            "gaussian",
            [1.9621140956878662, 0.8903241157531738, 1.3780137300491333, -0.22366678714752197, -1.0796555280685425],
        ),
        (
            "sphere",
            [0.193173348903656, 0.08765386790037155, 0.13566771149635315, -0.022035876289010048, -0.10516004264354706],
        ),
    ],
)
def test_the_other_noise_is_frozen_but_for_the_last_digits_of_a_machines_logarithm(prior, golden):
    z = sample_noise(prior, 0, "z", 0, (100, 100))
    assert_close(z[[0, 0, 0, 50, 99], [0, 1, 99, 7, 99]], torch.tensor(golden), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "seed, stream, step, golden",
    [
        (0, "masks", 0, "147a342ac0dc6f83"),
        (0, "masks", 1, "40eb591f407ac4ce"),
        (3, "masks", 70_000, "e4090a49460ffd3c"),
        (0, "masks_for_d", 0, "49459e4ba07cc3dc"),
        (3, "masks_for_d", 70_000, "b404f26bb81d55bc"),
    ],
)
def test_the_masks_are_frozen(seed, stream, step, golden):
    assert fingerprint(*dropout_masks(seed, stream, step, 200, WIDTHS, KEEP)) == golden


def test_the_masks_of_odd_widths_are_frozen_too():
    masks = dropout_masks(0, "masks", 0, 3, (7, 5, 3), KEEP)  # no layer fills its last word of random bits
    assert fingerprint(*masks) == "19b6a72c0e9dbc65"


@pytest.mark.parametrize("other", [(1, "z", 0), (0, "z_for_d", 0), (0, "z", 1)])
def test_another_seed_stream_or_step_gives_unrelated_bits(other):
    draws = [raw_bits(*which, 8 * 5000).view(np.uint8) for which in [(0, "z", 0), other]]
    assert largest_correlation(draws) < 4
    assert len(np.intersect1d(*[draw.view(np.uint64) for draw in draws])) == 0


def test_draws_leave_torchs_own_generator_alone():
    before = torch.get_rng_state()
    epoch_order(0, 0, 10)
    sample_noise("gaussian", 0, "z", 0, (2, 3))
    dropout_masks(0, "masks", 0, 2, WIDTHS, KEEP)
    assert torch.equal(before, torch.get_rng_state())


# Order


@pytest.mark.parametrize("num_examples", [1, 2, 600, 50_000])
def test_an_epochs_order_is_a_permutation(num_examples):
    order = epoch_order(5, 3, num_examples)
    assert order.dtype == torch.int64
    assert torch.equal(order.sort().values, torch.arange(num_examples))


def test_the_order_differs_between_epochs_and_seeds_and_is_unrelated():
    orders = [epoch_order(seed, epoch, 10_000) for seed, epoch in [(0, 0), (0, 1), (0, 2), (1, 0)]]
    assert largest_correlation([torch.arange(10_000), *orders]) < 4


def test_every_example_is_as_likely_at_every_place():
    places = torch.stack([epoch_order(0, epoch, 6) for epoch in range(6000)])
    for place in places.T:
        assert stats.chisquare(torch.bincount(place, minlength=6).numpy()).pvalue > 1e-3


# Noise


@pytest.mark.parametrize(
    "prior, distribution, limit",
    [("uniform", stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)), math.sqrt(3)), ("gaussian", stats.norm(), 8)],
)
def test_noise_has_the_distribution_that_its_name_says(prior, distribution, limit):
    z = sample_noise(prior, 0, "z", 0, (2000, 100))
    assert z.dtype == torch.float32
    assert z.shape == (2000, 100)
    values = z.double().flatten().numpy()
    assert np.abs(values).max() <= limit
    assert stats.kstest(values, distribution.cdf).pvalue > 0.01
    assert values.mean() == pytest.approx(0, abs=4 / math.sqrt(values.size))
    assert values.var() == pytest.approx(1, abs=4 * math.sqrt(2 / values.size))


def test_the_ends_of_the_bits_give_finite_noise_within_the_range(monkeypatch):
    ends = np.array([0, 2**64 - 1], dtype=np.uint64)  # as four draws: 0, 0, 2^32 - 1, 2^32 - 1
    monkeypatch.setattr("gan_repro.streams.raw_bits", lambda *args: ends)
    uniform, gaussian = (sample_noise(prior, 0, "z", 0, (1, 4))[0] for prior in ("uniform", "gaussian"))
    assert_close(uniform, math.sqrt(3) * torch.tensor([-1.0, -1, 1, 1]))
    assert uniform.double().abs().max() <= math.sqrt(3)
    assert_close(gaussian, torch.tensor(stats.norm.ppf(2.0**-33) * np.array([1, 1, -1, -1])).float())


def test_neighbouring_coordinates_and_rows_of_noise_are_unrelated():
    z = sample_noise("uniform", 0, "z", 0, (500, 100)).numpy()
    assert largest_correlation([z[:-1, :-1], z[1:, :-1], z[:-1, 1:]]) < 4


def test_spherical_noise_has_length_1_and_no_preferred_direction():
    z = sample_noise("sphere", 0, "z", 0, (20_000, 5)).double()
    assert_close(z.norm(dim=1), torch.ones(20_000, dtype=torch.float64), rtol=0, atol=1e-6)
    for coordinate in z.T:  # (1 + z_i) / 2 of a uniform point on the sphere in d dimensions
        assert stats.kstest((1 + coordinate.numpy()) / 2, stats.beta(2, 2).cdf).pvalue > 0.01
    assert largest_correlation(z.T) < 4


def test_an_unknown_prior_is_refused_by_name():
    with pytest.raises(ValueError, match='the noise prior is "normal"'):
        sample_noise("normal", 0, "z", 0, (1, 1))


# Masks


@pytest.mark.parametrize("keep", [0.5, 0.8, 0.9, 0.123, 0.001, 0.99999, 0.999999])
def test_masks_are_0_or_1_over_keep_at_the_rate_they_should_be(keep):
    (mask,) = dropout_masks(0, "masks", 0, 1000, (301,), (keep,))  # an odd width: bits are not used up evenly
    assert mask.dtype == torch.float32
    assert mask.shape == (1000, 301)
    kept = mask != 0
    assert torch.equal(mask[kept], torch.full_like(mask[kept], 1 / keep))
    assert kept.double().mean().item() == pytest.approx(keep, abs=4 * math.sqrt(keep * (1 - keep) / mask.numel()))


def test_a_layer_that_keeps_all_is_multiplied_by_1_and_leaves_the_others_draws_in_place():
    ones, half = dropout_masks(0, "masks", 0, 10, (784, 240), (1.0, 0.5))
    assert torch.equal(ones, torch.ones(10, 784))
    assert set(half.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropout_masks(0, "masks", 0, 10, (784,), (1.0,))[0], ones)


def test_each_units_rate_is_right_at_every_row_and_column():
    for keep, mask in zip(KEEP, dropout_masks(0, "masks", 0, 2000, WIDTHS, KEEP), strict=True):
        for dim in (0, 1):
            rates = (mask != 0).double().mean(dim=dim)
            spread = math.sqrt(keep * (1 - keep) / mask.shape[dim])
            assert stats.kstest(((rates - keep) / spread).numpy(), stats.norm.cdf).pvalue > 1e-3


def test_masks_of_layers_steps_seeds_and_streams_are_unrelated():
    draws = itertools.product((0, 1), ("masks", "masks_for_d"), (0, 1))
    masks = [mask[:, :240] for draw in draws for mask in dropout_masks(*draw, 200, WIDTHS, KEEP)]
    assert len(masks) == 24
    assert largest_correlation(masks) < 4.5  # of 276 pairs


def test_neighbouring_units_and_rows_of_a_mask_are_unrelated():
    for mask in dropout_masks(0, "masks", 0, 200, WIDTHS, KEEP):
        assert largest_correlation([mask[:-1, :-1], mask[1:, :-1], mask[:-1, 1:]]) < 4


def test_masks_and_noise_of_one_step_are_unrelated():
    (mask,) = dropout_masks(0, "masks", 0, 100, (100,), (0.8,))
    assert largest_correlation([mask, sample_noise("uniform", 0, "z", 0, (100, 100))]) < 4
