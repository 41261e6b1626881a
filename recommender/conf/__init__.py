"""A typed view of settings.RECOMMENDER. Nothing else reads it: a setting is found, named and checked in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from recommender.conf.alerts import Alerts
from recommender.conf.guard import LIMITS, Guard, Limit
from recommender.conf.language_model import LanguageModel
from recommender.conf.screening import SUBJECTS, ScreeningSettings
from recommender.conf.serving import ServingSettings
from recommender.engine.data.weighting import EventWeights
from recommender.engine.errors import InvalidConfig

__all__ = [
    "LIMITS",
    "SUBJECTS",
    "Alerts",
    "Conf",
    "Guard",
    "LanguageModel",
    "Limit",
    "ScreeningSettings",
    "ServingSettings",
    "conf",
]

T = TypeVar("T")
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
    assistant: Mapping[str, Any] = field(default_factory=dict)
    """A LanguageModel's settings, for the shopping assistant; empty for answers by templates alone."""
    screening: Mapping[str, Any] = field(default_factory=dict)
    """ScreeningSettings that differ from their defaults."""
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
    encoders: Mapping[str, Any] = field(default_factory=dict)
    """By modality (text, image, audio): {"name": key of engine.encoders.ENCODERS, "config": settings that differ}.
    A modality that is null or left out is off."""
    auto_publish: bool = True
    """Publish a run that passes the gate; otherwise staff do."""
    keep_artifacts: int = 5
    """Artifacts that stay on disk beside the live one: so many to roll back to, and so many that never served."""
    max_tries: int = 3
    """Times a run is started before it fails because its worker is lost."""
    lost_after_s: float = 60.0
    """Seconds without a heartbeat after which a running run counts as lost."""
    guard: Mapping[str, Any] = field(default_factory=dict)
    """A Guard's settings that differ from its defaults."""
    alerts: Mapping[str, Any] = field(default_factory=dict)
    """An Alerts' settings; empty for no alerts."""
    serving: Mapping[str, Any] = field(default_factory=dict)
    """ServingSettings that differ from their defaults."""

    @property
    def tuning_dir(self) -> Path:
        """Where `manage.py tune` keeps its studies: beside the artifacts, so that web processes can read them too."""
        return self.artifacts_dir.parent / "tuning"

    @property
    def language_model(self) -> LanguageModel | None:
        """Raises InvalidConfig."""
        return _made(LanguageModel, "assistant", self.assistant) if self.assistant else None

    @cached_property
    def guarding(self) -> Guard:
        """Raises InvalidConfig."""
        return _made(Guard, "guard", self.guard)

    @cached_property
    def alerting(self) -> Alerts:
        """Raises InvalidConfig."""
        return _made(Alerts, "alerts", self.alerts)

    @cached_property
    def served(self) -> ServingSettings:
        """Raises InvalidConfig."""
        return _made(ServingSettings, "serving", self.serving)

    @property
    def screened(self) -> ScreeningSettings:
        """Raises InvalidConfig."""
        known = {f.name for f in fields(ScreeningSettings)}
        if strange := sorted(set(self.screening) - known):
            raise InvalidConfig(f"screening has no setting {', '.join(strange)}; it has {', '.join(sorted(known))}.")
        return ScreeningSettings(**self.screening)

    @property
    def encoders_on(self) -> dict[str, tuple[str, Mapping[str, Any]]]:
        """By modality that is on: the encoder's name, and settings of it that differ from its defaults."""
        on = {modality: chosen for modality, chosen in self.encoders.items() if chosen}
        return {modality: (chosen["name"], chosen.get("config") or {}) for modality, chosen in on.items()}

    @property
    def weights(self) -> EventWeights:
        return EventWeights(by_kind=dict(self.event_weights), half_life_days=self.half_life_days)

    @property
    def currency_symbol(self) -> str:
        return SYMBOLS.get(self.currency, f"{self.currency} ")


def _made(kind: type[T], name: str, values: Mapping[str, Any]) -> T:
    """An object of settings from JSON. Raises InvalidConfig."""
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if strange := sorted(set(values) - known):
        raise InvalidConfig(f"{name} has no setting {', '.join(strange)}; it has {', '.join(sorted(known))}.")
    try:
        return kind(**values)
    except TypeError as error:
        raise InvalidConfig(f"{name}: {error}.") from error


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
