import json

import pytest
import torch
from sklearn.neighbors import KernelDensity
from torch.testing import assert_close

from benchmarks import __main__ as command
from benchmarks.other_models import works_of
from benchmarks.others import OtherPrograms
from benchmarks.pairs import flop_of as flop_of_work
from benchmarks.pairs import new_game
from benchmarks.parzen_protocol import authors_formula
from benchmarks.products import bare_products, flop_of
from benchmarks.timing import Bar, Effort, Growth, Section, Spread, interleaved, ratio
from benchmarks.tutorial import TutorialLoop
from gan_repro.config import RELEASED, TrainingConfig
from gan_repro.game import Game
from gan_repro.models import Discriminator, Generator
from gan_repro.parzen import parzen_log_likelihood
from gan_repro.paths import RESULTS
from gan_repro.results import read_results

SMALLEST = Effort(
    step_rounds=2,
    steps_per_round=1,
    parzen_rounds=2,
    num_train=200,
    num_images=100,
    num_samples=100,
    num_slice=10,
    num_neighbours=20,
    num_photographs=200,
    width_of_pairs=0.01,
    pair_rounds=1,
    slow_rounds=1,
    steps_side_by_side=1,
    largest_product=100,
    sizes=(100, 200),
    widths=(1, 2),
    batch_sizes=(50, 100),
    epochs=(1, 2),
)


def test_a_run_times_all_rows_and_writes_what_it_prints(tmp_path, capsys):
    command.run(SMALLEST, tmp_path / "bench.json")
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "bench.json").read_text())
    assert [len(section["rows"]) for section in record["sections"]] == [6, 6, 4, 5, 2, 3, 2, 10, 10, 3, 3]
    for section in record["sections"]:
        assert section["reference"] in section["rows"]
        for row in section["rows"].values():
            lower, upper = row["seconds"]["quartiles"]
            assert 0 < lower <= row["seconds"]["median"] <= upper < 60
    assert all(set(growth["seconds"]) == {"100", "200"} for growth in record["growth"][:2])
    parts = [*record["sections"], *record["growth"], {"bars": record["memory"]}]
    bars = [bar for part in parts for bar in part["bars"]]
    assert len(bars) == 4 + 4 + 1 + 2 + 1 + 2 + 1 + 4 + 16
    for bar in bars:
        assert f"{bar['name']} " in printed
        assert bar["met"] == (bar.get("at_least", -1e9) <= bar["median"] <= bar.get("at_most", 1e9))
    assert record["made_by"]["command"] == "make bench"
    assert record["made_by"]["machine"]["threads"] == torch.get_num_threads()
    assert record["made_by"]["versions"]["torch"] == torch.__version__.split("+")[0]
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "arguments, path",
    [
        ([], RESULTS / "quick/bench.json"),
        (["--quick"], RESULTS / "quick/bench.json"),
        (["--record"], RESULTS / "bench.json"),
    ],
)
def test_only_a_run_of_record_writes_where_the_figures_of_record_are(arguments, path):
    assert command.parse(arguments).json == path


@pytest.mark.parametrize("arguments", [["--record", "--quick"], ["--record", "--json", "elsewhere.json"]])
def test_a_run_of_record_is_a_full_one_in_its_own_place(arguments, capsys):
    with pytest.raises(SystemExit):
        command.parse(arguments)
    assert "--record goes with neither --quick nor --json" in capsys.readouterr().err


@pytest.mark.parametrize(
    "other_cores, why",
    [
        (0.5, "other programs kept 0.50 cores busy meanwhile, more than 0.1"),
        (None, "whether other programs were busy meanwhile is not known on this system"),
        (0.05, None),
    ],
)
def test_a_disturbed_run_is_not_recorded(other_cores, why, tmp_path, monkeypatch):
    section = Section(title="one topic", seconds={"work": [2.0, 2.0], "bare": [1.0, 1.0]}, reference="bare")
    monkeypatch.setattr(command, "TOPICS", (lambda effort: section,))
    monkeypatch.setattr(command.growth, "measure", lambda effort: [])
    monkeypatch.setattr(command.memory, "measure", lambda effort: [])
    monkeypatch.setattr(OtherPrograms, "cores", lambda self: other_cores)
    path = tmp_path / "bench.json"
    if why is None:
        command.run(SMALLEST, path, of_record=True)
        written = json.loads(path.read_text())
        assert not written["disturbed"] and written["made_by"]["command"].endswith("python -m benchmarks --record")
    else:
        with pytest.raises(SystemExit, match=f"^not recorded, .*bench.json is left as it was: {why}$"):
            command.run(SMALLEST, path, of_record=True)
        assert not any(tmp_path.iterdir())
        command.run(SMALLEST, path)  # no run of record, so it may be written, and says what it is
        assert json.loads(path.read_text())["disturbed"]


def test_any_number_of_threads_above_0_is_taken(capsys):
    assert command.parse(["--threads", "3"]).threads == 3
    for wrong in ("0", "-1", "1.5", "all"):
        with pytest.raises(SystemExit):
            command.parse(["--threads", wrong])
        assert f"--threads: must be a whole number above 0, got '{wrong}'" in capsys.readouterr().err


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
    assert Bar("", measured, at_least=1.5).met and not Bar("", measured, at_least=2.5).met
    assert Bar("", measured, at_most=2.5).met and not Bar("", measured, at_most=1.5).met
    assert Bar("", measured, 1.5, 2.5).met and not Bar("", measured, 1.5, 1.9).met and not Bar("", measured, 2.1, 3).met


@pytest.mark.parametrize("power, met", [(1.0, True), (1.3, False), (0.8, False)])
def test_growth_is_linear_only_where_time_is_proportional(power, met):
    seconds = {size: [0.5 * size**power, 2 * size**power] for size in (100, 200, 1000)}  # the second round is slow
    growth = Growth("work", seconds, linear=True)
    assert growth.exponent == pytest.approx((power, power, power))
    assert [bar.met for bar in growth.bars] == [met]
    assert not Growth("work", seconds, linear=False).bars


def test_the_peers_of_parzen_compute_what_ours_does():
    draw = torch.Generator().manual_seed(0)
    x, samples = torch.rand(6, 20, generator=draw), torch.rand(30, 20, generator=draw)
    ours = parzen_log_likelihood(x, samples, 0.2).float()
    assert_close(authors_formula(x, samples, 0.2), ours, rtol=1e-4, atol=1e-3)
    theirs = KernelDensity(bandwidth=0.2).fit(samples.numpy()).score_samples(x.numpy())
    assert_close(torch.from_numpy(theirs).float(), ours, rtol=1e-4, atol=1e-3)


def test_the_list_of_products_is_what_a_step_needs():
    g0, g1, g2 = 100 * 1200, 1200 * 1200, 1200 * 784  # weights of G's layers
    d0, d1, d2 = 784 * 1200, 240 * 1200, 240  # of D's
    of_G = 3 * (g0 + g1 + g2) - g0  # for each z: forward, weight's gradient, input's gradient, but not that of z
    of_D_on_fake = 3 * (d0 + d1 + d2) - d2  # the derivative of a logit by its inputs is the weight itself
    of_D_on_data = 3 * (d0 + d1 + d2) - d2 - d0  # the data want no gradient
    assert flop_of() == 2 * 100 * (of_G + of_D_on_fake + of_D_on_data) == 2_763_072_000
    assert flop_of_work(bare_products()) == flop_of()


def test_our_step_computes_these_products_and_no_other():
    game = Game(TrainingConfig(num_train=100), torch.zeros(100, 784, dtype=torch.uint8))
    assert flop_of_work(game.update) == flop_of()


@pytest.mark.parametrize("pair", [pair for pair in RELEASED if pair not in ("mnist", "cifar10_conv")])
def test_a_step_of_the_fully_connected_pairs_needs_the_products_of_one_pass(pair):
    game = new_game(pair, SMALLEST)
    weights = {name: [p.numel() for p in getattr(game, name).parameters() if p.dim() == 2] for name in ("G", "D")}
    of_G = 3 * sum(weights["G"]) - weights["G"][0]  # z wants no gradient
    # Data rows want no gradient of their pixels, but get one: autograd passes both halves of D's rows back together.
    of_D = 2 * 3 * sum(weights["D"])
    assert flop_of_work(game.update) == 2 * 100 * (of_G + of_D)


def test_the_step_of_an_rbm_is_counted_by_its_products():
    of_record = read_results(RESULTS / "rbm" / "seed0.json", "baseline")["config"]["model_config"]
    (num_hidden,), thin = of_record["layers"], of_record["thin"]
    product = 2 * 100 * 784 * num_hidden
    step, samples = works_of("rbm").values()
    # A step of the chains and the reconstruction, there and back; hidden units twice, and both sums of outer products.
    assert flop_of_work(step) == 8 * product
    assert flop_of_work(samples) == (2 * thin + 2) * product  # the steps between two samples, and the sample


def test_the_tutorial_loop_trains_the_same_pair():
    loop = TutorialLoop(torch.rand(200, 784))
    for ours, theirs in ((Generator(), loop.G), (Discriminator(), loop.D)):
        assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in ours.parameters())
    before = [p.detach().clone() for net in (loop.G, loop.D) for p in net.parameters()]
    loop.step()
    after = [p for net in (loop.G, loop.D) for p in net.parameters()]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
