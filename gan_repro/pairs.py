"""The pairs of G and D of Section 5 by the names that a configuration has for them: their nets, and what these see."""

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from gan_repro.cifar10_conv_models import ConvDiscriminator, ConvGenerator
from gan_repro.cifar10_models import CIFAR10Generator, cifar10_discriminator
from gan_repro.config import TrainingConfig
from gan_repro.contrast import global_contrast_normalize
from gan_repro.data import to_unit
from gan_repro.face_models import FaceGenerator, TwoStageFaceGenerator, face_discriminator
from gan_repro.models import Discriminator, Generator


class Images(Protocol):
    """What a run learns from: MNIST, CIFAR10 and Faces have it. (Test images are no business of a training's.)"""

    train: Tensor  # (n, num_pixels) uint8
    valid: Tensor  # likewise, for choosing the epoch
    md5: dict[str, str]  # of each raw file


def as_seen(images: Tensor, config: TrainingConfig) -> Tensor:
    """Images as the nets of a pair see them, and as their samples are scored: (n, num_pixels) uint8 -> float32.

    Pixels in [0, 1]; those of CIFAR-10 after global contrast normalisation.
    """
    return global_contrast_normalize(images) if config.pair.startswith("cifar10") else to_unit(images)


def make_generator(config: TrainingConfig) -> nn.Module:
    """G of config's pair, its weights not yet set."""
    sizes = {"width": config.width, "num_z": config.num_z}
    match config.pair:
        case "mnist":
            return Generator(num_z=config.num_z, num_hidden=config.num_hidden)
        case "faces_stage_1":
            return FaceGenerator(**sizes)
        case "faces_stage_2":
            return TwoStageFaceGenerator(FaceGenerator(**sizes), **sizes)
        case "cifar10_mlp":
            return CIFAR10Generator(**sizes)
        case "cifar10_conv":
            return ConvGenerator(**sizes)


def make_discriminator(config: TrainingConfig) -> nn.Module:
    """D of config's pair, its weights not yet set."""
    match config.pair:
        case "mnist":
            return Discriminator(num_units=config.num_units, num_pieces=config.num_pieces)
        case "faces_stage_1" | "faces_stage_2":
            return face_discriminator(width=config.width)
        case "cifar10_mlp":
            return cifar10_discriminator(width=config.width)
        case "cifar10_conv":
            return ConvDiscriminator(width=config.width)


def initialize(G: nn.Module, D: nn.Module, x: Tensor, config: TrainingConfig) -> None:
    """Both nets' first weights, drawn from config.seed; x: the training images, whose means some G start from.

    The stage-1 layers under a TwoStageFaceGenerator are NaN: they come from their own training, and whoever forgets it
    cannot overlook that.
    """
    draws = torch.Generator().manual_seed(config.draws_seed)
    if config.pair in ("mnist", "faces_stage_1"):
        G.initialize(draws, pixel_means=to_unit(x).mean(dim=0))
    else:
        G.initialize(draws)
    if config.pair == "faces_stage_2":
        for parameter in G.stage_1.parameters():
            torch.nn.init.constant_(parameter, math.nan)
    D.initialize(draws)
