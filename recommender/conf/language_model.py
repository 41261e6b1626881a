"""Settings of a language model for the assistant."""

from dataclasses import dataclass

from recommender.engine.errors import InvalidConfig


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
