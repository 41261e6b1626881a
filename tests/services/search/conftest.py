"""A small shelf to search, and text vectors with a known answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from recommender.models import Category, Item
from recommender.services.content import vectors
from recommender.services.search import spelling


@pytest.fixture(autouse=True)
def _nothing_remembered():
    spelling.forget()
    yield
    spelling.forget()


@pytest.fixture
def shelf(db):
    books = Category.objects.create(slug="books", name="Books")
    Category.objects.create(slug="novels", name="Novels", parent=books)
    for item_id, title, creator, description, active in (
        ("germinal", "Germinal", "Émile Zola", "A mine in the north.", True),
        ("emil", "Emil and the Detectives", "Erich Kästner", "A boy in Berlin.", True),
        ("mine", "The Mine", "A. Writer", "Coal.", True),
        ("mine-2", "The Mine, part 2: 100% coal", "A. Writer", "More_coal.", True),
        ("straße", "DIE STRASSE DER ÖFEN", "Ö. Ångström", "", True),
        ("hidden", "The Hidden Mine", "A. Writer", "", False),
    ):
        Item.objects.create(
            id=item_id, title=title, creator=creator, description=description, active=active, category_id="novels"
        )


@dataclass
class Meanings:
    """A text space whose items and queries mean what they are told to."""

    of_items: dict[str, Sequence[float]] = field(default_factory=dict)
    of_queries: dict[str, Sequence[float]] = field(default_factory=dict)

    def encode(self, inputs):
        return np.array([self.of_queries.get(text, [0, 0, 0]) for text in inputs], dtype=np.float32)

    def vectors(self, item_ids):
        return np.array([self.of_items.get(item_id, [0, 0, 0]) for item_id in item_ids], np.float32).reshape(-1, 3)

    def sample(self, n):
        return list(self.of_items)[:n]

    def nearest(self, query, k, exclude=()):
        item_ids = list(self.of_items)
        cosines = self.vectors(item_ids) @ query
        order = np.argsort(-cosines, kind="stable")[:k]
        return [item_ids[row] for row in order], cosines[order]


@pytest.fixture
def meanings(monkeypatch) -> Callable[..., None]:
    """meanings(items, queries): what they mean, as unit vectors of three numbers."""

    def meanings(of_items, of_queries):
        monkeypatch.setattr(vectors, "space", lambda modality: Meanings(of_items, of_queries))

    return meanings
