import json
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gan_repro.models import Discriminator, Generator
from gan_repro.paths import ROOT
from gan_repro.steps import one_pass_gradients

sys.path.insert(0, str(ROOT))  # benchmarks/ is run from the repository and not installed

from benchmarks.__main__ import run
from benchmarks.products import bare_products, flop_of
from benchmarks.timing import Bar, Effort, Spread, interleaved, ratio
from benchmarks.tutorial import TutorialLoop

SMALLEST = Effort(
    step_rounds=2,
    steps_per_round=1,
    parzen_rounds=2,
    num_train=200,
    num_images=100,
    num_samples=100,
    largest_product=100,
)


def test_a_run_times_all_rows_and_writes_what_it_prints(tmp_path, capsys):
    run(SMALLEST, tmp_path / "bench.json")
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "bench.json").read_text())
    step, parzen = record["sections"]
    assert len(step["rows"]) == 6
    assert len(parzen["rows"]) == 2
    for row in [*step["rows"].values(), *parzen["rows"].values()]:
        lower, upper = row["seconds"]["quartiles"]
        assert 0 < lower <= row["seconds"]["median"] <= upper < 10
        assert row["rounds"] == 2
    for bar in step["bars"] + parzen["bars"]:
        assert f"{bar['name']} " in printed
        assert bar["met"] == (
            bar["median"] >= bar["at_least"] if "at_least" in bar else bar["median"] <= bar["at_most"]
        )
    assert record["machine"]["threads"] == torch.get_num_threads()
    assert record["versions"]["torch"] == torch.__version__.split("+")[0]
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_rows_take_turns_and_the_first_turn_of_each_is_not_timed():
    calls = []
    seconds = interleaved({"A": lambda: calls.append("A"), "B": lambda: calls.append("B")}, rounds=2)
    assert "".join(calls) == "ABABAB"
    assert {name: len(values) for name, values in seconds.items()} == {"A": 2, "B": 2}


def test_ratios_are_taken_round_by_round():
    # One slow round slows both rows: the ratio stays.
    assert ratio([2.0, 4.0, 20.0], [1.0, 2.0, 10.0]) == Spread(2, 2, 2)
    assert ratio([1.0, 2.0, 3.0, 4.0, 5.0], [1.0] * 5) == Spread(3, 2, 4)


def test_a_bar_is_met_on_its_own_side_only():
    measured = Spread(2, 1, 3)
    assert Bar("", measured, 1.5, at_least=True).met
    assert not Bar("", measured, 2.5, at_least=True).met
    assert Bar("", measured, 2.5, at_least=False).met
    assert not Bar("", measured, 1.5, at_least=False).met


def test_the_list_of_products_is_what_a_step_needs():
    assert flop_of() / 1e9 == pytest.approx(2.76, abs=0.005)  # counted by hand
    with FlopCounterMode(display=False) as counter:
        bare_products()()
    assert counter.get_total_flops() == flop_of()


def test_our_step_computes_these_products_and_one_that_is_not_needed():
    G, D = Generator(), Discriminator()
    with FlopCounterMode(display=False) as counter:
        one_pass_gradients(
            G, D, torch.rand(100, 784), torch.rand(100, 100), None, generator_loss="nonsaturating", d_loss_scale=0.5
        )
    pixels_of_the_data = 2 * 100 * 784 * 1200  # the gradient of the real rows at D's input
    assert counter.get_total_flops() == flop_of() + pixels_of_the_data


def test_the_tutorial_loop_trains_the_same_pair():
    loop = TutorialLoop(torch.rand(200, 784))
    for ours, theirs in ((Generator(), loop.G), (Discriminator(), loop.D)):
        assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in ours.parameters())
    before = [p.detach().clone() for net in (loop.G, loop.D) for p in net.parameters()]
    loop.step()
    after = [p for net in (loop.G, loop.D) for p in net.parameters()]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
