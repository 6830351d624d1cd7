"""What values a configuration of a model can have: one sentence for one that cannot be used."""

import math
from dataclasses import fields
from typing import Any


def check(config: Any) -> None:
    """Raise ValueError, naming the field, unless whole numbers are at least 1 (a seed 0), others finite and not
    below 0, learning rates above 0, and lists of layers not empty."""
    for field in fields(config):
        value, least = getattr(config, field.name), 0 if field.name == "seed" else 1
        for number in value if isinstance(value, tuple) else (value,):
            if type(number) is int and number < least:
                raise ValueError(f"{field.name} is {value}: it must be at least {least}")
            if type(number) is float:
                above = number > 0 or (number == 0 and field.name != "lr")
                if not (above and number < math.inf):
                    limit = "above 0" if field.name == "lr" else "not below 0"
                    raise ValueError(f"{field.name} is {value}: it must be finite and {limit}")
        if value == ():
            raise ValueError(f"{field.name} is empty: it must name a number of units for each layer")


def epochs_a_layer(config: Any) -> int:
    """Epochs of each layer of a stack that is trained layer by layer. Raises ValueError if they are not whole."""
    if config.epochs % len(config.layers):
        raise ValueError(f"epochs is {config.epochs}: it must be a multiple of {len(config.layers)}, the layers")
    return config.epochs // len(config.layers)
