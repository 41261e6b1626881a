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
from recommender.engine.errors import InvalidConfig

SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$"}  # of currencies; another's code stands before the amount


@dataclass(frozen=True)
class LanguageModel:
    """An OpenAI-compatible endpoint, and what it may cost."""

    url: str
    """Its base, such as https://api.example.com/v1."""
    model: str
    key_variable: str = ""
    """The environment variable that holds the key; the key itself stands in no setting."""
    timeout_s: float = 20.0
    """Seconds that one answer may take, all its steps together."""
    steps: int = 4
    """Requests to the endpoint for one answer: each may ask for tools, the last one may not."""
    max_tokens: int = 500
    """Of one request's answer."""
    tokens_a_day: int = 200_000
    """Of all requests of a web process between two midnights (UTC); beyond it, templates answer."""

    def __post_init__(self) -> None:
        if not str(self.url).startswith(("http://", "https://")):
            raise InvalidConfig("assistant: url must begin with http:// or https://.")
        if not self.model:
            raise InvalidConfig("assistant: model is missing.")
        for name in ("timeout_s", "steps", "max_tokens", "tokens_a_day"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise InvalidConfig(f"assistant: {name} must be a number above 0.")


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

    @property
    def tuning_dir(self) -> Path:
        """Where `manage.py tune` keeps its studies: beside the artifacts, so that web processes can read them too."""
        return self.artifacts_dir.parent / "tuning"

    @property
    def language_model(self) -> LanguageModel | None:
        """Raises InvalidConfig."""
        known = {f.name for f in fields(LanguageModel)}
        if strange := sorted(set(self.assistant) - known):
            raise InvalidConfig(f"assistant has no setting {', '.join(strange)}; it has {', '.join(sorted(known))}.")
        try:
            return LanguageModel(**self.assistant) if self.assistant else None
        except TypeError as error:
            raise InvalidConfig(f"assistant: {error}.") from error

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
