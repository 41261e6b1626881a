"""Settings of the detectors."""

from dataclasses import dataclass

from recommender.engine.errors import InvalidConfig

SUBJECTS = ("profile", "review", "order", "session", "access")  # what can be screened


@dataclass(frozen=True)
class ScreeningSettings:
    """What detectors look at, when, and what their findings mean."""

    on: bool = True
    """Off: nothing is looked at, and no verdict changes what a training learns from."""
    subjects: tuple[str, ...] = SUBJECTS
    """What is looked at."""
    quarantine_at: float = 0.9
    """Probability from which a finding's events are left out of training before anybody has decided."""
    weigh_down_at: float = 0.5
    """Probability from which they count less: by the probability that all is well."""
    every_minutes: float = 60.0
    """Between two passes while something happens in the shop; 0 for none by the clock."""
    burst_events: int = 5_000
    """So many new events since the last pass ask for another at once; 0 for none."""

    def __post_init__(self) -> None:
        if not isinstance(self.on, bool):
            raise InvalidConfig("screening: on must be true or false.")
        if not isinstance(self.subjects, list | tuple) or not set(map(str, self.subjects)) <= set(SUBJECTS):
            raise InvalidConfig(f"screening: subjects must be a list of {', '.join(SUBJECTS)}.")
        object.__setattr__(self, "subjects", tuple(name for name in SUBJECTS if name in self.subjects))
        for name in ("quarantine_at", "weigh_down_at", "every_minutes", "burst_events"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise InvalidConfig(f"screening: {name} must be a number of 0 or more.")
        if not 0 < self.weigh_down_at <= self.quarantine_at <= 1:
            raise InvalidConfig("screening: 0 < weigh_down_at <= quarantine_at <= 1 must hold.")
        if self.burst_events != int(self.burst_events):
            raise InvalidConfig("screening: burst_events must be a whole number.")
