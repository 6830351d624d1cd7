"""The training step of the MNIST pair at the released sizes, batch 100, with its data loading and random draws."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.products import bare_products, flop_of, square_product
from benchmarks.timing import Bar, Effort, Section, interleaved, ratio
from benchmarks.tutorial import TutorialLoop
from gan_repro.config import TrainingConfig
from gan_repro.data import to_unit
from gan_repro.game import Game

ONE_PASS, TWO_PASS, ALTERNATING = "one-pass simultaneous", "two-pass simultaneous", "alternating, k = 1"
TUTORIAL = "tutorial loop"
PRODUCTS = "the step's matrix products, bare"
BEST_RATE = "as many FLOP in one large product"


def measure(effort: Effort) -> Section:
    images = made_images(effort.num_train)
    games = {
        name: Game(TrainingConfig(step=step, num_train=effort.num_train), images)
        for name, step in ((ONE_PASS, "simultaneous"), (TWO_PASS, "two_pass"), (ALTERNATING, "alternating"))
    }
    n = effort.steps_per_round
    rows = {name: repeat(game.update, n) for name, game in games.items()}
    rows[TUTORIAL] = repeat(TutorialLoop(to_unit(images)).step, n)
    rows[PRODUCTS] = repeat(bare_products(), n)
    rows[BEST_RATE] = square_product(effort.largest_product)
    steps_of = dict.fromkeys(rows, n) | {BEST_RATE: 2 * effort.largest_product**3 / flop_of()}  # that one call is worth
    timed = interleaved(rows, effort.step_rounds)
    for name, game in games.items():
        if not game.statistics().isfinite().all():
            raise RuntimeError(f"{name}: a loss is not finite, and sums with infinities have another cost")
    seconds = {name: [value / steps_of[name] for value in values] for name, values in timed.items()}
    return Section(
        title=f"MNIST step, batch 100, {torch.get_num_threads()} thread(s); {effort.step_rounds} rounds of {n} steps",
        seconds=seconds,
        reference=PRODUCTS,
        gflop=dict.fromkeys((PRODUCTS, BEST_RATE), flop_of() / 1e9),
        bars=[
            Bar("one-pass / its bare products", ratio(seconds[ONE_PASS], seconds[PRODUCTS]), at_most=1.35),
            Bar("tutorial loop / one-pass", ratio(seconds[TUTORIAL], seconds[ONE_PASS]), at_least=1.8),
            Bar("tutorial loop / the bare products", ratio(seconds[TUTORIAL], seconds[PRODUCTS])),  # no step is faster
            Bar("alternating / one-pass", ratio(seconds[ALTERNATING], seconds[ONE_PASS]), at_least=1.3),
        ],
    )


def measure_one_thread(effort: Effort) -> Section:
    """As the runs of record are trained: one thread each, two side by side."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return measure(effort)
    finally:
        torch.set_num_threads(threads)


def repeat(work: Callable[[], object], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            work()

    return run


def made_images(num_train: int) -> Tensor:
    """Images of MNIST's width from a fixed random layer, in place of digits: the cost of a step hardly depends on what
    they show. (num_train, 784) uint8."""
    draw = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(num_train, 20, generator=draw), torch.randn(20, 784, generator=draw)
    return (hidden @ weight).sigmoid_().mul_(255).to(torch.uint8)
