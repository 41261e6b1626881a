"""What staff and programs do, in a real browser against a real worker."""

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.journey


def log_in(page: Page) -> None:
    page.goto("/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("folio-demo")
    page.get_by_role("button", name="Log in").click()


def eventually_live(page: Page) -> None:
    """A run ends a moment before it is published; the page that was loaded in between shows it after a reload."""
    for _ in range(10):
        if page.get_by_text("live", exact=True).count():
            return
        page.wait_for_timeout(300)
        page.reload()
    raise AssertionError("The run did not go live.")


def test_train_watch_publish_and_roll_back(visit):
    page = visit()
    log_in(page)
    page.get_by_role("button", name="Train now").click()
    page.wait_for_url(re.compile(r"/run/\d+/"))
    run = re.search(r"/run/(\d+)/", page.url).group(1)
    expect(page.get_by_text("Succeeded").first).to_be_visible(timeout=60_000)
    expect(page.get_by_text("NDCG@10").first).to_be_visible()
    expect(page.get_by_text("The gate let it pass")).to_be_visible()
    eventually_live(page)
    page.get_by_role("link", name=re.compile("Roll back")).click()
    page.get_by_label("Reason").fill("The old one knew the winter better.")
    page.get_by_role("button", name=re.compile("Roll back")).click()
    page.goto("/admin/")
    expect(page.get_by_text(f"Run {int(run) - 1}").first).to_be_visible()
    page.goto(f"/admin/recommender/run/{run}/change/")
    page.get_by_role("link", name=re.compile("Publish")).click()
    page.get_by_label("Reason").fill("The new one after all.")
    page.get_by_role("button", name=re.compile("Publish")).click()
    page.goto("/admin/")
    expect(page.get_by_text(f"Run {run}").first).to_be_visible()
    expect(page.get_by_text("The new one after all.").first).to_be_visible()


def test_api_documentation_needs_nothing_from_outside(visit):
    page = visit()
    page.goto("/api/v1/docs")
    expect(page.get_by_text("/api/v1/recommendations").first).to_be_visible()


def test_api_key_is_shown_once_and_works(visit, site):
    page = visit()
    log_in(page)
    page.goto("/admin/recommender/apikey/add/")
    page.get_by_label("Name").fill("journey")
    page.locator("[name=scopes][value=read]").check()
    page.get_by_role("button", name=re.compile("Save|Make")).first.click()
    secret = re.search(r"rs_[\w-]{30,}", page.content()).group(0)
    answer = page.request.get("/api/v1/popular?n=3", headers={"X-API-Key": secret})
    assert answer.status == 200
    assert len(answer.json()["items"]) == 3
    page.goto("/admin/recommender/apikey/")
    assert secret not in page.content()
