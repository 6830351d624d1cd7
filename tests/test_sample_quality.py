"""The four numbers against closed forms and plain loops; and which set is which."""

import pytest
import torch

from gan_repro.sample_quality import sample_quality


def normal(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(features):
    return features / features.square().mean().sqrt()


def test_numbers_have_no_unit():
    samples, real = normal(100, 3, 5) + 1, normal(100, 3, 6)
    assert sample_quality(7 * samples, 7 * real) == pytest.approx(sample_quality(samples, real), rel=1e-9)


def test_fid_is_the_distance_of_two_gaussians():
    shift = torch.tensor([1.0, -2.0, 0.5])
    real = unit(normal(400, 3, 0))
    assert sample_quality(real, real)["FID"] == pytest.approx(0, abs=1e-6)
    assert sample_quality(real + shift, real)["FID"] == pytest.approx(shift.square().sum().item(), rel=1e-6)
    # Twice as wide: trace(4 S + S - 2 (4 S^2)^(1/2)) = trace(S), the mean being at 0
    centred = unit(real - real.mean(dim=0))
    assert sample_quality(2 * centred, centred)["FID"] == pytest.approx(torch.cov(centred.T).trace().item(), rel=1e-6)


def test_kid_is_the_unbiased_discrepancy_with_a_cubic_kernel():
    samples, real = normal(12, 3, 1) + 0.5, unit(normal(12, 3, 2))  # a subset is the whole

    def kernel(a, b):
        return (a @ b / 3 + 1).item() ** 3

    def mean_of_pairs(a, b, skip_equal):
        values = [kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(b) if not (skip_equal and i == j)]
        return sum(values) / len(values)

    expected = mean_of_pairs(samples, samples, True) + mean_of_pairs(real, real, True)
    expected -= 2 * mean_of_pairs(samples, real, False)
    assert sample_quality(samples, real)["KID"] == pytest.approx(expected, rel=1e-9)


def test_samples_of_half_of_the_data_have_precision_and_samples_beyond_it_recall():
    one, other = normal(200, 2, 3), normal(200, 2, 4) + 100
    both = torch.cat([one, other])
    half = sample_quality(one + 0.01, both)
    assert half["precision"] > 0.9
    assert half["recall"] == pytest.approx(0.5, abs=0.05)
    beyond = sample_quality(both + 0.01, one)
    assert beyond["precision"] == pytest.approx(0.5, abs=0.05)
    assert beyond["recall"] > 0.9


def test_a_neighbourhood_reaches_to_the_third_neighbour():
    samples, real = normal(40, 2, 7) * 1.5, normal(30, 2, 8)

    def share_within(points, others):
        third = [sorted((one - other).norm().item() for other in others)[3] for one in others]  # the first is itself
        within = [any((p - o).norm() <= reach for o, reach in zip(others, third, strict=True)) for p in points]
        return sum(within) / len(within)

    found = sample_quality(samples, real)
    assert found["precision"] == pytest.approx(share_within(samples, real))
    assert found["recall"] == pytest.approx(share_within(real, samples))
    assert 0.1 < found["precision"] < 0.95


def test_sets_of_a_few_are_refused():
    with pytest.raises(ValueError, match="9 samples and 20 real images: each set needs at least 10"):
        sample_quality(normal(9, 2, 0), normal(20, 2, 0))
