"""REST, versioned, thin."""

from ninja import NinjaAPI

api = NinjaAPI(title="recsite", version="1")
