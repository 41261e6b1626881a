"""Rules in the console: written, previewed on real lists, switched on and off, undone; who may, and what is kept."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recommender.admin.rule_form import FIELDS, LANGUAGE, SHELVES
from recommender.models import Event, Item, Rule
from recommender.services import filtering, rules, serving
from recommender.services.rules import previewing

pytestmark = [pytest.mark.django_db, pytest.mark.database]

LIST = reverse("admin:recommender_rule_changelist")
ADD = reverse("admin:recommender_rule_add")
GOOD = {"name": "No third book", "action": "exclude", "condition": 'id = "item-3"', "priority": "0"}


@pytest.fixture(autouse=True)
def _commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a commit is done at once, though a test's transaction never ends."""
    monkeypatch.setattr("django.db.transaction.on_commit", lambda act: act())


def page(row: Rule, name: str = "change") -> str:
    return reverse(f"admin:recommender_rule_{name}", args=[row.pk])


def told(client: Client, url: str, **fields: str) -> str:
    """What a page says to this form, or where nothing is given, to a visit."""
    answer = client.post(url, fields, follow=True) if fields else client.get(url, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def mark(html: str) -> str:
    found = re.search(r'name="previewed" value="(\w+)"', html)
    assert found is not None, html
    return found[1]


def write(client: Client, **fields: str) -> Rule:
    """A rule that was previewed and switched on."""
    asked = {**GOOD, **fields}
    told(client, ADD, **asked, _on="", previewed=mark(told(client, ADD, **asked, _preview="")))
    return Rule.objects.get(name=asked["name"])


def stored(**fields: Any) -> Rule:
    return Rule.objects.create(**{**GOOD, "priority": 0, "enabled": True, **fields})


def test_from_an_empty_list_to_a_rule_that_acts(console: Client, shop: list[Item], boss: Any) -> None:
    assert "Write the first rule" in told(console, LIST)
    html = told(console, ADD, **GOOD, _preview="")
    assert not Rule.objects.exists()  # looking saves nothing
    assert "1 item in the shop matches." in html
    before = [entry.item.pk for entry in serving.popular(10).entries]
    assert "item-3" in before
    html = told(console, ADD, **GOOD, _on="", previewed=mark(html))
    assert "No third book is on: it acts from the next request on." in html
    row = Rule.objects.get()
    assert (row.enabled, row.changed_by) == (True, boss)
    acting = rules.acting("popular")  # at once, although they were read a moment ago
    assert [rule.name for rule in acting] == ["No third book"]
    after = [entry.item.pk for entry in serving.popular(10, terms=serving.Terms(acting=acting)).entries]
    assert after == [item_id for item_id in before if item_id != "item-3"]
    assert LogEntry.objects.get().get_change_message() == "Added."


def test_a_preview_compares_real_lists(console: Client, shop: list[Item]) -> None:
    fields = {**GOOD, "action": "pin", "position": "1", "condition": 'id in ("item-2", "item-3")', "shelf": "popular"}
    html = told(console, ADD, **fields, _preview="")
    assert "Puts the best match at place 1, on popular" in html
    assert "2 items in the shop match." in html
    seen = previewing.preview(Rule(**{**fields, "position": 1, "priority": 0}))
    popular = seen.lists[-1]
    assert popular.changed
    first = popular.after[0]
    assert (first.item.pk, first.mark, first.named) == ("item-2", "up", True)
    assert first.was is not None
    assert f"up from {first.was}" in html
    assert not any(one.changed for one in seen.lists[:-1])  # for-you is another shelf
    assert "Nothing changes here." in html


def test_a_preview_shows_what_goes_and_what_comes(shop: list[Item]) -> None:
    for k in range(20):
        Item.objects.create(id=f"more-{k:02}", title=f"More {k}", price=Decimal(3))
    Event.objects.all().delete()  # the newest are shown then
    seen = previewing.preview(Rule(name="No", action="exclude", condition='id = "more-19"'))
    (popular,) = seen.lists
    assert [place.item.pk for place in popular.before if place.mark == "gone"] == ["more-19"]
    assert [place.mark for place in popular.after] == ["up"] * (previewing.PLACES - 1) + ["new"]


def test_a_preview_of_a_visitor(console: Client, shop: list[Item], django_assert_max_num_queries: Any) -> None:
    assert previewing.samples() == ["reader"]
    with django_assert_max_num_queries(40):
        html = told(console, ADD, **GOOD, _preview="", visitor="reader")
    assert reverse("admin:recommender_visitor_change", args=["reader"]) in html
    html = told(console, ADD, **GOOD, _preview="", visitor="no-such")
    assert "There is no visitor &#x27;no-such&#x27;." in html
    assert "Switch on" not in html
    assert "There is no visitor" in told(console, ADD, **GOOD, _preview="", visitor="a b/c")


def test_a_preview_leaves_out_the_rule_as_it_was(shop: list[Item]) -> None:
    row = stored()
    row.condition = 'id = "item-2"'
    seen = previewing.preview(row)
    popular = seen.lists[-1]
    assert "item-3" in {place.item.pk for place in popular.before}
    assert [place.item.pk for place in popular.before if place.mark == "gone"] == ["item-2"]
    assert seen.others == 0
    stored(name="Other", condition='id = "item-1"')
    rules.forget()
    assert previewing.preview(row).others == 1


def test_only_what_was_previewed_is_switched_on(console: Client, shop: list[Item]) -> None:
    html = told(console, ADD, **GOOD, _on="")
    assert "Look again, then switch it on." in html
    assert not Rule.objects.exists()
    changed = {**GOOD, "condition": 'id = "item-5"'}
    html = told(console, ADD, **changed, _on="", previewed=mark(html))
    assert "This is not what the last preview showed." in html
    assert not Rule.objects.exists()
    told(console, ADD, **changed, _on="", previewed=mark(html))
    assert Rule.objects.get().condition == 'id = "item-5"'


def test_what_a_colleague_changed_meanwhile_is_looked_at_again(console: Client, shop: list[Item]) -> None:
    row = write(console)
    mine = {**GOOD, "note": "mine"}
    html = told(console, page(row), **mine, _preview="")
    told(console, page(row), **{**GOOD, "note": "theirs"}, _draft="")
    assert "This is not what the last preview showed." in told(console, page(row), **mine, _on="", previewed=mark(html))
    assert Rule.objects.get().note == "theirs"


def test_a_draft_does_not_act(console: Client, shop: list[Item]) -> None:
    html = told(console, ADD, **GOOD, _draft="")
    assert "No third book is saved; it is off." in html
    assert rules.acting("popular") == ()
    assert 'class="badge badge-cancelled"' in told(console, LIST)


def test_a_change_is_previewed_before_it_acts(console: Client, shop: list[Item]) -> None:
    row = write(console)
    changed = {**GOOD, "condition": 'id = "item-5"'}
    html = told(console, page(row), **changed, _preview="")
    assert rules.acting("popular")[0].condition.text == GOOD["condition"]
    told(console, page(row), **changed, _on="", previewed=mark(html))
    assert rules.acting("popular")[0].condition.text == 'id = "item-5"'


@pytest.mark.parametrize(
    ("fields", "name", "said"),
    [
        ({"condition": "colour = 3"}, "condition", "Column 1: found colour"),
        ({"condition": "price < 20 and"}, "condition", "Column 15: found the end"),
        ({"condition": "\x00"}, "condition", "Null characters are not allowed."),
        ({"condition": "x" * 2001}, "condition", "at most 2000 characters"),
        ({"condition": ""}, "condition", "This field is required."),
        ({"action": "pin"}, "position", "A pin needs a place"),
        ({"action": "pin", "position": "101"}, "position", "less than or equal to 100"),
        ({"action": "pin", "position": "1.5"}, "position", "Enter a whole number"),
        ({"action": "boost"}, "amount", "a factor above 1"),
        ({"action": "boost", "amount": "nan"}, "amount", "Enter a number"),
        ({"action": "bury", "amount": "2"}, "amount", "below 1"),
        ({"action": "limit", "amount": "0.5"}, "amount", "whole number from 1"),
        ({"action": "dance"}, "action", "not one of the available choices"),
        ({"shelf": "attic"}, "shelf", "not one of the available choices"),
        ({"priority": "1001"}, "priority", "from -1000 to 1000"),
        ({"starts_at": "2026-03-02T10:00", "ends_at": "2026-03-01T10:00"}, "ends_at", "after it starts"),
        ({"starts_at": "0001-01-01T00:00"}, "starts_at", "Give a date from 2000"),
        ({"starts_at": "tomorrow"}, "starts_at", "Enter a valid date/time"),
        ({"name": ""}, "name", "This field is required."),
    ],
)
def test_mistakes_are_said_at_their_field(
    console: Client, shop: list[Item], fields: dict[str, str], name: str, said: str
) -> None:
    for button in ("_preview", "_draft", "_on"):
        answer = console.post(ADD, {**GOOD, **fields, button: ""})
        assert answer.status_code == 200
        errors = answer.context["form"].errors
        assert set(errors) == {name}
        assert said in errors[name][0]
    assert not Rule.objects.exists()


def test_what_an_action_does_not_need_is_not_kept(console: Client, shop: list[Item]) -> None:
    row = write(console, amount="0.5", position="999")
    assert (row.amount, row.position) == (None, None)


def test_two_rules_of_one_name_are_refused(console: Client, shop: list[Item]) -> None:
    stored()
    assert "Rule with this Name already exists." in told(console, ADD, **GOOD, _preview="")


def test_the_list_says_what_each_does(console: Client, shop: list[Item], django_assert_max_num_queries: Any) -> None:
    now, hour = timezone.now(), timedelta(hours=1)
    stored(name="a", action="pin", position=2, shelf="for-you")
    stored(name="b", action="boost", amount=1.5, starts_at=now + hour)
    stored(name="c", action="bury", amount=0.5, ends_at=now - hour)
    stored(name="d", action="limit", amount=3, enabled=False)
    stored(name="e", condition="colour = 3")
    with django_assert_max_num_queries(9):
        html = told(console, LIST)
    for said in (
        "Puts the best match at place 2, on for-you", "Counts 1.5 times as much, on every shelf", "Counts 0.5 times",
        "At most 3 of a list", "Is not shown", "found colour", "Skipped: it cannot be understood",
    ):  # fmt: skip
        assert said in html
    states = re.findall(r'<span class="badge badge-\w+" title="[^"]+">(\w+)</span>', html)
    assert sorted(states) == ["broken", "ended", "off", "on", "scheduled"]
    for chosen, names in (("on", "abe"), ("ended", "c"), ("off", "d")):
        shown = told(console, f"{LIST}?state={chosen}")
        assert "".join(sorted(re.findall(r'/change/[^"]*">(\w)</a>', shown))) == names
    assert "This rule is skipped: Column 1: found colour" in told(console, page(Rule.objects.get(name="e")))


def test_switching_off_acts_at_once(console: Client, shop: list[Item]) -> None:
    row = write(console)
    assert console.get(page(row, "off")).status_code == 302  # a visit does nothing
    assert len(rules.acting("popular")) == 1
    assert "is off from the next request on" in told(console, page(row, "off"), now="")
    assert rules.acting("popular") == ()
    other = write(console, name="Other")
    told(console, LIST, action="switch_off", _selected_action=str(other.pk))
    assert rules.acting("popular") == ()
    words = [entry.get_change_message() for entry in LogEntry.objects.filter(object_id=other.pk)]
    assert words == ["Changed enabled.", "Added."]


def test_the_last_change_can_be_undone_and_that_too(console: Client, shop: list[Item]) -> None:
    row = write(console, ends_at="2999-01-01T10:00")
    assert "Undo the last change" not in told(console, page(row))
    assert "There is no change to undo." in told(console, page(row, "undo"))
    changed = {**GOOD, "action": "limit", "amount": "3", "name": "Three"}
    told(console, page(row), **changed, _draft="")
    html = told(console, page(row, "undo"))
    for said in ("Undo the last change of Three?", "No third book", "limit", "2999", "The rule is on then"):
        assert said in html
    assert Rule.objects.get().name == "Three"
    assert "is undone" in told(console, page(row, "undo"), yes="")
    back = Rule.objects.get()
    assert (back.name, back.action, back.amount, back.enabled) == ("No third book", "exclude", None, True)
    assert back.ends_at == row.ends_at
    assert len(rules.acting("popular")) == 1
    told(console, page(row, "undo"), yes="")
    again = Rule.objects.get()
    assert (again.name, again.action, again.amount, again.enabled, again.ends_at) == (
        "Three",
        "limit",
        3.0,
        False,
        None,
    )


def test_an_undo_that_is_no_longer_possible_is_refused(console: Client, shop: list[Item]) -> None:
    row = write(console)
    told(console, page(row), **{**GOOD, "name": "Renamed"}, _draft="")
    stored()  # takes the old name
    assert "Nothing has changed." in told(console, page(row, "undo"), yes="")
    row.refresh_from_db()
    assert row.name == "Renamed"


def test_saving_without_a_change_notes_none(console: Client, shop: list[Item]) -> None:
    row = write(console)
    told(console, page(row), **GOOD, _on="", previewed=mark(told(console, page(row), **GOOD, _preview="")))
    assert "Undo the last change" not in told(console, page(row))


def test_deleting_acts_at_once(console: Client, shop: list[Item]) -> None:
    row = write(console)
    told(console, page(row, "delete"), post="yes")
    assert not Rule.objects.exists()
    assert rules.acting("popular") == ()
    assert "There is no such rule" in told(console, page(row))


def test_who_may_do_what(staff: Callable[..., Client], shop: list[Item]) -> None:
    row = stored()
    viewer = staff("view_rule")
    assert viewer.get(LIST).status_code == 200
    html = told(viewer, page(row))
    assert "disabled" in html
    assert "Preview</button>" not in html
    assert viewer.get(ADD).status_code == 403
    assert viewer.post(ADD, {**GOOD, "_draft": ""}).status_code == 403
    assert viewer.post(page(row), {**GOOD, "_draft": ""}).status_code == 403
    assert viewer.post(page(row, "off")).status_code == 403
    assert viewer.post(page(row, "undo")).status_code == 403
    assert Rule.objects.get().enabled


def test_nobody_else_may(staff: Callable[..., Client]) -> None:
    row, other = stored(), staff("view_item")
    assert [other.get(url).status_code for url in (LIST, ADD, page(row))] == [403, 403, 403]


def test_a_rule_for_a_shelf_that_is_not_listed_keeps_it(console: Client, shop: list[Item]) -> None:
    row = stored(shelf="window")
    assert 'value="window" selected' in told(console, page(row))
    told(console, page(row), **GOOD, shelf="window", _draft="")
    assert Rule.objects.get().shelf == "window"


def test_help_says_only_what_is_understood() -> None:
    for name, _, example in LANGUAGE:
        filtering.parse(example)
        assert name
    words = " ".join(name for name, _, _ in LANGUAGE)
    assert all(field in words for field in filtering.FIELDS)
    assert set(FIELDS) < {field.name for field in Rule._meta.fields}
    assert all(len(shelf) <= 32 for shelf in SHELVES)
