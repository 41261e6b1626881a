"""Settings of what is answered: how lists are made, how long each step may take, and when a run is taken back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from recommender.engine.errors import InvalidConfig

SHARES = ("diversity", "per_category", "per_creator", "newcomers", "one_event", "explore")
MIXERS = ("weights", "lambdamart")


@dataclass(frozen=True)
class ServingSettings:
    """What a page of recommendations may be like. Shares are from 0 to 1."""

    diversity: float = 0.2
    """What it counts that items differ from each other, against that each is relevant."""
    per_category: float = 0.6
    """Share of a list that may come from one category while others have something to offer; 1 for no limit."""
    per_creator: float = 0.3
    """The same for one author, artist or maker."""
    newcomers: float = 0.2
    """Share of a list that may be items the model does not know yet."""
    one_event: float = 0.5
    """Share of a list that may stand there mainly for one past event, while the history has others: one odd look
    must not take over the page."""
    explore: float = 0.5
    """Share of the lists in which one place shows what else might be liked, drawn by chance; 0 turns that off."""
    bought_once: bool = True
    """Do not recommend what the visitor bought, unless its attributes say `"bought_again": true`."""
    mixer: str = "weights"
    """How a run learns to mix sources of candidates: `weights`, or `lambdamart`, trees where they rank better, which
    need LightGBM to learn and make an answer a millisecond slower."""
    deadline_ms: float = 250.0
    """Milliseconds that all sources together may take; a source has `source_ms` of them."""
    source_ms: float = 100.0
    """Milliseconds that one source of candidates may take; a later answer is not waited for."""
    log_answers: bool = True
    """Keep who was shown what and with which chance, for experiments and estimates; see `keep_days`."""
    keep_days: float = 30.0
    """Days that answers are kept."""
    watch: Mapping[str, float] = field(default_factory=lambda: {"click_rate": 0.3})
    """By live metric (click_rate, cart_rate, purchase_rate): the relative fall against the run before from which, once
    it is certain, the run is rolled back. Empty turns the watch off."""

    def __post_init__(self) -> None:
        for name in SHARES:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise InvalidConfig(f"serving: {name} must be a number from 0 to 1.")
        for name in ("bought_once", "log_answers"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidConfig(f"serving: {name} must be true or false.")
        if self.mixer not in MIXERS:
            raise InvalidConfig(f"serving: mixer must be one of {', '.join(MIXERS)}.")
        for name, most in (("deadline_ms", 10_000), ("source_ms", 10_000), ("keep_days", 3650)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
                raise InvalidConfig(f"serving: {name} must be a number above 0, at most {most}.")
        metrics = ("click_rate", "cart_rate", "purchase_rate")
        if not isinstance(self.watch, Mapping) or not set(self.watch) <= set(metrics):
            raise InvalidConfig(f"serving: watch must be an object with any of {', '.join(metrics)}.")
        for name, value in self.watch.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
                raise InvalidConfig(f"serving: watch: {name} must be a number between 0 and 1.")
