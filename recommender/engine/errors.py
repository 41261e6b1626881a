"""One tree of errors. An error's docstring is its message; the detail says what exactly, and how to mend it."""

from inspect import cleandoc
from typing import Any


class RecommenderError(Exception):
    """Something went wrong in the recommender."""

    def __init__(self, detail: str = "", **context: Any) -> None:
        self.detail = detail
        self.context = context
        super().__init__(self.message)

    @property
    def message(self) -> str:
        title = cleandoc(self.__doc__ or type(self).__name__)
        return f"{title} {self.detail}".strip()


class NoData(RecommenderError):
    """There are no interactions to learn from."""


class InvalidConfig(RecommenderError):
    """The configuration is not valid."""


class UnknownName(RecommenderError):
    """No such name is registered."""


class Misfit(RecommenderError):
    """These rows are not like those that were learned from."""


class NotFinite(RecommenderError):
    """Training produced NaN or infinity."""


class ModelMissing(RecommenderError):
    """The model is not there or cannot be read."""


class Unreadable(RecommenderError):
    """This cannot be read."""


class EndpointFailed(RecommenderError):
    """The other side did not answer as it should."""


class TooLarge(RecommenderError):
    """This would need more memory than is allowed."""


class Cancelled(RecommenderError):
    """The work was cancelled."""


class ArtifactMissing(RecommenderError):
    """The artifact is not on this disk."""


class ArtifactDamaged(RecommenderError):
    """The artifact's files do not match its manifest."""


class InvalidDataset(RecommenderError):
    """The data set cannot be read."""


class StudyDamaged(RecommenderError):
    """What was tuned before cannot be read."""


class StudyBusy(RecommenderError):
    """Somebody is tuning this study right now."""
