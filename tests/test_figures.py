"""Figures show what they say they show."""

import functools

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from gan_repro.cifar10 import as_shown
from gan_repro.contrast import global_contrast_normalize
from gan_repro.data import to_unit
from gan_repro.figures import COLOURS, LINES, figure_2, image_grid, plot_distances, plot_training


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_figure_2_has_the_neighbour_of_the_fifth_sample_in_the_last_column(mnist, ax):
    train = mnist.train[:300]
    samples = to_unit(mnist.test[:20])
    samples[4] = to_unit(train[17])  # so that the first row must end in this image twice
    (sheet,) = figure_2(samples, train, ax).images
    sheet = np.asarray(sheet.get_array())[..., 0]
    assert sheet.shape == (4 * 30 + 2, 6 * 30 + 2)
    np.testing.assert_allclose(sheet[2:30, 5 * 30 + 2 : 6 * 30], to_unit(train[17]).view(28, 28), atol=1e-6)
    np.testing.assert_allclose(sheet[2:30, 2:30], samples[0].view(28, 28), atol=1e-6)


def test_figure_2_of_photographs_shows_them_in_colour_with_the_neighbour_in_normalised_space(ax):
    draws = torch.Generator().manual_seed(0)
    train = torch.randint(256, (50, 3072), dtype=torch.uint8, generator=draws)
    samples = 5 * torch.randn(5, 3072, generator=draws)
    samples[4] = global_contrast_normalize(train[17:18] // 3)[0]  # less contrast: the same image for D
    shown = functools.partial(as_shown, largest=samples.abs().max().item())
    (sheet,) = figure_2(samples, train, ax, see=global_contrast_normalize, as_pictures=shown).images
    sheet = np.asarray(sheet.get_array())
    assert sheet.shape == (34 + 2, 6 * 34 + 2, 3)
    expected = shown(global_contrast_normalize(train[17:18]))[0].permute(1, 2, 0)
    np.testing.assert_allclose(sheet[2:34, 5 * 34 + 2 : 6 * 34], expected, atol=1e-6)
    assert ax.lines[0].get_xdata()[0] == 1 + 5 * 34 - 0.5


def test_an_image_grid_keeps_the_order_and_the_grey_levels(ax):
    images = torch.linspace(0, 1, 6)[:, None].expand(6, 784)
    (sheet,) = image_grid(images, ax, columns=3).images
    middle = np.asarray(sheet.get_array())[15::30, 15::30, 0][:2, :3]
    np.testing.assert_allclose(middle.ravel(), np.linspace(0, 1, 6), atol=1e-6)


def test_a_numbered_grid_has_each_number_in_the_corner_of_its_image(ax):
    image_grid(torch.zeros(5, 1, 48, 48), ax, columns=3, numbered=True)
    assert [text.get_text() for text in ax.texts] == ["1", "2", "3", "4", "5"]
    corners = [tuple(int(position) // 50 for position in text.get_position()) for text in ax.texts]
    assert corners == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)]
    image_grid(torch.zeros(5, 1, 48, 48), plt.figure().add_subplot(), columns=3)
    assert not plt.gca().texts
    plt.close()


def test_training_curves_are_those_of_the_history():
    score = {"authors": {"log_likelihood": 5.0}}
    history = [{"epoch": 1, "D_x": 0.6, "D_G_z": 0.4}, {"epoch": 2, "D_x": 0.7, "D_G_z": 0.3, "G": score, "ema": score}]
    fig, axes = plt.subplots(1, 2)
    plot_training({"history": history}, axes)
    curves = {line.get_label(): list(line.get_ydata()) for line in axes[0].lines}
    assert curves["D(x), data"] == [0.6, 0.7]
    assert curves["D(G(z)), samples"] == [0.4, 0.3]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in axes[1].lines] == [([2], [5.0])] * 2
    plt.close(fig)


def test_colours_of_the_players_differ_in_grey():
    grey = {name: plt.matplotlib.colors.to_rgb(c) @ np.array([0.299, 0.587, 0.114]) for name, c in COLOURS.items()}
    assert abs(grey["p_data"] - grey["p_g"]) > 0.1
    assert abs(grey["p_g"] - grey["average"]) > 0.03  # and their lines differ besides


def test_distances_are_shown_as_shares_of_each_set_in_the_colour_of_its_role(ax):
    distances = {"test images": torch.tensor([1.0, 2.0, 3.0, 4.0]), "samples": torch.tensor([2.5, 2.5])}
    plot_distances(ax, distances, ["p_data", "p_g"], nearest="training face")
    test_images, samples = ax.get_lines()
    assert (test_images.get_label(), test_images.get_color()) == ("test images", COLOURS["p_data"])
    assert (samples.get_color(), samples.get_linestyle()) == (COLOURS["p_g"], LINES["p_g"])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(distances)
    assert dict(zip(*test_images.get_data(), strict=True))[2.0] == 0.5  # two of four lie within 2
    assert ax.get_ylabel() == "share within it"
    assert ax.get_xlabel() == "L2 distance to the nearest training face"
    assert ax.get_xlim()[0] == 0
    with pytest.raises(ValueError, match="shorter"):
        plot_distances(ax, distances, ["p_data"], nearest="training face")
