"""What shoppers do, in a real browser."""

import re
import uuid

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.journey

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


def open_an_item(page: Page, prefix: str = "") -> str:
    """Follow the first card of that kind; returns the item's title."""
    page.goto("/")
    link = page.locator(f'.card a[href*="/item/{prefix}"]').first
    title = link.inner_text().strip()
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    return title


def put_into_cart(page: Page) -> None:
    with page.expect_navigation():  # or the next page asked for would cut the form off
        page.get_by_role("button", name="Add to cart").click()


def register(page: Page) -> None:
    page.goto("/account/register/")
    page.get_by_label("User name").fill(f"shopper-{uuid.uuid4().hex[:8]}")
    page.get_by_label("Password", exact=True).fill("a quiet harbour 9")
    page.get_by_label("Password again").fill("a quiet harbour 9")
    page.get_by_role("button", name="Create the account").click()
    page.wait_for_url("/")


def test_first_click_of_a_guest_changes_the_next_page(visit):
    page = visit()
    page.goto("/")
    expect(page.get_by_role("heading", name="Picked for you")).to_have_count(0)
    title = open_an_item(page)
    page.goto("/")
    expect(page.get_by_role("heading", name=re.compile("Picked for you"))).to_be_visible()
    expect(page.get_by_text(f"Because you looked at {title}").first).to_be_visible()


def test_three_picks_make_shelves_of_ones_own_without_scripts(visit):
    page = visit(**PHONE, java_script_enabled=False)
    page.goto("/")
    page.get_by_role("link", name="Tell us what you like").click()
    for title in [box.inner_text() for box in page.locator(".taste b").all()][:3]:
        page.get_by_role("checkbox", name=re.compile(re.escape(title))).check()
    page.get_by_role("button", name="Show me my shelves").click()
    expect(page.get_by_role("heading", name="Picked for you")).to_be_visible()
    expect(page.get_by_text("Because you liked").first).to_be_visible()
    page.goto("/taste/")
    page.get_by_role("button", name="Start again").click()
    expect(page.get_by_text("taken back")).to_be_visible()


def test_cards_carry_run_shelf_and_position_to_the_click(visit, site):
    page = visit()
    page.goto("/")
    card = page.locator(".card").first
    item_id = card.get_attribute("data-item")
    card.get_by_role("link").first.click()
    page.wait_for_load_state()
    found = site.manage(
        "from recommender.models import Event;"
        f"e = Event.objects.filter(kind='view', item_id={item_id!r}).latest('id');"
        "print(e.run_id, e.shelf, e.position, e.rec_id)"
    ).split()
    live = page.request.get("/api/v1/health").json()["live_run"]
    assert found[0] == str(live)
    assert found[1].split("-")[0] in {"popular", "for"}
    assert found[2] == "1"
    assert uuid.UUID(found[3])


def test_impressions_are_recorded_by_the_beacon(visit, site):
    page = visit()
    count = "from recommender.models import Event; print(Event.objects.filter(kind='impression').count())"
    before = int(site.manage(count))
    page.goto("/")
    page.locator(".card").first.scroll_into_view_if_needed()
    page.wait_for_timeout(1000)  # a card counts as seen after half a second
    page.goto("/categories/")
    assert int(site.manage(count)) > before


def test_buy_something_as_a_guest(visit, site):
    page = visit()
    title = open_an_item(page, "book")
    put_into_cart(page)
    page.goto("/cart/")
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    page.get_by_role("link", name="Go to checkout").click()
    page.get_by_role("button", name="Place the order").click()
    expect(page.get_by_text("This field is required").first).to_be_visible()
    page.get_by_label("Name").fill("Ada Byron")
    page.get_by_label("E-mail").fill("ada@example.org")
    page.get_by_label("Address").fill("12 St James's Square\nLondon")
    page.get_by_role("button", name="Place the order").click()
    expect(page).to_have_url(re.compile("/order/"))
    expect(page.locator("main").get_by_text(title).first).to_be_visible()
    order_url = page.url
    bought = site.manage(
        "from recommender.models import Order; o = Order.objects.latest('placed_at');"
        "print(o.lines.get().item.title, '|', o.visitor.events.filter(kind='purchase').count())"
    )
    assert bought == f"{title} | 1"
    stranger = visit()
    visit.complaints.clear()
    assert stranger.goto(order_url).status == 404
    visit.complaints.clear()  # the browser logs the 404 that we asked for


def test_register_keeps_what_the_guest_did(visit):
    page = visit()
    title = open_an_item(page)
    register(page)
    page.goto("/account/history/")
    expect(page.locator("main").get_by_text(title).first).to_be_visible()
    page.goto("/")
    expect(page.get_by_text(f"Because you looked at {title}").first).to_be_visible()


def test_write_and_remove_a_review(visit):
    page = visit()
    register(page)
    open_an_item(page)
    page.locator("summary", has_text="Write a review").click()
    page.get_by_label("4 stars").check()
    page.get_by_label("Headline").fill("Kept me up late")
    page.get_by_label("Your review").fill("A slow start and a fine ending.")
    page.locator("form[action*='/review/'] button[type=submit]").first.click()
    expect(page.get_by_role("heading", name="Kept me up late")).to_be_visible()
    page.locator("summary", has_text="Change your review").click()
    page.get_by_role("button", name="Delete your review").click()
    expect(page.get_by_role("heading", name="Kept me up late")).to_have_count(0)


def test_search_finds_and_offers_something_when_it_does_not(visit):
    page = visit()
    page.goto("/")
    title = page.locator(".card a").first.inner_text().strip()
    page.get_by_role("combobox").fill(title)
    page.get_by_role("combobox").press("Enter")
    expect(page.locator("main").get_by_role("link", name=title).first).to_be_visible()
    page.goto("/search/?q=zzqqxx")
    expect(page.locator("main .card").first).to_be_visible()


def test_suggestions_can_be_walked_with_the_keyboard(visit):
    page = visit()
    page.goto("/")
    box, offers = page.get_by_role("combobox"), page.get_by_role("option")
    box.press_sequentially("sea")
    expect(offers.first).to_be_visible()
    expect(box).to_have_attribute("aria-expanded", "true")
    box.press("ArrowDown")
    expect(offers.first).to_have_attribute("aria-selected", "true")
    box.press("Escape")
    expect(offers.first).not_to_be_visible()
    expect(box).to_have_value("sea")
    box.press("ArrowDown")
    expect(offers.first).to_be_visible()
    box.press("ArrowDown")
    title = offers.first.locator("span").inner_text()
    box.press("Enter")
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()


def test_results_can_be_narrowed_down_and_widened(visit):
    page = visit()
    page.goto("/search/?q=sea")
    facet = page.locator(".facets a").first
    name, count = facet.locator("span").inner_text(), facet.locator("b").inner_text()
    facet.click()
    expect(page.get_by_role("status").filter(has_text=f"{count} title")).to_be_visible()
    page.locator("nav[aria-label=Chosen] a", has_text=name).click()
    expect(page).to_have_url(re.compile(r"/search/\?q=sea$"))


def test_a_record_can_be_heard(visit):
    page = visit()
    open_an_item(page, "record")
    seconds = page.locator("audio").evaluate(
        """audio => new Promise((resolve, reject) => {
            audio.onloadedmetadata = () => resolve(audio.duration);
            audio.onerror = () => reject(new Error('cannot be played'));
            audio.preload = 'metadata'; audio.load();
        })"""
    )
    assert 7 < seconds < 9


def test_keyboard_reaches_the_content(visit):
    page = visit()
    page.goto("/")
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    expect(skip).to_have_attribute("href", re.compile("#"))
    skip.press("Enter")
    assert "#" in page.url


def test_shop_works_without_javascript(visit):
    page = visit(java_script_enabled=False)
    title = open_an_item(page, "book")
    put_into_cart(page)
    page.goto("/cart/")
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    page.get_by_role("button", name=f"Remove {title}").click()
    expect(page.get_by_text(f"{title} was removed.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()


@pytest.mark.parametrize(
    "path", ["/", "/categories/", "/category/books/", "/search/?q=sea", "/cart/", "/account/login/"]
)
def test_nothing_is_wider_than_a_phone(visit, path):
    page = visit(**PHONE)
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(visit, scheme):
    """Contrast of body text against the page, WCAG 2 AA (4.5 to 1)."""
    page = visit(color_scheme=scheme)
    page.goto("/")
    ratio = page.evaluate(
        """() => {
            const rgb = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
            const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
                .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
                .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
            const style = getComputedStyle(document.body);
            const [a, b] = [light(rgb(style.color)), light(rgb(style.backgroundColor))].sort().reverse();
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        }"""
    )
    assert ratio >= 4.5
