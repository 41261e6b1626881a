"""What is understood of a sentence, one after another."""

from decimal import Decimal

import pytest

from recommender.services.assistant.wish import Wish, understand

CATEGORIES = {"books": "Books", "prints": "Prints", "records": "Records", "sea-stories": "Sea stories"}


def heard(*messages: str, shown: tuple[str, ...] = ()) -> Wish:
    wish = Wish(shown=shown)
    for message in messages:
        wish = understand(message, wish, CATEGORIES)
        wish = Wish(**{**vars(wish), "shown": shown})
    return wish


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("a gift for someone who likes the sea, under 20", "sea"),
        ("Could you please show me something about mountains?", "mountains"),
        ("I want a present for my mother, she loves gardening", "gardening"),
        ("1984 by George Orwell", "1984 by george orwell"),
        ("???", ""),
        ("", ""),
        ("\u6d77 \U0001f30a", "\u6d77"),
    ],
)
def test_what_is_searched_for(message: str, words: str) -> None:
    assert heard(message).words == words


@pytest.mark.parametrize(
    ("message", "least", "most"),
    [
        ("sea, under 20", None, "20"),
        ("sea below £12.50", None, "12.50"),
        ("sea for up to 15 pounds", None, "15"),
        ("sea, 20 or less", None, "20"),
        ("sea over 30", "30", None),
        ("sea at least £30", "30", None),
        ("sea between 10 and 25", "10", "25"),
        ("sea between 25 and 10", "10", "25"),
        ("sea, 10-25 euros", "10", "25"),
        ("sea around £20", "15", "25"),
        ("20,000 leagues under the sea", None, None),
        ("the 39 steps", None, None),
    ],
)
def test_prices(message: str, least: str | None, most: str | None) -> None:
    wish = heard(message)
    assert wish.least == (None if least is None else Decimal(least))
    assert wish.most == (None if most is None else Decimal(most))


def test_a_category_is_recognised_by_its_name_or_slug_in_singular_and_plural() -> None:
    assert heard("a print with mountains").category == "prints"
    assert heard("Records with piano").category == "records"
    assert heard("sea stories for children").category == "sea-stories"
    assert heard("printing presses").category is None


def test_what_is_not_wanted() -> None:
    assert heard("crime but no ghosts and without blood").without == ("ghosts", "blood")


def test_a_message_without_words_changes_the_wish_before_it() -> None:
    wish = heard("the sea, under 20", "only prints", "cheaper", "not blue")
    assert (wish.words, wish.category, wish.most, wish.without) == ("sea", "prints", Decimal("15.00"), ("blue",))


def test_new_words_are_a_new_wish_unless_they_are_added() -> None:
    assert heard("the sea, under 20", "jazz records").most is None
    assert heard("jazz records", "and with piano").words == "jazz piano"


def test_places_and_other_ones() -> None:
    shown = ("a", "b", "c")
    assert heard("sea", "like the second one", shown=shown).like == "b"
    assert heard("sea", "more like the last", shown=shown).like == "c"
    assert heard("sea", "like the fifth", shown=shown).like is None
    assert heard("sea", "something else", shown=shown).passed == shown


def test_the_price_may_be_freed_again() -> None:
    assert heard("sea under 20", "price doesn't matter").most is None
