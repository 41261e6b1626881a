"""What every page's template knows. Each value is worked out only where a template asks for it."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from recommender.conf import conf
from recommender.models import Category
from recommender.services import catalogue, controls, orders, serving
from recommender.storefront.visitor import guest, visitor_id


def shop(request: HttpRequest) -> dict[str, Any]:
    values = conf()
    return {
        "shop_name": values.shop_name,
        "shop_tagline": values.shop_tagline,
        "departments": SimpleLazyObject(lambda: departments(request)),
        "cart_count": SimpleLazyObject(lambda: _cart_count(request)),
        "decided": SimpleLazyObject(lambda: decided(request)),
        "staff_note": SimpleLazyObject(lambda: _staff_note(request)),
    }


def departments(request: HttpRequest) -> list[Category]:
    """The shop's departments, asked for once per request by whoever needs them first."""
    known: list[Category] | None = getattr(request, "shop_departments", None)
    if known is None:
        known = request.shop_departments = list(catalogue.departments())  # type: ignore[attr-defined]
    return known


def decided(request: HttpRequest) -> controls.Controls:
    """What the visitor decided about recommendations, asked for once per request."""
    known: controls.Controls | None = getattr(request, "shop_decided", None)
    if known is None:
        known = controls.DEFAULT if _is_new(request) else controls.read(visitor_id(request))
        request.shop_decided = known  # type: ignore[attr-defined]
    return known


def _is_new(request: HttpRequest) -> bool:
    """Whether a browser came for the first time, so that nothing of it can be in the database."""
    return not hasattr(request, "user") or (
        guest(request).is_new and settings.SESSION_COOKIE_NAME not in request.COOKIES
    )


def _cart_count(request: HttpRequest) -> int:
    return 0 if _is_new(request) else orders.count(visitor_id(request))


def _staff_note(request: HttpRequest) -> str:
    """A word to staff when no model serves; shoppers are not bothered with it."""
    if not hasattr(request, "user") or not request.user.is_staff:
        return ""
    current = serving.live()
    if current.model is not None:
        return ""
    if current.run_id is None:
        return "No trained model is live: everybody sees popular items."
    return f"The model of run {current.run_id} cannot be opened: everybody sees popular items."
