"""A shop in the database whose visitors come again, so that the latest events can be asked for."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np

from recommender.models import Category, Event, Item, Visitor

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
VISITORS, ITEMS, VISITS = 40, 20, 12


def regulars() -> None:
    """Forty visitors, who come twelve times and take an even or an odd item each time, as they are even or odd."""
    random = np.random.default_rng(3)
    category = Category.objects.create(slug="things", name="Things")
    Item.objects.bulk_create(
        Item(id=f"item-{number:02d}", title=f"Thing {number}", category=category, price=Decimal(10))
        for number in range(ITEMS)
    )
    Visitor.objects.bulk_create(Visitor(id=f"visitor-{number:02d}", kind="external") for number in range(VISITORS))
    Event.objects.bulk_create(
        Event(
            kind="purchase",
            visitor_id=f"visitor-{visitor:02d}",
            item_id=f"item-{2 * random.integers(ITEMS // 2) + visitor % 2:02d}",
            occurred_at=START + timedelta(days=visit, minutes=visitor),
            session=f"visit {visit}",
        )
        for visit in range(VISITS)
        for visitor in range(VISITORS)
    )
