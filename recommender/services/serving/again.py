"""What a visitor may be shown although they bought it: what is used up and bought again, as its attributes say."""

import time
from collections.abc import Collection

from recommender.models import Item

FOR_S = 60.0  # seconds that a process remembers what an item's attributes said
MOST = 100_000  # items remembered

_known: dict[str, tuple[float, bool]] = {}  # by item: until when (monotonic seconds), and whether


def bought_again(item_ids: Collection[str]) -> set[str]:
    """Those of these items whose attributes say `"bought_again": true`."""
    now = time.monotonic()
    unknown = [item_id for item_id in item_ids if _known.get(item_id, (0.0,))[0] < now]
    if unknown:
        again = set(Item.objects.filter(id__in=unknown, attributes__bought_again=True).values_list("id", flat=True))
        if len(_known) > MOST:
            _known.clear()
        _known.update({item_id: (now + FOR_S, item_id in again) for item_id in unknown})
    return {item_id for item_id in item_ids if _known.get(item_id, (0.0, False))[1]}


def forget() -> None:
    """Drop what this process remembers (for tests)."""
    _known.clear()
