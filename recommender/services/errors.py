"""What a service refuses, in one tree with the engine's errors. Doors map them: API to problems, pages to messages."""

from django.db import InterfaceError, InternalError, OperationalError

from recommender.engine.errors import RecommenderError

READ_ONLY = "25006"  # PostgreSQL's read_only_sql_transaction, which Django counts among the faults of a program


def database_is_away(error: BaseException | None) -> bool:
    """Whether the database is locked, read-only or not there: nobody's fault, and another time it may do."""
    if isinstance(error, InternalError):
        return getattr(error.__cause__, "sqlstate", None) == READ_ONLY
    return isinstance(error, OperationalError | InterfaceError)


class Refused(RecommenderError):
    """The request cannot be carried out."""


class InvalidInput(Refused):
    """The input is not valid."""


class UnknownItem(Refused):
    """There is no such item."""


class UnknownCategory(Refused):
    """There is no such category."""


class UnknownRun(Refused):
    """There is no such run."""


class UnknownStudy(Refused):
    """There is no such tuning study."""


class RunActive(Refused):
    """A run is already active."""


class UnknownEncoding(Refused):
    """There is no such encoding."""


class EncodingActive(Refused):
    """An encoding is already active."""


class UnknownScreening(Refused):
    """There is no such screening."""


class ScreeningActive(Refused):
    """A screening is already active."""


class ScreeningOff(Refused):
    """Screening is turned off by the settings."""


class RunNotPublishable(Refused):
    """This run cannot be published."""


class NothingToRollBackTo(Refused):
    """There is no earlier run to roll back to."""


class InvalidApiKey(Refused):
    """The API key is not valid."""


class MissingScope(Refused):
    """The API key does not have the scope for this."""


class CartProblem(Refused):
    """The cart cannot be ordered as it is."""


class OtherShop(Refused):
    """This database already holds the events of another shop."""


class SuperuserExists(Refused):
    """There is already a superuser, so no demo login is made."""


class UploadTooLarge(Refused):
    """The upload is too large."""


class Busy(Refused):
    """Too many ask for this at once."""


class TooMany(Refused):
    """Too many requests in a short time."""

    @property
    def retry_after_s(self) -> int:
        return int(self.context.get("retry_after_s", 60))


class NotPrepared(Refused):
    """This search is not prepared yet."""
