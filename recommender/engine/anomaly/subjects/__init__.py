"""What detectors look at: one module per subject, which makes features of columns and judges them.

Each module has `find(columns, options, known=None) -> Found`. `columns` are the subject's own (Activity for profiles
and sessions); `known` are the `arrays` of an earlier Found: given, nothing is learned and rows are judged by those.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from recommender.engine.anomaly.found import Found
from recommender.engine.loading import load
from recommender.engine.options import Options

SUBJECTS = {
    "profile": "recommender.engine.anomaly.subjects.profiles.find",
    "review": "recommender.engine.anomaly.subjects.reviews.find",
    "order": "recommender.engine.anomaly.subjects.orders.find",
    "session": "recommender.engine.anomaly.subjects.sessions.find",
    "access": "recommender.engine.anomaly.subjects.access.find",
}


class Find(Protocol):
    def __call__(self, columns: Any, options: Options, known: Mapping[str, NDArray[Any]] | None = None) -> Found:
        """Judge every row. Raises NoData where there are too few to judge, and whatever `options.progress` raises."""


def subject(name: str) -> Find:
    """How a subject's rows are judged. Raises UnknownName."""
    find: Find = load(SUBJECTS, name)
    return find
