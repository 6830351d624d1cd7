"""Nearest training images, and what the distances to them say."""

import pytest
import torch

from gan_repro.contrast import global_contrast_normalize
from gan_repro.data import to_unit
from gan_repro.memorisation import (
    difference_of_medians,
    distances_table,
    distances_to_training_set,
    learned_neighbours,
    measured_at_once,
    nearest_training_images,
    neighbours_table,
)


def test_nearest_training_images_are_those_of_a_search_by_hand(mnist):
    train, samples = mnist.train[:500], to_unit(mnist.test[:20])
    by_hand = [((to_unit(train).double() - sample.double()) ** 2).sum(dim=1).argmin().item() for sample in samples]
    for chunk_size in (7, 100, 500, 1000):
        assert nearest_training_images(samples, train, chunk_size).tolist() == by_hand


def test_a_training_image_is_its_own_nearest_neighbour(mnist):
    rows = torch.tensor([3, 250, 41])
    assert nearest_training_images(to_unit(mnist.train[rows]), mnist.train[:300], 64).tolist() == rows.tolist()


def test_a_sample_that_is_not_finite_has_no_nearest_image(mnist):
    samples = to_unit(mnist.test[:3])
    samples[1, 5] = float("nan")
    with pytest.raises(ValueError, match="a sample is not finite: nothing is nearest to it"):
        nearest_training_images(samples, mnist.train[:100])


def test_distances_are_those_to_the_nearest_image_in_the_space_that_d_sees():
    draws = torch.Generator().manual_seed(0)
    train = torch.randint(256, (40, 3072), dtype=torch.uint8, generator=draws)
    for see in (to_unit, global_contrast_normalize):
        images = see(torch.randint(256, (5, 3072), dtype=torch.uint8, generator=draws))
        images[3] = see(train[7:8])[0]
        by_hand = [(see(train).double() - image.double()).norm(dim=1).min().item() for image in images]
        assert distances_to_training_set(images, train, see=see).tolist() == pytest.approx(by_hand, abs=2e-4)
        assert by_hand[3] == 0


def test_sets_measured_in_one_call_have_the_numbers_of_each_alone(mnist):
    train, calls = mnist.train[:500], []
    sets = {"one": to_unit(mnist.test[:7]), "other": to_unit(mnist.test[7:30])}

    def measure(images):
        calls.append(len(images))
        return nearest_training_images(images, train)

    found = measured_at_once(measure, sets)
    assert calls == [30] and list(found) == ["one", "other"]
    for name, images in sets.items():
        assert found[name].tolist() == nearest_training_images(images, train).tolist()


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


def asked(images, learned, held_out, *, see=to_unit, **how):
    """What learned_neighbours says of images whose nearest are searched among the learned ones and those held out."""
    rows = nearest_training_images(images, torch.cat([learned, held_out]), see=see)
    return learned_neighbours(rows, len(learned), len(held_out), **how)


@pytest.fixture
def real():
    """As in CIFAR-10, four of five were learned: (800, 200, 250 fresh ones), (n, 20) uint8."""
    draws = torch.Generator().manual_seed(0)
    return torch.randint(256, (1250, 20), dtype=torch.uint8, generator=draws).split([800, 200, 250])


def smoothed(images):
    """Nearer to the middle of all, so that a few real ones are nearest to many."""
    return 0.2 * images + 0.4


def test_of_copies_the_nearest_is_a_learned_image_also_under_grain_and_without_contrast(real):
    learned, held_out, _ = real
    copies = to_unit(learned[:250])
    grain = 0.05 * torch.randn(copies.shape, generator=torch.Generator().manual_seed(1))
    for images in (copies, copies + grain, 0.7 * copies + 0.15):
        share, low, high = asked(images, learned, held_out)
        assert share > 0.97 and 0.7 < low < 0.8 < high < 0.9


def test_two_copies_in_five_are_seen(real):
    learned, held_out, fresh = real
    images = torch.cat([to_unit(learned[:100]), to_unit(fresh[:150])])
    found = asked(images, learned, held_out)
    assert found.share > found.high
    assert 0.1 < found.least_copies(0.8) < 0.4


def test_fresh_images_lie_within_chance_as_often_as_it_says():
    draws, within = torch.Generator().manual_seed(0), 0
    for trial in range(100):
        real = torch.randint(256, (300, 20), dtype=torch.uint8, generator=draws)
        images = to_unit(real[200:]) if trial % 2 else smoothed(to_unit(real[200:]))
        found = asked(images, real[:160], real[160:200], num_draws=200)
        within += found.low <= found.share <= found.high
    assert 88 <= within <= 99


def test_smooth_images_share_their_neighbours_so_that_chance_makes_more_of_them(real):
    learned, held_out, fresh = real
    sharp, smooth = (asked(x, learned, held_out) for x in (to_unit(fresh), smoothed(to_unit(fresh))))
    assert smooth.high - smooth.low > 1.5 * (sharp.high - sharp.low)


def test_images_are_compared_in_the_space_that_d_sees():
    draws = torch.Generator().manual_seed(0)
    learned, held_out = torch.randint(256, (60, 3072), dtype=torch.uint8, generator=draws).split([40, 20])
    found = asked(global_contrast_normalize(learned), learned, held_out, see=global_contrast_normalize)
    assert found.share == 1


def test_the_table_of_distances_says_which_sets_lie_nearer_than_fresh_images():
    draws = torch.Generator().manual_seed(0)
    fresh, alike = 5 + torch.rand(300, generator=draws), 5 + torch.rand(300, generator=draws)
    distances = {"near": fresh - 2, "fresh": fresh, "far": fresh[:200] + 2, "alike": alike}
    table = distances_table(distances, "fresh").set_index("images")
    told = table["against fresh"]
    assert [told[name].split(" (")[0] for name in distances] == ["nearer", "–", "further", "no difference seen"]
    low, high = difference_of_medians(distances["near"], fresh)
    assert told["near"] == f"nearer ({low:+.2f} to {high:+.2f})"
    assert list(table["how many"]) == [300, 300, 200, 300]
    assert table.loc["far", "least"] == f"{distances['far'].min():.2f}"
    assert table.loc["far", "median distance"] == f"{distances['far'].median():.2f}"
    with pytest.raises(KeyError):
        distances_table(distances, "test images")


def test_the_table_of_neighbours_gives_each_set_s_share_and_what_chance_makes_of_it(real):
    learned, held_out, fresh = real
    sets = {"copies": to_unit(learned[:250]), "fresh": to_unit(fresh)}
    alike = {"all alike": to_unit(learned[:1]).expand(250, -1)}  # whose one neighbour is learned, or is not
    searched = torch.cat([learned, held_out])
    rows_of = measured_at_once(lambda images: nearest_training_images(images, searched), sets | alike)
    table = neighbours_table(rows_of, len(learned), len(held_out)).set_index("images")
    assert tuple(table.loc["all alike"])[1:] == ("100 %", "0 to 100 %", "never")
    for name, images in sets.items():
        found = asked(images, learned, held_out)
        assert table.loc[name, "nearest to a learned one"] == f"{100 * found.share:.0f} %"
        assert table.loc[name, "by chance"] == f"{100 * found.low:.0f} to {100 * found.high:.0f} %"
        assert table.loc[name, "copies noticed from"] == f"{100 * (found.high - 0.8) / 0.2:.0f} %"
    assert table.loc["copies", "nearest to a learned one"] == "100 %"
