"""Parameters from the words of a command line, such as lr=0.1."""

import argparse
from dataclasses import fields, replace
from typing import Any

READERS = {
    int: int,
    float: float,
    str: str,
    bool: {"True": True, "False": False}.__getitem__,
    tuple: lambda text: tuple(map(int, text.split(","))),
}


def split_words(words: list[str]) -> dict[str, str]:
    """Names and texts. Raises ValueError where a word is not name=value, or a name stands twice."""
    if bad := [word for word in words if "=" not in word]:
        raise ValueError(f"{bad[0]!r} is not a parameter: write name=value")
    given = dict(word.split("=", 1) for word in words)
    if len(given) < len(words):
        raise ValueError("a parameter is given twice")
    return given


def positive(text: str) -> int:
    """A whole number above 0, for an option. Raises argparse.ArgumentTypeError."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, got {text!r}")
    return int(text)


def with_fields(config: Any, given: dict[str, str], fixed: frozenset[str] = frozenset()) -> Any:
    """config with the fields of these names, which are taken out of given, read as their types; not those of fixed.

    Raises ValueError.
    """
    changed = {}
    for field in fields(config):
        if field.name in given and field.name not in fixed:
            before, text = getattr(config, field.name), given.pop(field.name)
            try:
                changed[field.name] = READERS[type(before)](text)
            except (KeyError, ValueError):
                raise ValueError(f"{field.name} is {text!r}: it must be a value such as {before!r}") from None
    return replace(config, **changed)


def check_all_taken(given: dict[str, str], of: str, *configs: Any, fixed: frozenset[str] = frozenset()) -> None:
    """Raises ValueError where given still has names: those of no field of configs."""
    if given:
        known = [field.name for one in configs for field in fields(one) if field.name not in fixed]
        raise ValueError(f"{of} has no parameter {', '.join(given)}: it has {', '.join(known)}")
