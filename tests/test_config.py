"""A run's configuration: the released values, what it refuses, and its schedules against pylearn2's, step by step."""

import math
from dataclasses import FrozenInstanceError, asdict, fields, replace

import pytest

from gan_repro.config import CHOICES, RELEASED, TrainingConfig, learning_rate, momentum, released

MAY_BE_0 = ("seed", "stage_1_epochs")
FIELDS = [field.name for field in fields(TrainingConfig)]


def test_the_defaults_are_the_released_configuration():
    released = {  # DESIGN 4, from the authors' mnist.yaml
        "step": "simultaneous",
        "generator_loss": "nonsaturating",
        "d_loss_scale": 0.5,
        "noise": "uniform",
        "num_z": 100,
        "num_hidden": 1200,
        "num_units": 240,
        "num_pieces": 5,
        "keep_input": 0.8,
        "keep_hidden": 0.5,
        "batch_size": 100,
        "lr": 0.1,
        "lr_decay": 1.000004,
        "min_lr": 1e-6,
        "momentum": 0.5,
        "final_momentum": 0.7,
        "momentum_saturates": 250,
        "num_train": 50_000,
    }
    assert released.items() <= asdict(TrainingConfig()).items()


@pytest.mark.parametrize(  # DESIGN 4, from the authors' other files
    "pair, values",
    [
        ("faces_stage_1", {"lr": 0.05, "batch_size": 100, "max_column_norm": 1.9365, "max_epochs": 50}),
        ("faces_stage_2", {"lr": 0.05, "batch_size": 100, "max_column_norm": 1.9365, "max_epochs": 22}),
        ("cifar10_mlp", {"lr": 0.025, "batch_size": 100, "max_column_norm": 0.0, "num_train": 40_000}),
        ("cifar10_conv", {"lr": 0.004, "batch_size": 128, "max_column_norm": 0.0, "num_train": 40_000}),
    ],
)
def test_the_other_pairs_have_their_own_released_values_and_share_the_rest(pair, values):
    config = asdict(released(pair, seed=7))
    assert (values | {"pair": pair, "seed": 7, "noise": "gaussian", "width": 1.0}).items() <= config.items()
    shared = ("step", "generator_loss", "d_loss_scale", "num_z", "keep_input", "keep_hidden", "lr_decay", "min_lr")
    for name in (*shared, "momentum", "final_momentum", "momentum_saturates"):
        assert config[name] == getattr(TrainingConfig, name)


def test_a_pair_is_sized_by_its_own_fields_alone():
    for pair in set(RELEASED) - {"mnist"}:
        assert released(pair, width=0.5).width == 0.5
        for name in ("num_hidden", "num_units", "num_pieces"):
            with pytest.raises(ValueError, match=f'^{name} is 7: the pair "{pair}" is sized by width instead$'):
                released(pair, **{name: 7})
    with pytest.raises(ValueError, match=r'^width is 0\.5: the pair "mnist" is sized by num_hidden'):
        TrainingConfig(width=0.5)


def test_only_stage_2_of_the_faces_has_a_stage_1():
    assert released("faces_stage_2").stage_1_epochs == 50
    for pair, epochs in [("faces_stage_2", 0), ("faces_stage_1", 50), ("mnist", 1)]:
        with pytest.raises(ValueError, match=f"^stage_1_epochs is {epochs}: it must be above 0 for faces_stage_2"):
            released(pair, stage_1_epochs=epochs)


def test_a_pair_that_nobody_released_is_refused():
    with pytest.raises(ValueError, match=r'^pair is "svhn": it must be one of mnist, faces_stage_1, '):
        released("svhn")


def test_an_epoch_has_a_step_for_each_full_minibatch():
    assert TrainingConfig().steps_per_epoch == 500
    assert TrainingConfig(num_train=1050).steps_per_epoch == 10


def test_dropout_keeps_inputs_by_one_rate_and_both_hidden_layers_by_the_other():
    assert TrainingConfig(keep_input=0.9, keep_hidden=0.6).keep(3) == (0.9, 0.6, 0.6)


def test_a_configuration_cannot_be_changed_in_place_nor_given_by_position():
    with pytest.raises(FrozenInstanceError):
        TrainingConfig().lr = 1.0
    with pytest.raises(TypeError):
        TrainingConfig(0)


def test_whole_numbers_serve_where_fractions_are_meant_and_are_then_the_same_run():
    config = TrainingConfig(lr=1, momentum=0)
    assert type(config.lr) is float
    assert config == TrainingConfig(lr=1.0, momentum=0.0)


# What is refused: always a sentence that begins with the field's name


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [None, True, [1], b"1"])
def test_a_value_of_another_type_is_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} is .*: it must be of type (int|float|str)$"):
        TrainingConfig(**{name: value})


@pytest.mark.parametrize("name", [name for name in FIELDS if type(getattr(TrainingConfig, name)) is int])
def test_a_fraction_is_refused_where_a_whole_number_is_meant(name):
    with pytest.raises(ValueError, match=f"^{name} is 2.0: it must be of type int$"):
        TrainingConfig(**{name: 2.0})


@pytest.mark.parametrize("name", [name for name in FIELDS if type(getattr(TrainingConfig, name)) is str])
def test_a_word_that_is_not_among_the_choices_is_refused_with_the_choices(name):
    with pytest.raises(ValueError, match=f'^{name} is "Simultaneous": it must be one of {", ".join(CHOICES[name])}$'):
        TrainingConfig(**{name: "Simultaneous"})


@pytest.mark.parametrize("name", [n for n in FIELDS if type(getattr(TrainingConfig, n)) is int and n not in MAY_BE_0])
def test_counts_below_1_are_refused(name):
    for value in (0, -3):
        with pytest.raises(ValueError, match=f"^{name} is {value}: it must be at least 1$"):
            TrainingConfig(**{name: value})


def test_a_seed_is_any_unsigned_word_of_32_bits():
    assert TrainingConfig(seed=0).seed == 0
    assert TrainingConfig(seed=2**32 - 1).seed == 2**32 - 1
    with pytest.raises(ValueError, match=r"^seed is -1: it must be at least 0$"):
        TrainingConfig(seed=-1)
    with pytest.raises(ValueError, match=f"^seed is {2**32}: it must lie below"):
        TrainingConfig(seed=2**32)


OUTSIDE = {
    "keep_input": [0.0, -0.1, 1.1],
    "keep_hidden": [0.0, -0.1, 1.1],
    "momentum": [-0.1, 1.0],
    "final_momentum": [-0.1, 1.0],
    "ema_decay": [-0.1, 1.0],
    "lr": [0.0, -0.1],
    "lr_decay": [0.0, -1.0],
    "min_lr": [0.0, -1e-6],
    "d_loss_scale": [0.0, -0.5],
    "width": [0.0, -0.5, 1.1],
    "max_column_norm": [-1.0],
}


def test_every_fraction_has_its_bounds_tested():
    assert set(OUTSIDE) == {name for name in FIELDS if type(getattr(TrainingConfig, name)) is float}


@pytest.mark.parametrize("name, value", [(name, value) for name, values in OUTSIDE.items() for value in values])
def test_fractions_out_of_their_bounds_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} is {value}: "):
        TrainingConfig(**{name: value})


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_fractions_that_are_not_finite_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} is {value}: "):
        TrainingConfig(**{name: value})


def test_the_ends_of_the_bounds_are_allowed():
    TrainingConfig(keep_input=1.0, keep_hidden=1.0, momentum=0.0, final_momentum=0.0, ema_decay=0.0)
    TrainingConfig(max_column_norm=0.0)
    released("cifar10_mlp", width=1.0)


def test_only_alternating_steps_take_more_than_one_discriminator_step():
    assert TrainingConfig(step="alternating", k=5).k == 5
    for step in ("simultaneous", "two_pass"):
        with pytest.raises(ValueError, match=r"^k is 2: only step="):
            TrainingConfig(step=step, k=2)


def test_a_minibatch_larger_than_the_training_set_is_refused():
    assert TrainingConfig(batch_size=100, num_train=100).steps_per_epoch == 1
    with pytest.raises(ValueError, match=r"^batch_size is 101, above num_train, which is 100$"):
        TrainingConfig(batch_size=101, num_train=100)


def test_a_field_that_does_not_exist_is_refused_by_name():
    with pytest.raises(TypeError, match="learning_rate"):
        TrainingConfig(learning_rate=0.1)


def test_a_changed_copy_is_checked_like_a_new_one():
    with pytest.raises(ValueError, match=r"^lr is "):
        replace(TrainingConfig(), lr=-1.0)


# Schedules


@pytest.mark.parametrize(
    "config, num_steps, reaches_lowest",
    [
        (TrainingConfig(), 20_000, False),
        (TrainingConfig(lr_decay=1.0004), 30_000, True),
        (TrainingConfig(lr=0.5, lr_decay=1.01, min_lr=0.01), 1000, True),
    ],
)
def test_the_learning_rate_is_exponential_decay_called_after_each_minibatch(config, num_steps, reaches_lowest):
    lr, reached = config.lr, False
    for step in range(num_steps):
        assert math.isclose(learning_rate(config, step), lr, rel_tol=1e-9)
        if not reached:  # what pylearn2 does after a minibatch
            lr = config.lr / config.lr_decay ** (step + 1)
            if lr <= config.min_lr:
                lr, reached = config.min_lr, True
    assert reached == reaches_lowest


def test_no_learning_rate_lies_below_the_lowest():
    assert learning_rate(TrainingConfig(lr=1e-7), 0) == 1e-6
    assert learning_rate(TrainingConfig(), 10**8) == 1e-6


def test_the_released_learning_rate_halves_in_347_epochs():
    assert learning_rate(TrainingConfig(), 0) == 0.1
    assert learning_rate(TrainingConfig(), 347 * 500) == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"momentum": 0.9, "final_momentum": 0.1, "momentum_saturates": 10},
        {"momentum_saturates": 2},
        {"momentum_saturates": 1},  # the final momentum from the first epoch on
    ],
)
def test_the_momentum_is_adjusted_as_by_pylearn2_with_start_1(changes):
    config = TrainingConfig(**changes)
    for epoch in range(1, 400):
        count = epoch  # of monitorings so far, since pylearn2 monitors before the first epoch too
        width = config.momentum_saturates - 1
        alpha = 1.0 if width == 0 else min(max((count - 1) / width, 0), 1)
        expected = (1 - alpha) * config.momentum + alpha * config.final_momentum
        assert momentum(config, epoch) == pytest.approx(expected, rel=1e-12)


def test_the_released_momentum_rises_from_a_half_to_7_tenths_by_epoch_250():
    config = TrainingConfig()
    assert momentum(config, 1) == 0.5
    assert momentum(config, 2) == pytest.approx(0.5 + 0.2 / 249)
    assert momentum(config, 249) < 0.7
    assert momentum(config, 250) == momentum(config, 2000) == 0.7
