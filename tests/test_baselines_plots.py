"""What the figures of the other models' notebooks show, and the words beside them."""

import matplotlib.pyplot as plt
import pytest
import torch

from gan_repro.baselines.plots import off_and_covered, plot_fit, plot_mixing, plot_on_curve, steps_to_forget
from gan_repro.curve import on_curve


def mixing(*values):
    lags = [0, 1, 10, 100][: len(values)]
    return {"seed": 0, "mixing": {"lags": lags, "autocorrelation": list(values)}}


@pytest.mark.parametrize(
    "values, words",
    [
        ((1.0, 0.05, 0.0), "after 0 to 1 steps"),
        ((1.0, 0.9, 0.09, 0.0), "after 1 to 10 steps"),
        ((1.0, 0.9, 0.8, 0.7), "not within 100 steps"),
    ],
)
def test_steps_to_forget_are_told_by_the_lags_that_were_looked_at(values, words):
    assert steps_to_forget(mixing(*values)) == words


def test_curves_hold_what_the_records_say():
    score = {"authors": {"log_likelihood": 7.0}}
    record = {"seed": 3, "history": [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "validation": score}]}
    _, axes = plt.subplots(1, 4)
    plot_fit([record], axes, "loss")
    assert axes[0].lines[0].get_ydata().tolist() == [2.0, 1.0]
    assert axes[0].get_ylabel() == "loss (nats an input)"
    assert (axes[1].lines[0].get_xdata().tolist(), axes[1].lines[0].get_ydata().tolist()) == ([2], [7.0])
    plot_mixing([mixing(1.0, 0.5, 0.2)], axes[2])
    assert axes[2].lines[0].get_ydata().tolist() == [0.5, 0.2]
    points = on_curve(torch.linspace(-1, 1, 500))
    plot_on_curve(points, axes[3], "data", "p_data")
    assert len(axes[3].lines[-1].get_xdata()) == 500
    plt.close()


def test_mass_off_the_curve_and_coverage_are_told_together():
    on = on_curve(torch.linspace(-1, 1, 300))
    far = torch.full((100, 2), 2.9)
    told = off_and_covered(torch.cat([on, far]))
    assert off_and_covered(torch.full((4, 2), torch.nan)).startswith("100.0% of the samples")
    assert told == "25.0% of the samples are further than 0.05 off; 100% of the curve has a sample within 0.1"
