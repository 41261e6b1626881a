"""What all descriptions of the API's data share."""

from typing import Any

from pydantic import ConfigDict

NO_NUL = r"^[^\x00]*$"  # PostgreSQL stores no NUL character
REC_ID = "0f4e7c1e-58a5-4f5c-9d0b-3a8f6f1f0c11"


def documented(*examples: dict[str, Any], **schema: Any) -> ConfigDict:
    """Strict: true is not 1, and an unknown field is a typing error that somebody wants to hear about."""
    return ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": list(examples), **schema})
