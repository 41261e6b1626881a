"""Encoders that learn from what shoppers take together: an item's text, or picture, near those it is bought with."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.encoders import Arrays, make_config
from recommender.engine.errors import NoData
from recommender.engine.options import Options
from recommender.models import Item
from recommender.services.content import item_content
from recommender.services.errors import InvalidInput

TUNERS = {"text": ("minilm",), "image": ("contrastive",)}
"""By modality, the encoders that can be taught."""
MAX_PAIRS = 200_000


def tunable() -> list[str]:
    """The modalities whose encoder, by the settings, can be fine-tuned."""
    return [modality for modality, (name, _) in conf().encoders_on.items() if name in TUNERS.get(modality, ())]


def check(modality: str) -> None:
    """Raises InvalidInput where the modality's encoder cannot be fine-tuned."""
    if modality not in tunable():
        name = conf().encoders_on.get(modality, ("off", {}))[0]
        known = ", ".join(TUNERS.get(modality, ())) or "no encoder"
        raise InvalidInput(f"{modality}: {name} cannot be fine-tuned; {known} can.")


def learn(
    modality: str, name: str, values: Mapping[str, Any], before: Callable[[], Arrays], options: Options
) -> tuple[Arrays, dict[str, Any]]:
    """What the encoder opens, and what was gained, as JSON: NDCG@10 before and after, for items that it did not learn
    from, and the `share` of what was learned that is kept; 0 where nothing was gained.

    `before` gives what the encoder was until now, where that is what it begins from. Raises NoData, ModelMissing,
    NotFinite, InvalidConfig, and what options.progress raises.
    """
    options.progress(0.0, "reading what shoppers took together")
    pairs = item_content.pairs(MAX_PAIRS)
    there = set(item_content.having(modality).values_list("pk", flat=True))
    pairs = [pair for pair in pairs if pair[0] in there and pair[1] in there]
    if not pairs:
        raise NoData("No two items were taken together often enough.")
    ids = sorted({item_id for pair in pairs for item_id in pair})
    rows = {item_id: row for row, item_id in enumerate(ids)}
    found = np.array([[rows[left], rows[right]] for left, right in pairs], dtype=np.int64)
    config = make_config(modality, name, values)
    if modality == "text":
        return _text(ids, found, config, options)
    return _image(ids, found, config, before(), options)


def _text(ids: list[str], pairs: NDArray[np.int64], config: Any, options: Options) -> tuple[Arrays, dict[str, Any]]:
    from recommender.engine.encoders import text_tower

    wanted, texts = set(ids), dict.fromkeys(ids, "")
    items = item_content.with_sources(Item.objects.order_by("pk"), "text").iterator(chunk_size=item_content.CHUNK)
    texts |= {item.pk: item_content.text(item) for item in items if item.pk in wanted}
    tuned = text_tower.fine_tune(list(texts.values()), pairs, text_tower.TextTowerConfig(encoder=config), options)
    return tuned.arrays, asdict(tuned.gain)


def _image(
    ids: list[str], pairs: NDArray[np.int64], config: Any, before: Arrays, options: Options
) -> tuple[Arrays, dict[str, Any]]:
    from recommender.engine.encoders.image import fine_tuning

    pictures = item_content.inputs("image", ids)
    tuned = fine_tuning.fine_tune(pictures, pairs, before, config, fine_tuning.ImageTowerConfig(), options)
    return tuned.arrays, {**asdict(tuned.gain), "share": float(tuned.gain.kept)}
