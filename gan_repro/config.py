"""Everything that decides the outcome of a training run, but for the data."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One run of a pair of Section 5; the defaults are the MNIST pair as released (mnist.yaml: goodfeli/adversarial).

    `released` gives those of the other pairs. Two runs with equal fields, data and recipe version are the same run, bit
    for bit on one machine. A field added later has the default that leaves older runs as they were, so that their
    records stay readable.
    Raises ValueError, naming the field, where a value cannot be used.
    """

    pair: str = "mnist"  # which nets, and which data they learn: `pairs`
    seed: int = 0  # for weights, order of the data, z and dropout masks; authors': defaults of other generators
    step: str = "simultaneous"  # as released; "alternating" is Algorithm 1; "two_pass" the slow form of simultaneous
    k: int = 1  # discriminator steps per generator step (Algorithm 1); simultaneous steps have 1
    generator_loss: str = "nonsaturating"  # Section 3, mnist.yaml; or "minimax"
    d_loss_scale: float = 0.5  # the released cost halves D's loss (AdversaryCost2)
    noise: str = "uniform"  # mnist.yaml: U(-sqrt 3, sqrt 3); or "gaussian", "sphere"
    num_z: int = 100  # mnist.yaml
    num_hidden: int = 1200  # of each hidden layer of G, mnist.yaml
    num_units: int = 240  # of each maxout layer of D, mnist.yaml
    num_pieces: int = 5  # mnist.yaml
    width: float = 1.0  # of the hidden layers of the other pairs: a fraction of the released numbers of units
    max_column_norm: float = 0.0  # limit of the norm of each unit's weights, as `layers` applies it; 0 is none
    stage_1_epochs: int = 0  # faces_stage_2 goes on from the G of a stage 1 of so many epochs; others have none
    keep_input: float = 0.8  # probability that dropout keeps an input of D, mnist.yaml
    keep_hidden: float = 0.5  # and a unit of its hidden layers, mnist.yaml
    batch_size: int = 100  # m of Algorithm 1, mnist.yaml
    lr: float = 0.1  # mnist.yaml
    lr_decay: float = 1.000004  # lr is divided by it after every minibatch, mnist.yaml
    min_lr: float = 1e-6  # mnist.yaml
    momentum: float = 0.5  # in the first epoch, mnist.yaml
    final_momentum: float = 0.7  # from epoch momentum_saturates on, linear between, mnist.yaml
    momentum_saturates: int = 250  # mnist.yaml
    ema_decay: float = 0.9995  # a step, of the average of G's weights kept beside G; ours, the paper has none
    num_train: int = 50_000  # the first of the training images; fewer only in quick runs
    num_valid: int = 10_000  # validation images that choose the epoch; the paper gives no rule
    num_samples: int = 10_000  # of G, in a Parzen score (Section 5)
    score_every: int = 5  # epochs; ours
    patience: int = 100  # epochs without a better validation score before the run stops; ours
    max_epochs: int = 2000  # an epoch is num_train / batch_size generator updates; ours

    def __post_init__(self):
        for name, value in asdict(self).items():
            kind = type(getattr(type(self), name))
            if type(value) is int and kind is float:
                object.__setattr__(self, name, float(value))
            elif type(value) is not kind:
                raise ValueError(f"{name} is {value!r}: it must be of type {kind.__name__}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f'{name} is "{getattr(self, name)}": it must be one of {", ".join(known)}')
        for name, value in asdict(self).items():
            least = 0 if name in ("seed", "stage_1_epochs") else 1
            if type(value) is int and value < least:
                raise ValueError(f"{name} is {value}: it must be at least {least}")
        if self.seed >= 2**32:
            raise ValueError(f"seed is {self.seed}: it must lie below 2**32")
        for name in ("keep_input", "keep_hidden"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: a probability of keeping a unit lies in (0, 1]")
        for name in ("momentum", "final_momentum", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it must lie in [0, 1)")
        for name in ("lr", "lr_decay", "min_lr", "d_loss_scale"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}: it must be a finite number above 0")
        if not 0 <= self.max_column_norm < float("inf"):
            raise ValueError(f"max_column_norm is {self.max_column_norm}: it must be above 0, or 0 for no limit")
        if not 0 < self.width <= 1:
            raise ValueError(f"width is {self.width}: it must lie in (0, 1], where 1 is the pair as released")
        for name in ("width",) if self.pair == "mnist" else ("num_hidden", "num_units", "num_pieces"):
            if getattr(self, name) != getattr(type(self), name):
                other = "num_hidden and num_units" if self.pair == "mnist" else "width"
                raise ValueError(f'{name} is {getattr(self, name)}: the pair "{self.pair}" is sized by {other} instead')
        if (self.stage_1_epochs > 0) != (self.pair == "faces_stage_2"):
            raise ValueError(
                f"stage_1_epochs is {self.stage_1_epochs}: it must be above 0 for faces_stage_2 and 0 for other pairs"
            )
        if self.step != "alternating" and self.k != 1:
            raise ValueError(f'k is {self.k}: only step="alternating" takes more than one discriminator step')
        if self.batch_size > self.num_train:
            raise ValueError(f"batch_size is {self.batch_size}, above num_train, which is {self.num_train}")

    @property
    def steps_per_epoch(self) -> int:
        """Generator updates in an epoch. Examples that do not fill a minibatch wait for the next epoch's order, where
        pylearn2 trains on a smaller one: one update in 313 of the convolutional pair, one in 259 of the faces'."""
        return self.num_train // self.batch_size

    @property
    def draws_seed(self) -> int:
        """The seed of all draws of a training. A stage 2 does not repeat its stage 1's; in the release it does."""
        return (self.seed + (2**31 if self.stage_1_epochs else 0)) % 2**32  # torch's generators take no more bits

    def stage_1(self) -> "TrainingConfig":
        """The run whose last G a stage 2 goes on from: as this one, but of that pair and length."""
        epochs = self.stage_1_epochs
        patience = max(self.patience, epochs)  # it always has its full length
        return replace(self, pair="faces_stage_1", stage_1_epochs=0, max_epochs=epochs, patience=patience)

    def keep(self, num_layers: int) -> tuple[float, ...]:
        """Dropout's probability of keeping a unit at the input of each of D's layers."""
        return (self.keep_input, *[self.keep_hidden] * (num_layers - 1))


_FACES = {"noise": "gaussian", "lr": 0.05, "max_column_norm": 1.9365, "num_train": 25_898, "num_valid": 1000}
_CIFAR10 = {"noise": "gaussian", "num_train": 40_000}
# Where the released files of a pair differ from mnist.yaml; and how many images there are (of FER-2013, for the faces).
RELEASED: dict[str, dict[str, Any]] = {
    "mnist": {},
    "faces_stage_1": _FACES | {"max_epochs": 50},  # tfd_pretrain/pretrain.yaml
    "faces_stage_2": _FACES | {"max_epochs": 22, "stage_1_epochs": 50},  # tfd_pretrain/train.yaml
    "cifar10_mlp": _CIFAR10 | {"lr": 0.025},  # cifar10_fully_connected.yaml
    "cifar10_conv": _CIFAR10 | {"lr": 0.004, "batch_size": 128},  # cifar10_convolutional.yaml
}


def released(pair: str, **changed: Any) -> TrainingConfig:
    """The released configuration of a pair (its name: a key of RELEASED), with some fields changed.

    The faces' num_train and num_valid are FER-2013's; of others give theirs.
    """
    return TrainingConfig(**{"pair": pair} | RELEASED.get(pair, {}) | changed)  # which refuses an unknown name


CHOICES = {
    "pair": tuple(RELEASED),
    "step": ("simultaneous", "two_pass", "alternating"),
    "generator_loss": ("nonsaturating", "minimax"),
    "noise": ("uniform", "gaussian", "sphere"),
}


def learning_rate(config: TrainingConfig, step: int) -> float:
    """lr of generator update `step` (0, 1, ...): pylearn2's ExponentialDecay, called after each minibatch."""
    return max(config.lr * math.exp(-step * math.log(config.lr_decay)), config.min_lr)


def momentum(config: TrainingConfig, epoch: int) -> float:
    """Momentum during an epoch (1, 2, ...): pylearn2's MomentumAdjustor with start 1, linear up to saturation."""
    saturates = config.momentum_saturates
    progress = 1.0 if epoch >= saturates else (epoch - 1) / (saturates - 1)
    return config.momentum + (config.final_momentum - config.momentum) * progress
