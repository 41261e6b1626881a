"""Which texts every database can store."""

from typing import Any


def storable(value: Any) -> bool:
    """Whether no text in `value`, a text or any value of JSON, holds a NUL or half of a surrogate pair.

    PostgreSQL stores no NUL; JSON can escape one half of a pair, which is not valid Unicode. Raises RecursionError for
    what is nested too deeply.
    """
    if isinstance(value, str):
        return not any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return all(storable(part) for pair in value.items() for part in pair)
    return all(map(storable, value)) if isinstance(value, list | tuple) else True
