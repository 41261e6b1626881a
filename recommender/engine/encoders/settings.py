"""Checks that every encoder's config makes of its settings."""

from math import inf, isfinite

from recommender.engine.errors import InvalidConfig


def check(name: str, value: float, low: float, high: float = inf, whole: bool = False) -> None:
    """Raises InvalidConfig where the setting is not a number within [low, high]."""
    number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not number or not isfinite(value) or not low <= value <= high:
        limits = f"from {low} to {high}" if isfinite(high) else f"of {low} or more"
        raise InvalidConfig(f"{name} must be a {'whole ' if whole else ''}number {limits}.")


def one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raises InvalidConfig where the setting is none of those known."""
    if value not in known:
        raise InvalidConfig(f"{name} {value!r} is none of: {', '.join(known)}.")
