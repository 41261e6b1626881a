"""Words that were meant."""

import random

import numpy as np
import pytest

from recommender.conf import conf
from recommender.models import Item
from recommender.services.search import edits, spelling

LETTERS = "abcdeé東"


def plainly(one: str, other: str) -> int:
    """Optimal string alignment, as it stands in books."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i in range(len(one) + 1):
        for j in range(len(other) + 1):
            if not i or not j:
                table[i][j] = i + j
                continue
            cost = one[i - 1] != other[j - 1]
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + cost)
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


@pytest.mark.parametrize("most", [1, 2])
def test_all_that_is_near_is_found_with_its_distance(most):
    rng = random.Random(7)
    words = sorted({"".join(rng.choices(LETTERS, k=rng.randint(1, 8))) for _ in range(400)})
    table = edits.codes(words)
    for word in [*rng.sample(words, 25), "a", "zzzz", "x" * edits.LONGEST]:
        rows, distances = edits.near(word, table, edits.lengths(table), edits.marks(table), most)
        expected = {row: plainly(word, other) for row, other in enumerate(words) if plainly(word, other) <= most}
        assert dict(zip(rows.tolist(), distances.tolist(), strict=True)) == expected


def test_nothing_is_near_to_nothing():
    none = spelling.NO_WORDS
    assert none.nearest("anything") is None
    assert (none.count("x"), none.beginning("x", 3)) == (0, [])
    assert edits.near("", edits.codes(["a"]), np.ones(1, np.int64), np.ones(1, np.uint64), 1)[0].size == 0


@pytest.mark.django_db
@pytest.mark.database
class TestTheShopsWords:
    def test_come_from_all_that_is_read_of_items(self, shelf):
        Item.objects.filter(pk="mine").update(attributes={"binding": "hardback", "tags": ["sooty", 1]})
        known = spelling.words()
        for word in ("germinal", "zola", "novels", "books", "hardback", "sooty", "berlin", "detectives"):
            assert known.count(word), word
        assert known.count("hidden") == 0
        assert known.count("mine") == 3

    @pytest.mark.parametrize(
        ("typed", "meant"),
        [
            ("germnial", "germinal"),  # two letters swapped
            ("germinnal", "germinal"),
            ("gerninal", "germinal"),
            ("kastnr", "kästner"),  # as it is written
            ("detektivs", "detectives"),  # two edits of a long word
            ("zolla", "zola"),
            ("zo", None),  # too short
            ("m1ne", None),  # a number is no misspelling
            ("xylophone", None),
        ],
    )
    def test_mend_others(self, shelf, typed, meant):
        found = spelling.words().nearest(typed)
        assert (found and found[0]) == meant

    def test_fewest_edits_then_the_first_letter_then_the_more_frequent(self, db):
        for number, title in enumerate(["boot"] + 3 * ["foot"] + 2 * ["root"]):
            Item.objects.create(id=f"item-{number}", title=title)
        assert spelling.words().nearest("roott")[0] == "root"
        assert spelling.words().nearest("woot")[0] == "foot"
        assert spelling.words().nearest("bool")[0] == "boot"

    def test_go_on(self, shelf):
        assert spelling.words().beginning("ger", 5) == ["germinal"]
        assert spelling.words().beginning("m", 1) == ["mine"]
        assert spelling.words().beginning("käs", 5) == spelling.words().beginning("kas", 5) == ["kästner"]

    def test_a_new_word_is_known_at_the_next_look(self, shelf, monkeypatch):
        assert spelling.words().count("lantern") == 0
        Item.objects.create(id="new", title="Lantern")
        monkeypatch.setattr(spelling, "LOOK_AGAIN_AFTER_S", 0.0)
        assert spelling.words().count("lantern") == 1

    def test_a_large_shop_reads_the_file_and_what_is_new_since(self, shelf, monkeypatch):
        monkeypatch.setattr(spelling, "AT_REQUEST", 2)
        monkeypatch.setattr(spelling, "AT_REQUESTS", 3)
        monkeypatch.setattr(spelling, "BATCH", 2)
        assert spelling.words().count("strasse") == 0  # too many for a request
        assert spelling.refresh()
        assert not spelling.refresh()
        Item.objects.create(id="new", title="Lantern")
        spelling.forget()
        known = spelling.words()
        assert (known.count("strasse"), known.count("lantern"), known.count("mine")) == (1, 1, 3)
        assert known.nearest("kastnr")[0] == "kästner"

    def test_a_shop_that_is_small_after_much_came_and_went_needs_no_worker(self, db, monkeypatch):
        monkeypatch.setattr(spelling, "AT_REQUESTS", 3)
        for number in range(10):
            Item.objects.create(id=f"item-{number}", title="Lantern")
        Item.objects.exclude(pk="item-9").delete()
        assert spelling.words().count("lantern") == 1

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"nonsense"])
    def test_a_damaged_file_is_passed_over_and_written_anew(self, shelf, content):
        conf().artifacts_dir.mkdir(parents=True)
        (conf().artifacts_dir / spelling.FILE).write_bytes(content)
        assert spelling.words().count("germinal") == 1
        assert spelling.refresh(always=True)
        assert spelling._stored().count("germinal") == 1

    def test_the_file_of_another_database_is_passed_over(self, shelf):
        spelling.refresh(always=True)
        Item.objects.all().delete()
        Item.objects.create(id="new", title="Lantern")
        stored = spelling._stored()
        assert stored.count("germinal")
        spelling.forget()
        assert spelling.words().count("lantern") == 1
        assert spelling.refresh(always=True)
        assert spelling._stored().count("germinal") == 0

    def test_strange_texts_are_no_trouble(self, db):
        for number, title in enumerate(["😀", "東京物語", "𝔉𝔯𝔞𝔨𝔱𝔲𝔯", "x" * 300, "\u0301", "١٢٣", "हिन्दी", "İ", "ß"]):
            Item.objects.create(id=f"item-{number}", title=title, attributes={"a": [1, None], "b": {"c": "d"}})
        assert spelling.words().count("東京物語") == 1
        assert spelling.refresh(always=True)
        assert spelling._stored().folded.tolist() == spelling.words().folded.tolist()
