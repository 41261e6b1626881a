"""Which recommendation a link, a form or a beacon answers: rec, run, shelf and at, read back from the request."""

from collections.abc import Mapping
from urllib.parse import urlencode

from recommender.services import events

NAMES = ("rec", "run", "shelf", "at")


def read(values: Mapping[str, str]) -> events.Source:
    """From query parameters or a form; nonsense counts as nothing said."""
    return events.source(*(values.get(name) for name in NAMES))


def fields(source: events.Source) -> dict[str, str]:
    """The parameters that carry a source on to the next request; only those that say something."""
    said = (source.rec_id, source.run_id, source.shelf, source.position)
    return {name: str(value) for name, value in zip(NAMES, said, strict=True) if value}


def query(source: events.Source) -> str:
    """The same, ready to be put behind a URL."""
    said = fields(source)
    return f"?{urlencode(said)}" if said else ""
