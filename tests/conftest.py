"""Fixtures that more than one test file uses."""

import multiprocessing
from dataclasses import replace

import pytest

from gan_repro.config import TrainingConfig
from gan_repro.data import MNIST, load_mnist


@pytest.fixture(scope="session")
def mnist() -> MNIST:
    """The real digits, fetched once if they are not there: without them the tests that use them fail."""
    return load_mnist()


@pytest.fixture(scope="session")
def few_digits(mnist) -> MNIST:
    """The first real digits of each split, few enough to be sent to another process."""
    splits = {name: getattr(mnist, name)[:600].clone() for name in ("train", "valid", "test")}
    return replace(mnist, **splits)


@pytest.fixture(scope="session")
def tiny() -> TrainingConfig:
    """A run of 3 epochs of 12 steps on 600 digits: a fraction of a second, with every part of a real run in it."""
    return TrainingConfig(
        num_train=600,
        batch_size=50,
        num_z=8,
        num_hidden=24,
        num_units=12,
        num_pieces=3,
        num_valid=100,
        num_samples=50,
        lr=0.3,
        score_every=1,
        max_epochs=3,
    )


@pytest.fixture(scope="session")
def processes():
    """Real processes that start fast: a server that has imported torch forks one for each test that wants one.

    Its first parameter is any function at the top of a test file.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gan_repro.training", "torch._dynamo", "pytest", "hypothesis"])
    return context
