"""The form of an id that comes from outside (an item's, a user's), checked at every door."""

import re

from django.core.exceptions import ValidationError

MAX_LENGTH = 128  # characters; ids are primary keys, so they are kept short
# A slash would split a URL, a space or a control character would break clients that do not escape ids.
_FORM = re.compile(r"[^\s/\\?#%\x00-\x1f\x7f\ud800-\udfff]+")  # half a surrogate pair cannot be stored


def is_external_id(value: object) -> bool:
    """Whether `value` is a text of 1 to 128 characters, none of them a space, slash, ?, #, % or control."""
    return isinstance(value, str) and len(value) <= MAX_LENGTH and _FORM.fullmatch(value) is not None


def validate_external_id(value: str) -> None:
    """Raises ValidationError for what is no external id; the tables' fields ask this one."""
    if not is_external_id(value):
        raise ValidationError(
            "An id is 1 to %(max)d characters without spaces, slashes, ?, #, %% or control characters.",
            code="invalid_id",
            params={"max": MAX_LENGTH},
        )
