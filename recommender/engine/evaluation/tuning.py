"""Which settings suit the data: seeded random search over the values a config names for its own fields.

A field of a trainer's config is searched where its metadata has "tune": a tuple of values to try. Random search finds
as much as a grid for a fraction of the fits when only some settings matter (Bergstra and Bengio 2012).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from math import prod
from typing import Any

import numpy as np

from recommender.engine.data.interactions import Interactions
from recommender.engine.errors import NotFinite
from recommender.engine.evaluation.protocol import evaluate
from recommender.engine.trainers import Options, make_config, trainer


@dataclass(frozen=True)
class Trial:
    config: Mapping[str, Any]
    """The settings that differ from the trainer's defaults."""
    value: float
    """The metric on the validation part; -inf where training did not end in finite numbers."""


def search_space(trainer_name: str) -> dict[str, tuple[Any, ...]]:
    """The values to try for each field; empty where the trainer names none."""
    return {
        field.name: tuple(field.metadata["tune"])
        for field in fields(trainer(trainer_name).Config)
        if "tune" in field.metadata
    }


def tune(
    trainer_name: str,
    train: Interactions,
    validation: Interactions,
    *,
    metric: str = "ndcg",
    k: int = 10,
    trials: int = 20,
    base: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> list[Trial]:
    """Fit on `train`, judge on `validation`, best first; ties by earlier trial.

    The first trial is `base` as it stands; a field that `base` names is not searched. `options.seed` decides what is
    drawn, and the same settings are never tried twice. Raises what fitting raises, but NotFinite, which is a bad trial.
    """
    options = options or Options()
    kind = trainer(trainer_name)
    found: list[Trial] = []
    for number, values in enumerate(_draws(trainer_name, base or {}, trials, options.seed)):
        options.progress(number / trials, f"trial {number + 1}: {values or 'defaults'}")
        config = make_config(trainer_name, values)
        try:
            query = kind.query(kind.fit(train, config, Options(options.seed, options.threads)), config)
            report = evaluate(query, train, validation, (k,), samples=1)
        except NotFinite:
            found.append(Trial(values, -np.inf))
        else:
            found.append(Trial(values, report.main[f"{metric}@{k}"].value))
    options.progress(1.0, f"{len(found)} trials")
    return sorted(found, key=lambda trial: -trial.value)


def _draws(trainer_name: str, base: Mapping[str, Any], trials: int, seed: int) -> Iterator[dict[str, Any]]:
    """`base`, then distinct random points of the space, at most `trials` in all."""
    space = {name: values for name, values in search_space(trainer_name).items() if name not in base}
    random = np.random.default_rng(seed)
    defaults = make_config(trainer_name, base)
    yield dict(base)
    seen = {tuple(getattr(defaults, name) for name in space)}
    size = prod(map(len, space.values()))
    inside = all(getattr(defaults, name) in values for name, values in space.items())
    while len(seen) < min(trials, size + (not inside)):
        point = tuple(values[random.integers(len(values))] for values in space.values())
        if point not in seen:
            seen.add(point)
            yield {**base, **dict(zip(space, point, strict=True))}
