"""The training step of the MNIST pair at the released sizes, batch 100, with its data loading and random draws."""

from collections.abc import Callable

import torch

from benchmarks.products import bare_products, flop_of, square_product
from benchmarks.timing import Bar, Effort, Section, interleaved, ratio
from benchmarks.tutorial import TutorialLoop
from gan_repro.config import TrainingConfig
from gan_repro.data import MNIST, to_unit
from gan_repro.paths import RUNS
from gan_repro.training import Trainer

ONE_PASS, TWO_PASS, ALTERNATING = "one-pass simultaneous", "two-pass simultaneous", "alternating, k = 1"
TUTORIAL = "tutorial loop"
PRODUCTS = "the step's matrix products, bare"
BEST_RATE = "as many FLOP in one large product"


def measure(effort: Effort) -> Section:
    mnist = made_images(effort.num_train)
    trainers = {
        name: Trainer(
            TrainingConfig(step=step, num_train=effort.num_train, num_valid=1),
            mnist,
            RUNS / "benchmark",  # for checkpoints: none is written, so the folder is not made
            torch.device("cpu"),
        )
        for name, step in ((ONE_PASS, "simultaneous"), (TWO_PASS, "two_pass"), (ALTERNATING, "alternating"))
    }
    n = effort.steps_per_round
    rows = {name: repeat(trainer.update, n) for name, trainer in trainers.items()}
    rows[TUTORIAL] = repeat(TutorialLoop(to_unit(mnist.train)).step, n)
    rows[PRODUCTS] = repeat(bare_products(), n)
    rows[BEST_RATE] = square_product(effort.largest_product)
    steps_of = dict.fromkeys(rows, n) | {BEST_RATE: 2 * effort.largest_product**3 / flop_of()}  # that one call is worth
    timed = interleaved(rows, effort.step_rounds)
    for trainer in trainers.values():
        trainer.check_finite()  # sums with infinities would have another cost
    seconds = {name: [value / steps_of[name] for value in values] for name, values in timed.items()}
    return Section(
        title=f"MNIST step, batch 100; {effort.step_rounds} rounds of {n} steps",
        seconds=seconds,
        reference=PRODUCTS,
        gflop=dict.fromkeys((PRODUCTS, BEST_RATE), flop_of() / 1e9),
        bars=[
            Bar("alternating / one-pass", ratio(seconds[ALTERNATING], seconds[ONE_PASS]), 1.3, at_least=True),
            Bar("tutorial loop / one-pass", ratio(seconds[TUTORIAL], seconds[ONE_PASS]), 1.3, at_least=True),
        ],
    )


def repeat(work: Callable[[], object], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            work()

    return run


def made_images(num_train: int) -> MNIST:
    """Training images of MNIST's width from a fixed random layer, in place of digits: the cost of a step does not
    depend on what they show."""
    draw = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(num_train, 20, generator=draw), torch.randn(20, 784, generator=draw)
    images = (hidden @ weight).sigmoid_().mul_(255).to(torch.uint8)
    labels = torch.zeros(num_train, dtype=torch.int64)
    one, one_label = images[:1], labels[:1]  # nothing here is validated or tested
    return MNIST(images, one, one, labels, one_label, one_label, md5={})
