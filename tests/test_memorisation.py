"""Nearest training images, and what the distances to them say."""

import pytest
import torch

from gan_repro.contrast import global_contrast_normalize
from gan_repro.data import to_unit
from gan_repro.memorisation import (
    difference_of_medians,
    distances_to_training_set,
    nearest_training_images,
    shares_nearer_to_learned,
)


def test_nearest_training_images_are_those_of_a_search_by_hand(mnist):
    train, samples = mnist.train[:500], to_unit(mnist.test[:20])
    by_hand = [((to_unit(train).double() - sample.double()) ** 2).sum(dim=1).argmin().item() for sample in samples]
    for chunk_size in (7, 100, 500, 1000):
        assert nearest_training_images(samples, train, chunk_size).tolist() == by_hand


def test_a_training_image_is_its_own_nearest_neighbour(mnist):
    rows = torch.tensor([3, 250, 41])
    assert nearest_training_images(to_unit(mnist.train[rows]), mnist.train[:300], 64).tolist() == rows.tolist()


def test_distances_are_those_to_the_nearest_image_in_the_space_that_d_sees():
    draws = torch.Generator().manual_seed(0)
    train = torch.randint(256, (40, 3072), dtype=torch.uint8, generator=draws)
    for see in (to_unit, global_contrast_normalize):
        images = see(torch.randint(256, (5, 3072), dtype=torch.uint8, generator=draws))
        images[3] = see(train[7:8])[0]
        by_hand = [(see(train).double() - image.double()).norm(dim=1).min().item() for image in images]
        assert distances_to_training_set(images, train, see=see).tolist() == pytest.approx(by_hand, abs=2e-4)
        assert by_hand[3] == 0


def test_copies_with_a_little_noise_lie_nearer_than_fresh_digits_and_fresh_digits_as_near_as_others(mnist):
    train, draws = mnist.train[:2000], torch.Generator().manual_seed(0)
    copies = to_unit(train[:200]) + 0.05 * torch.randn(200, 784, generator=draws)
    fresh, others = to_unit(mnist.test[:200]), to_unit(mnist.test[200:400])
    distances = [distances_to_training_set(images, train) for images in (copies, fresh, others)]
    assert difference_of_medians(distances[0], distances[1])[1] < -1
    low, high = difference_of_medians(distances[1], distances[2])
    assert low < 0 < high


def test_the_interval_covers_a_true_difference_about_as_often_as_it_says():
    draws = torch.Generator().manual_seed(0)
    covered = 0
    for _ in range(200):
        a, b = torch.randn(100, generator=draws) + 1, torch.randn(100, generator=draws)
        low, high = difference_of_medians(a, b)
        covered += low <= 1 <= high
    assert 180 <= covered <= 199


def test_copies_are_nearer_to_what_was_learned_and_fresh_images_as_often_to_what_was_not():
    draws = torch.Generator().manual_seed(0)
    real = torch.randint(256, (1000, 20), dtype=torch.uint8, generator=draws)
    train, held_out, fresh = real[:300], real[300:700], to_unit(real[700:])
    noisy_copies = to_unit(train) + 0.1 * torch.randn(train.shape, generator=draws)
    of_learned, between = shares_nearer_to_learned(noisy_copies, train, held_out)
    assert len(of_learned) == len(between) == 50
    assert 0.75 < of_learned.min() and between.max() < 0.65  # of three copies two have their original in a split
    for images in (fresh, 0.2 * fresh + 0.4):  # as they are; and smooth, so that a few real ones are nearest to all
        of_learned, between = shares_nearer_to_learned(images, train, held_out)
        assert between.min() < of_learned.mean() < between.max()
        assert abs(between.mean() - 0.5) < 0.1
    with pytest.raises(ValueError, match="100 learned images for 200 held out in a split: take more"):
        shares_nearer_to_learned(fresh, train[:100], held_out)


def test_smooth_images_share_their_neighbours_so_that_splits_of_what_was_not_learned_differ_more():
    draws = torch.Generator().manual_seed(0)
    real = torch.randint(256, (1000, 20), dtype=torch.uint8, generator=draws)
    fresh = to_unit(real[700:])
    spread = [shares_nearer_to_learned(x, real[:300], real[300:700])[1].std() for x in (fresh, 0.2 * fresh + 0.4)]
    assert spread[1] > 2 * spread[0]
