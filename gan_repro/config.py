"""Everything that decides the outcome of a training run, but for the data."""

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One run of the MNIST pair; the defaults are the released configuration (mnist.yaml: goodfeli/adversarial).

    Two runs with equal fields, data and recipe version are the same run, bit for bit on one machine. A field added
    later has the default that leaves older runs as they were, so that their records stay readable.
    Raises ValueError, naming the field, where a value cannot be used.
    """

    seed: int = 0  # for weights, order of the data, z and dropout masks; the authors' is not recorded
    step: str = "simultaneous"  # as released; "alternating" is Algorithm 1; "two_pass" the slow form of simultaneous
    k: int = 1  # discriminator steps per generator step (Algorithm 1); simultaneous steps have 1
    generator_loss: str = "nonsaturating"  # Section 3, mnist.yaml; or "minimax"
    d_loss_scale: float = 0.5  # the released cost halves D's loss (AdversaryCost2)
    noise: str = "uniform"  # mnist.yaml: U(-sqrt 3, sqrt 3); or "gaussian", "sphere"
    num_z: int = 100  # mnist.yaml
    num_hidden: int = 1200  # of each hidden layer of G, mnist.yaml
    num_units: int = 240  # of each maxout layer of D, mnist.yaml
    num_pieces: int = 5  # mnist.yaml
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
            if type(value) is int and value < (0 if name == "seed" else 1):
                raise ValueError(f"{name} is {value}: it must be at least {0 if name == 'seed' else 1}")
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
        if self.step != "alternating" and self.k != 1:
            raise ValueError(f'k is {self.k}: only step="alternating" takes more than one discriminator step')
        if self.batch_size > self.num_train:
            raise ValueError(f"batch_size is {self.batch_size}, above num_train, which is {self.num_train}")

    @property
    def steps_per_epoch(self) -> int:
        """Generator updates in an epoch; examples that do not fill a minibatch wait for the next epoch's order."""
        return self.num_train // self.batch_size

    @property
    def keep(self) -> tuple[float, float, float]:
        """Dropout's probability of keeping a unit at the input of each of D's three layers."""
        return (self.keep_input, self.keep_hidden, self.keep_hidden)


CHOICES = {
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
