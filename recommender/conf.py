"""A typed view of settings.RECOMMENDER. Nothing else reads it: a setting is found, named and checked in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from recommender.engine.data.weighting import EventWeights

SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$"}  # of currencies; another's code stands before the amount


@dataclass(frozen=True)
class Conf:
    artifacts_dir: Path
    """Where runs write their artifacts; shared by workers (write) and web processes (read)."""
    shop_name: str = "recsite"
    """The shop's name, on every page."""
    shop_tagline: str = ""
    """A few words beside the name."""
    currency: str = "GBP"
    """ISO 4217 code of all prices."""
    trainer: str = "als"
    """Key of engine.trainers.TRAINERS that a run uses unless told otherwise."""
    trainer_config: Mapping[str, Any] = field(default_factory=dict)
    """Settings of that trainer that differ from its defaults."""
    device: str = "auto"
    """Where torch trains: cpu, cuda, or auto for a GPU where there is one."""
    index: str = "auto"
    """Key of engine.index.INDEXES, or auto: exact for small catalogues, faiss for large ones."""
    threads: int = 2
    """Threads of a training run."""
    half_life_days: float = 180.0
    """Age at which an event counts half; 0 turns decay off."""
    event_weights: Mapping[str, float] = field(default_factory=lambda: EventWeights().by_kind)
    """Weight of one event of each kind."""
    history_length: int = 100
    """Latest events of a visitor that a recommendation is computed from."""
    test_share: float = 0.1
    """Share of the events, the latest ones, that a run is judged by before it learns from them too."""
    auto_publish: bool = True
    """Publish a run that passes the gate; otherwise staff do."""
    keep_artifacts: int = 5
    """Artifacts that stay on disk beside the live one: so many to roll back to, and so many that never served."""
    max_tries: int = 3
    """Times a run is started before it fails because its worker is lost."""
    lost_after_s: float = 60.0
    """Seconds without a heartbeat after which a running run counts as lost."""

    @property
    def tuning_dir(self) -> Path:
        """Where `manage.py tune` keeps its studies: beside the artifacts, so that web processes can read them too."""
        return self.artifacts_dir.parent / "tuning"

    @property
    def weights(self) -> EventWeights:
        return EventWeights(by_kind=dict(self.event_weights), half_life_days=self.half_life_days)

    @property
    def currency_symbol(self) -> str:
        return SYMBOLS.get(self.currency, f"{self.currency} ")


@lru_cache(maxsize=1)
def conf() -> Conf:
    """The settings, read once. Raises ImproperlyConfigured on a name that is not a setting."""
    values: dict[str, Any] = dict(settings.RECOMMENDER)
    if strange := sorted(set(values) - {f.name for f in fields(Conf)}):
        raise ImproperlyConfigured(f"settings.RECOMMENDER has no setting {', '.join(strange)}.")
    return Conf(**values)


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "RECOMMENDER":
        conf.cache_clear()


setting_changed.connect(_forget)  # tests override settings
