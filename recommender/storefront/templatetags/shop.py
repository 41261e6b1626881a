"""How the shop writes prices, stars, times and pictures."""

import zlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django import template
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommender.conf import conf
from recommender.models import Event, Item

register = template.Library()

PATTERNS, COLOURS = 6, 8  # of drawn covers, see shop.css
DID = {
    Event.Kind.VIEW: "Looked at",
    Event.Kind.CLICK: "Opened",
    Event.Kind.LIKE: "Liked",
    Event.Kind.DISLIKE: "Did not like",
    Event.Kind.CART: "Put into the cart",
    Event.Kind.PURCHASE: "Bought",
    Event.Kind.RATING: "Rated",
}


@register.filter
def money(value: Decimal | float | None) -> str:
    """£1,234.50; words where there is no price."""
    return "Price on request" if value is None else f"{conf().currency_symbol}{value:,.2f}"


@register.simple_tag
def percent(share: float) -> str:
    """42 %, and never 0 for what is there."""
    return f"{share:.0%}".replace("%", " %") if share >= 0.005 else "less than 1 %"


@register.filter
def did(kind: str) -> str:
    return DID.get(Event.Kind(kind), kind)


@register.simple_tag
def when(moment: datetime, only: str = "") -> SafeString:
    """A time in UTC that shop.js rewrites in the reader's own zone; `only` may be "date"."""
    utc = moment.astimezone(UTC)
    text = date_format(utc, "j F Y") if only == "date" else f"{date_format(utc, 'j F Y, H:i')} UTC"
    return format_html('<time datetime="{}" data-show="{}">{}</time>', f"{utc:%Y-%m-%dT%H:%M:%SZ}", only, text)


@register.inclusion_tag("storefront/parts/stars.html")
def stars(mean: float | None, count: int | None = None) -> dict[str, Any]:
    """Stars to the nearest half, with the exact mean for those who cannot see them."""
    return {"mean": mean, "count": count, "halves": 0 if mean is None else round(mean * 2) * 5}


@register.inclusion_tag("storefront/parts/picture.html")
def picture(item: Item, eager: bool = False, alt: bool = False) -> dict[str, Any]:
    """An item's first picture, or a cover drawn from its title. Decorative unless `alt` is asked for."""
    found = item.first_picture
    context: dict[str, Any] = {"item": item, "picture": found, "eager": eager, "alt": alt}
    return context if found else context | drawn(item)


def drawn(item: Item) -> dict[str, Any]:
    """The pattern and colours of a cover without a picture: the same on every day and in every process."""
    seed = zlib.crc32(item.pk.encode())
    group = zlib.crc32((item.category_id or "").encode()) if item.category_id else seed >> 8
    # Neighbours of one category share a family of colours, yet do not look like copies.
    return {"pattern": seed % PATTERNS, "colour": (group + (seed >> 16) % 3) % COLOURS}
