"""The review queue in the console: what it shows, what staff decide there, and who may."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from recommender.admin import verdict_charts
from recommender.models import Decision, Event, Item, Order, Review, Screening, Verdict, Visitor
from recommender.services.screening import verdicts
from recommender.services.screening.evidence import Day, Figure

pytestmark = [pytest.mark.django_db, pytest.mark.database]

LIST = "/admin/recommender/verdict/"
DECIDE = "/admin/recommender/verdict/decide/"
EVIDENCE = {
    "figures": [
        {"name": "partners", "label": "Partners", "value": 7, "usual": 0, "low": 0, "high": 1},
        {"name": "burst_share", "label": "Burst share", "value": 0.9, "usual": None, "low": None, "high": None},
    ],
    "targets": ["item-1", "item-2"],
    "timeline": [{"day": "2026-03-01", "kinds": {"rating": 2, "view": 1}}, {"day": "2026-03-20", "kinds": {"view": 1}}],
    "members": ["shill-1", "shill-2"],
    "features": {"partners": 7.0, "burst_share": 0.9},
}
REASON = "Gave 5 stars to the same 2 items within 3 days as 2 others."


@pytest.fixture
def ring(shop: list[Item]) -> list[Verdict]:
    """Three who praise the same two items within three days."""
    rows = []
    for k in range(3):
        visitor = Visitor.objects.create(id=f"shill-{k}", kind="external")
        for item in shop[1:3]:
            Event.objects.create(visitor=visitor, item=item, kind="rating", value=5)
        row = Verdict.objects.create(
            subject="profile", subject_id=visitor.pk, visitor=visitor, kind="push", probability=0.95 - k / 100,
            reasons=[REASON, "Nothing else.", "A third."], evidence=EVIDENCE, group="ring", state="quarantined",
        )  # fmt: skip
        Decision.objects.create(
            verdict=row, action="quarantine", before="", after="quarantined", batch=uuid.UUID(int=1)
        )
        rows.append(row)
    return rows


def page(row: Verdict) -> str:
    return reverse("admin:recommender_verdict_change", args=[row.pk])


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def states() -> list[str]:
    return list(Verdict.objects.order_by("pk").values_list("state", flat=True))


# The queue


def test_the_queue_says_what_why_how_surely_and_about_which_items(console: Client, ring: list[Verdict]) -> None:
    text = console.get(LIST).content.decode()
    for words in ("Push", "shill-0", REASON, "and 1 more", "95 %", "Book 1", "Book 2", "3 of a group", "quarantined"):
        assert words in text
    assert "A third." not in text
    assert reverse("admin:recommender_visitor_change", args=["shill-0"]) in text


def test_it_opens_with_those_that_wait_the_most_certain_first(console: Client, ring: list[Verdict]) -> None:
    Verdict.objects.filter(pk=ring[0].pk).update(state="released")
    Verdict.objects.filter(pk=ring[2].pk).update(probability=0.99)
    shown = console.get(LIST).context["cl"].result_list
    assert [row.subject_id for row in shown] == ["shill-2", "shill-1"]
    assert len(console.get(f"{LIST}?state=all").context["cl"].result_list) == 3
    assert [row.subject_id for row in console.get(f"{LIST}?state=released").context["cl"].result_list] == ["shill-0"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("q=shill-1", 1), ("q=item-2", 3), ("q=item-9", 0), ("q=shill", 0), ("kind=push", 3), ("kind=nuke", 0),
        ("group=ring", 3), ("group=none", 0), ("subject__exact=review", 0), ("q=%25", 0), ("state=nonsense", 3),
        ("o=1.2", 3), ("q=" + "x" * 3000, 0),
    ],
)  # fmt: skip
def test_filters_and_search(console: Client, ring: list[Verdict], query: str, count: int) -> None:
    assert len(console.get(f"{LIST}?{query}").context["cl"].result_list) == count


def test_empty_states_say_what_to_do(console: Client, shop: list[Item]) -> None:
    assert "Nothing was screened yet" in console.get(LIST).content.decode()
    Screening.objects.create(status="succeeded", finished_at=timezone.now())
    assert "Nothing was found" in console.get(LIST).content.decode()
    Verdict.objects.create(subject="access", subject_id="x", kind="guessing", probability=0.6, state="released")
    assert "Nothing waits" in console.get(LIST).content.decode()
    assert "None like that" in console.get(f"{LIST}?q=zzz").content.decode()


def test_ten_thousand_verdicts_cost_as_many_queries_as_three(console: Client, ring: list[Verdict]) -> None:
    def asked(url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert console.get(url).status_code == 200
        return len(queries)

    asked(LIST)  # what is read once in a process
    few, one = asked(LIST), asked(page(ring[0]))
    Verdict.objects.bulk_create(
        Verdict(
            subject="session", subject_id=f"s{k}", kind="push", probability=0.9, group=f"g{k // 9}",
            evidence=EVIDENCE if k % 50 == 0 or k > 9_900 else {},
        )
        for k in range(10_000)
    )  # fmt: skip
    assert asked(LIST) <= few and asked(f"{LIST}?p=300") <= few + 1
    assert asked(page(ring[0])) <= one + 1
    assert asked("/admin/") < 40


# Deciding


def test_an_action_first_shows_what_it_does_then_does_it_and_can_be_undone(
    console: Client, ring: list[Verdict]
) -> None:
    chosen = [str(row.pk) for row in ring[:2]]
    asked = console.post(f"{LIST}?q=item-1", {"action": "release", "_selected_action": chosen, "index": 0})
    text = asked.content.decode()
    assert "Release 2 verdicts?" in text and "4 events of 2 visitors are learned from in full" in text
    assert set(states()) == {"quarantined"}  # nothing is done yet
    form = {"ids": asked.context["ids"], "action": "release", "note": "known", "back": asked.context["back"]}
    done = console.post(DECIDE, form, follow=True)
    assert done.redirect_chain[-1][0] == f"{LIST}?q=item-1"
    assert states() == ["released", "released", "quarantined"]
    assert "2 verdicts are released." in said(done)[0] and "Undo" in said(done)[0]
    batch = Decision.objects.filter(action="release").values_list("batch", flat=True)[0]
    undone = console.post(reverse("admin:recommender_verdict_undo", args=[batch]), {"back": "q=item-1"}, follow=True)
    assert said(undone) == ["Undone: 2 verdicts are as before."] and set(states()) == {"quarantined"}
    assert Decision.objects.filter(note="known", by__username="ada").count() == 2


def test_all_pages_can_be_chosen_at_once(console: Client, ring: list[Verdict]) -> None:
    form = {"action": "confirm", "_selected_action": [ring[0].pk], "select_across": "1", "index": 0}
    assert console.post(LIST, form).context["effect"].changing == 3


def test_one_is_decided_on_its_page(console: Client, ring: list[Verdict]) -> None:
    form = {"ids": ring[0].pk, "page": ring[0].pk, "action": "confirm", "note": "<b>sure</b>"}
    answer = console.post(DECIDE, form, follow=True)
    assert answer.redirect_chain[-1][0] == page(ring[0]) and states()[0] == "confirmed"
    text = answer.content.decode()
    assert "&lt;b&gt;sure&lt;/b&gt;" in text and "Undo the last decision" in text
    assert "quarantined → confirmed" in text
    assert 'value="confirm"' not in text and 'value="release"' in text


def test_a_whole_group_is_decided_at_once(console: Client, ring: list[Verdict]) -> None:
    Verdict.objects.filter(pk=ring[2].pk).update(state="released")
    asked = console.get(f"{DECIDE}?group=ring&action=confirm")
    assert asked.context["effect"].changing == 2 and asked.context["ids"] == f"{ring[0].pk},{ring[1].pk}"


def test_what_is_so_already_or_gone_changes_nothing_and_is_said(console: Client, ring: list[Verdict]) -> None:
    form = {"ids": f"{ring[0].pk},999999", "action": "quarantine"}
    assert said(console.post(DECIDE, form, follow=True)) == ["Nothing changed (1 already was; 1 is gone)."]
    assert "Nothing changes" in console.get(f"{DECIDE}?ids=999999&action=confirm").content.decode()


@pytest.mark.parametrize(
    "form",
    [
        {}, {"ids": "", "action": "confirm"}, {"ids": "1;2", "action": "confirm"},
        {"ids": "9" * 40, "action": "confirm"},
        {"ids": "1", "action": "delete"}, {"ids": "1"}, {"group": "nobody", "action": "confirm"},
        {"ids": "1", "action": "confirm", "note": "x" * 500},
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_words(console: Client, ring: list[Verdict], form: dict[str, str]) -> None:
    answer = console.post(DECIDE, form, follow=True)
    assert answer.status_code == 200 and len(said(answer)) == 1 and set(states()) == {"quarantined"}
    if "note" not in form:
        assert console.get(DECIDE, form, follow=True).status_code == 200


def test_a_list_address_that_is_posted_leads_nowhere_else(console: Client, ring: list[Verdict]) -> None:
    form = {"ids": ring[0].pk, "action": "release", "back": "https://evil.example/?a=1&b=2"}
    assert console.post(DECIDE, form).url.startswith(f"{LIST}?")


def test_undoing_what_is_gone_or_decided_since_is_said(console: Client, ring: list[Verdict], boss: Any) -> None:
    unknown = reverse("admin:recommender_verdict_undo", args=[uuid.uuid4()])
    assert "nothing to undo" in said(console.post(unknown, follow=True))[0]
    assert console.get(unknown).status_code == 405
    done = verdicts.decide([ring[0].pk], "confirm", boss)
    verdicts.decide([ring[0].pk], "release", boss)
    answer = console.post(reverse("admin:recommender_verdict_undo", args=[done.batch]), follow=True)
    assert said(answer) == ["1 verdict changed since, and stays so."] and states()[0] == "released"


# Who may


def test_who_may_only_look_sees_no_buttons_and_decides_nothing(
    staff: Callable[..., Client], ring: list[Verdict]
) -> None:
    client = staff("view_verdict")
    listed, one = client.get(LIST).content.decode(), client.get(page(ring[0])).content.decode()
    assert REASON in listed and "_selected_action" not in listed and "Screen now" not in listed
    assert REASON in one and '<button type="submit" name="action"' not in one and "Undo" not in one
    assert client.post(DECIDE, {"ids": ring[0].pk, "action": "confirm"}).status_code == 403
    assert client.get(f"{DECIDE}?ids={ring[0].pk}&action=confirm").status_code == 403
    assert client.post(reverse("admin:recommender_verdict_undo", args=[uuid.uuid4()])).status_code == 403
    assert set(states()) == {"quarantined"}


def test_who_may_not_look_sees_nothing(staff: Callable[..., Client], ring: list[Verdict]) -> None:
    client = staff("view_visitor")
    assert client.get(LIST).status_code == client.get(page(ring[0])).status_code == 403
    visitor = client.get(reverse("admin:recommender_visitor_change", args=["shill-0"])).content.decode()
    assert REASON not in visitor and "Whom to trust" not in client.get("/admin/").content.decode()


def test_without_its_token_a_form_is_refused(boss: Any, ring: list[Verdict]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(boss)
    assert client.post(DECIDE, {"ids": ring[0].pk, "action": "confirm"}).status_code == 403
    shown = client.get(page(ring[0]))
    token = shown.context["csrf_token"]
    form = {"ids": ring[0].pk, "action": "confirm", "csrfmiddlewaretoken": str(token)}
    told = said(client.post(DECIDE, form, follow=True))[0]
    within = told.split('csrfmiddlewaretoken" value="')[1].split('"')[0]
    batch = Decision.objects.get(action="confirm").batch
    url = reverse("admin:recommender_verdict_undo", args=[batch])
    assert client.post(url, {"csrfmiddlewaretoken": within}).status_code == 302 and states()[0] == "quarantined"


# The evidence


def test_the_page_shows_the_evidence(console: Client, ring: list[Verdict]) -> None:
    text = console.get(page(ring[0])).content.decode()
    for words in (
        REASON, "A third.", "Partners", "90 %", "Book 1", "5★", "shill-2", "acts with it", "the detectors",
        'role="img"', "Its events are left out", "Of its group of 3", "All events of it",
    ):  # fmt: skip
        assert words in text, words
    assert reverse("admin:recommender_verdict_change", args=[ring[1].pk]) in text


@pytest.mark.parametrize(
    "evidence", [{}, [], None, {"figures": [1], "targets": ["gone", 5], "timeline": 0, "members": ["gone"]}]
)
@pytest.mark.parametrize("subject", ["profile", "review", "order", "session", "access"])
def test_a_page_stands_whatever_the_evidence(console: Client, shop: list[Item], subject: str, evidence: Any) -> None:
    row = Verdict.objects.create(
        subject=subject, subject_id="a/b?c", kind="", probability=1, evidence=evidence or {}, reasons="x"
    )
    if evidence in ([], None):
        Verdict.objects.filter(pk=row.pk).update(evidence=evidence if evidence is not None else "null", reasons={})
    assert console.get(page(row)).status_code == 200
    assert console.get(LIST).status_code == 200


def test_a_review_and_an_order_are_shown(console: Client, shop: list[Item]) -> None:
    review, order = Review.objects.get(), Order.objects.get()
    for subject, one, words in (("review", review, "4 of 5 stars"), ("order", order, "2 × Book 4")):
        row = Verdict.objects.create(
            subject=subject, subject_id=str(one.pk), kind="copied", probability=0.7, visitor_id="reader"
        )
        assert words in console.get(page(row)).content.decode()
    reader = console.get(reverse("admin:recommender_visitor_change", args=["reader"])).content.decode()
    assert reader.count("70 %") == 2


def test_a_verdict_that_is_gone_leads_to_the_queue(console: Client, ring: list[Verdict]) -> None:
    Visitor.objects.get(pk="shill-0").delete()
    answer = console.get(page(ring[0]), follow=True)
    assert answer.redirect_chain[-1][0] == LIST and "There is no verdict" in said(answer)[0]


def test_deleted_targets_are_named_by_their_ids(console: Client, ring: list[Verdict]) -> None:
    Verdict.objects.update(evidence={**EVIDENCE, "targets": ["gone-1"]})
    assert "gone-1" in console.get(LIST).content.decode() and "gone-1" in console.get(page(ring[0])).content.decode()


def test_the_start_page_tells_what_waits(console: Client, ring: list[Verdict]) -> None:
    text = console.get("/admin/").content.decode()
    assert "3 verdicts" in text and "3 are left out of training meanwhile" in text and page(ring[0]) in text
    verdicts.decide([row.pk for row in ring], "confirm", None)
    assert "Nothing waits" in console.get("/admin/").content.decode()


def test_the_start_page_before_anything_was_screened(staff: Callable[..., Client]) -> None:
    assert "Nothing was screened yet" in staff("view_verdict").get("/admin/").content.decode()


# Pictures


def test_a_timeline_points_at_the_short_time_that_holds_half_of_it() -> None:
    days = [Day("2026-01-01", {"view": 1}), Day("2026-02-10", {"rating": 6}), Day("2026-02-11", {"rating": 4})]
    chart = verdict_charts.timeline([*days, Day("2026-06-01", {"view": 2})])
    assert chart is not None and chart["total"] == 13 and chart["weeks"] == 1
    window = chart["window"]
    assert (str(window["first"]), str(window["last"]), window["events"]) == ("2026-02-10", "2026-02-11", 10)
    assert sum(bar["total"] for bar in chart["bars"]) == 13
    assert verdict_charts.timeline([]) is None


def test_a_timeline_of_years_keeps_its_bars_few_and_its_kinds_apart() -> None:
    kinds = {kind: place + 1 for place, kind in enumerate(("view", "click", "like", "cart", "purchase", "rating"))}
    chart = verdict_charts.timeline([Day("2010-01-01", kinds), Day("2026-12-31", {"view": 100})])
    assert chart is not None and len(chart["bars"]) <= verdict_charts.MOST_BARS + 1
    assert [one["kind"] for one in chart["kinds"]] == ["view", "rating", "purchase", "other"]
    assert sum(one["count"] for one in chart["kinds"]) == chart["total"] == 121
    height = sum(float(part["height"]) for part in chart["bars"][-1]["parts"])
    assert 0 < height <= verdict_charts.HEIGHT


def test_strips_stand_within_their_picture_and_say_where_the_own_value_is() -> None:
    figures = [
        Figure("a", "A", 7, 1, 0, 2), Figure("b_share", "B", 0.25), Figure("c", "C", 3, 3, 3, 3),
        Figure("d_s", "D", -1e9, 4, 2, 1), Figure("e_s", "E", 90, 10, 5, 200_000),
    ]  # fmt: skip
    rows = verdict_charts.strips(figures)
    assert rows[0]["side"] == "above, outside the middle half" and rows[2]["side"] == "as usual"
    assert rows[1]["value"] == "25 %" and rows[4]["value"] == "1 min 30 s" and rows[4]["high"] == "2.31 days"
    for row in rows:
        assert 0 <= float(row["x"]) <= row["width"] and 0 <= float(row.get("usual_x", 0)) <= row["width"]
