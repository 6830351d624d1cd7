"""A training step and a hundred samples of every pair of Section 5, each at the released sizes."""

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.mnist_step import repeat
from benchmarks.timing import Effort, Section, interleaved
from gan_repro.config import RELEASED, TrainingConfig, released
from gan_repro.game import Game
from gan_repro.pairs import make_discriminator
from gan_repro.products import ONEDNN

NUM_SAMPLES = 100


def measure(effort: Effort) -> Section:
    """One pair after the other, since all at once would take many gigabytes."""
    seconds, gflop = {}, {}
    for pair in RELEASED:
        timed, counted = of_pair(pair, effort)
        seconds |= timed
        gflop |= counted
    return Section(
        title=f"Pairs of Section 5, {torch.get_num_threads()} thread(s); {effort.pair_rounds} rounds",
        seconds=seconds,
        reference="mnist: step",
        gflop=gflop,
        bare=(),
    )


def of_pair(pair: str, effort: Effort) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of a step and of some samples, and their GFLOP."""
    game = new_game(pair, effort)
    z = game.noise("z", 0)[:NUM_SAMPLES]
    n = effort.steps_per_round if pair == "mnist" else 1  # those of the others take seconds
    works = {f"{pair}: step": game.update, f"{pair}: {NUM_SAMPLES} samples": lambda: samples(game, z)}
    gflop = {name: flop_of(work) / 1e9 for name, work in works.items()}
    timed = interleaved({name: repeat(work, n) for name, work in works.items()}, effort.pair_rounds)
    return {name: [value / n for value in values] for name, values in timed.items()}, gflop


def new_game(pair: str, effort: Effort) -> Game:
    """At the start of its training, on made images: the cost of a step hardly depends on what they show."""
    size = {} if pair == "mnist" else {"width": effort.width_of_pairs}
    batch_size = released(pair).batch_size
    config = released(pair, num_train=batch_size, **size)
    game = Game(config, made_images(config))
    if config.stage_1_epochs:
        below = released("faces_stage_1", num_train=batch_size, **size)
        game.begin_stage_2(Game(below, made_images(below)).G.state_dict())
    return game


def made_images(config: TrainingConfig) -> Tensor:
    """(num_train, num_pixels) uint8, every value as likely."""
    draws = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        num_pixels = make_discriminator(config).input_widths[0]
    return torch.randint(256, (config.num_train, num_pixels), dtype=torch.uint8, generator=draws)


@torch.no_grad()
def samples(game: Game, z: Tensor) -> Tensor:
    return game.G(z)


def flop_of(work) -> int:
    """By torch's counter, which must be told the formulas of addmm_, by which the MNIST step adds to its velocities,
    and of oneDNN's operator."""
    formulas = {torch.ops.aten.addmm_: lambda result, left, right, **_: 2 * left[0] * left[1] * right[1]}
    if ONEDNN is not None:
        formulas[ONEDNN] = lambda x, weight, *_, **__: 2 * x[0] * x[1] * weight[0]
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        work()
    return counter.get_total_flops()
