"""What staff see of cheats and do about them, by keys alone, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.test_console import log_in

pytestmark = pytest.mark.journey


def listens(page):
    """Keys are heard once the script has shown its button."""
    expect(page.get_by_role("button", name="Keys: ?")).to_be_visible()


def test_the_first_visit_shows_cheats_and_keys_decide_and_undo(visit, site):
    page = visit()
    log_in(page)
    page.goto("/admin/")
    card = page.locator(".console-card", has_text="Whom to trust")
    expect(card.get_by_text("wait for a decision")).to_be_visible()  # the first training has screened
    card.get_by_role("link", name=re.compile(r"^\d+ verdicts$")).click()

    listens(page)
    first = page.locator("#result_list tbody tr").first
    page.keyboard.press("j")
    expect(first).to_have_class(re.compile("is-current"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.locator("#searchbar").press_sequentially("crqx?")  # typing decides nothing
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(first.get_by_role("checkbox")).not_to_be_checked()
    page.locator("#searchbar").evaluate("field => field.blur()")
    page.keyboard.press("x")
    expect(first.get_by_role("checkbox")).to_be_checked()
    page.keyboard.press("c")
    expect(page.get_by_role("heading", name="Confirm 1 verdict?")).to_be_visible()
    page.get_by_label("Note").fill("a clear case")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("1 verdict is confirmed.")).to_be_visible()
    listens(page)
    page.keyboard.press("u")
    expect(page.get_by_text("Undone: 1 verdict is as before.")).to_be_visible()
    listens(page)

    page.keyboard.press("j")
    page.keyboard.press("o")
    expect(page.get_by_role("heading", name="What became of it")).to_be_visible()
    expect(page.get_by_text("a clear case")).to_be_visible()
    listens(page)
    page.keyboard.press("r")
    expect(page.get_by_text("1 verdict is released.")).to_be_visible()
    listens(page)
    page.keyboard.press("u")
    expect(page.get_by_text("Undone: 1 verdict is as before.")).to_be_visible()
    listens(page)
    here = page.url
    page.keyboard.press("j")
    expect(page).not_to_have_url(here)
    expect(page.get_by_role("heading", name="Why")).to_be_visible()
