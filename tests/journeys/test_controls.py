"""What shoppers decide about their recommendations, in a real browser: by keyboard, and without scripts."""

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.journey

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


def first_pick(page: Page) -> str:
    return page.locator("section", has=page.locator("#shelf-for-you")).locator(".card h3").first.inner_text()


def look_around(page: Page) -> None:
    for place in (0, 1):
        page.goto("/")
        page.locator(".card h3 a").nth(place).click()
        page.wait_for_load_state()
    page.goto("/")


def test_why_opens_by_keyboard_and_what_is_not_wanted_leaves_the_shelf(visit):
    page = visit()
    look_around(page)
    title = first_pick(page)
    link = page.get_by_role("link", name=f"Why {title}?").first
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=f"Why {title}?")
    expect(dialog.get_by_text(re.compile("You looked at")).first).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Not interested in this").click()
    expect(page.locator(".notes")).to_contain_text(f"{title} will not be recommended")
    assert first_pick(page) != title
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".notes")).to_contain_text("may be recommended to you again")
    assert first_pick(page) == title


def test_a_reason_can_be_removed_without_scripts(visit):
    page = visit(**PHONE, java_script_enabled=False)
    look_around(page)
    page.get_by_role("link", name=f"Why {first_pick(page)}?").first.click()
    page.get_by_role("button", name=re.compile("Don’t use this")).first.click()
    expect(page).to_have_url(re.compile(r"/$"))  # back where it was asked
    expect(page.locator(".notes")).to_contain_text("no reason for anything any more")


def test_a_slider_says_where_it_stands(visit):
    page = visit(**PHONE)
    page.goto("/account/recommendations/")
    slider = page.get_by_role("slider").first
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "More")
    page.get_by_role("button", name="Save topics").click()
    expect(page.locator(".notes")).to_contain_text("Saved")
    expect(page.get_by_role("slider").first).to_have_value("1")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
