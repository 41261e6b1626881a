"""Answers by templates: what is found keeps to every limit, and the sentence says what is so."""

from decimal import Decimal

import pytest

from recommender.models import Item
from recommender.services.assistant import replies
from recommender.services.assistant.replies import restored
from recommender.services.assistant.wish import Wish
from recommender.services.errors import InvalidInput

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.usefixtures("shop")]


def found(reply: replies.Reply) -> set[str]:
    return {entry.item.pk for entry in reply.shelf.entries}


def test_words_and_a_price() -> None:
    reply = replies.reply("a gift for someone who likes the sea, under 20", Wish(), None)
    assert found(reply) == {"tide"}  # not what is dearer, sold out or not shown
    assert "“sea”" in reply.text
    assert "up to £20.00" in reply.text
    assert reply.shelf.entries[0].reason == "Speaks of sea"


def test_refining_keeps_what_was_said() -> None:
    first = replies.reply("the sea", Wish(), None)
    assert found(first) == {"tide", "harbour", "storm"}
    prints = replies.reply("only prints", restored(first.state), None)
    assert found(prints) == {"harbour", "storm"}
    calm = replies.reply("without clouds", restored(prints.state), None)
    assert found(calm) == {"harbour"}
    others = replies.reply("something else", restored(first.state), None)
    assert not found(others)
    assert "Nothing here fits" in others.text


def test_where_the_price_leaves_nothing_the_answer_says_so_and_shows_the_cheapest_first() -> None:
    reply = replies.reply("the sea, under 5", Wish(), None)
    assert "Nothing fits" in reply.text
    prices = [entry.item.price for entry in reply.shelf.entries]
    assert prices == sorted(prices)
    assert prices[0] == Decimal("12.00")


def test_where_the_category_leaves_nothing_the_rest_of_the_shop_is_shown() -> None:
    reply = replies.reply("prints of mountains", Wish(), None)
    assert found(reply) == {"alps"}
    assert "Elsewhere" in reply.text


def test_a_greeting_is_answered_with_what_the_shop_would_recommend() -> None:
    reply = replies.reply("hello", Wish(), None)
    assert found(reply)
    assert reply.asks


def test_an_empty_message_is_refused() -> None:
    with pytest.raises(InvalidInput):
        replies.reply("  ", Wish(), None)


def test_a_state_comes_back_whole_and_a_forged_one_is_nothing() -> None:
    wish = replies.reply("the sea, under 20, no ghosts", Wish(), None)
    again = restored(wish.state)
    assert (again.words, again.most, again.without) == ("sea", Decimal("20"), ("ghosts",))
    assert again.shown == ("tide",)
    assert restored(wish.state[:-2]) == restored("nonsense") == restored("") == Wish()


@pytest.mark.parametrize(
    "message", ["\U0001f30a", "' OR 1=1 --", "<script>alert(1)</script>", "a" * 5000, '"(* AND NEAR', "\u6d77"]
)
def test_strange_messages_are_answered(message: str) -> None:
    assert replies.reply(message, Wish(), None).text


def test_what_is_sold_out_a_moment_later_is_gone() -> None:
    Item.objects.filter(pk="tide").update(stock=0)
    assert "tide" not in found(replies.reply("the sea", Wish(), None))


def test_a_message_that_changes_nothing_is_answered_with_how_to_change_something() -> None:
    first = replies.reply("the sea", Wish(), None)
    again = replies.reply("thanks!", restored(first.state), None)
    assert "Say what to change" in again.text
    assert found(again) == found(first)
