"""Search by photo and by sound, in a real browser."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from recommender.services import uploads

from .test_shop import PHONE

pytestmark = pytest.mark.journey

ENCODED_WITHIN_S = 180.0
# A microphone that hears 440 Hz, where the machine that runs the tests has none.
MICROPHONE = """
navigator.mediaDevices.getUserMedia = async () => {
  const context = new AudioContext(), tone = context.createOscillator(), heard = context.createMediaStreamDestination();
  tone.connect(heard);
  tone.start();
  return heard.stream;
};
"""
DROP = """
async ([address, name]) => {
  const blob = await (await fetch(address)).blob(), held = new DataTransfer();
  held.items.add(new File([blob], name, { type: blob.type }));
  const zone = document.querySelector(".drop");
  for (const kind of ["dragenter", "dragover", "drop"]) {
    zone.dispatchEvent(new DragEvent(kind, { dataTransfer: held, bubbles: true, cancelable: true }));
  }
}
"""


@pytest.fixture
def opened(visit):
    """opened(page, name) opens a search page once the site has encoded what it needs."""

    def opened(page: Page, name: str) -> None:
        deadline = time.monotonic() + ENCODED_WITHIN_S
        page.goto(f"/search/{name}/")
        while not page.locator("form[data-sense]").count():
            assert time.monotonic() < deadline, "nothing was encoded"
            time.sleep(1)
            page.reload()

    return opened


def a_picture(site) -> tuple[Path, str]:
    """A picture of the shop and the item that it belongs to."""
    name, item_id = site.manage(
        "from recommender.models import Picture;"
        "p = Picture.objects.filter(position=0, item__active=True).order_by('id')[5]; print(p.file.path, p.item_id)"
    ).split()
    return Path(name), item_id


def found(page: Page) -> list[str]:
    expect(page.locator("#found .card").first).to_be_visible()
    return page.locator("#found .card").evaluate_all("cards => cards.map(card => card.dataset.item)")


def test_a_photo_of_an_item_finds_it(visit, opened, site):
    """By keyboard: the whole picture first, then a part of it; to an item and back."""
    path, item_id = a_picture(site)
    page = visit()
    opened(page, "photo")
    page.goto("/")
    page.get_by_role("link", name="Search by photo or sound").click()
    page.get_by_label("Choose a picture").set_input_files(path)
    box = page.get_by_role("group", name="The part to look at")
    expect(box).to_be_visible()
    expect(page.get_by_text("The whole picture.")).to_be_visible()
    page.get_by_role("button", name="Find what looks like it").press("Enter")
    assert item_id in found(page)[:3]
    expect(page.get_by_role("heading", name="Most like your picture")).to_be_focused()
    expect(page.get_by_role("img", name="The part of your picture that we looked at")).to_be_visible()
    box.press("Shift+ArrowLeft")
    box.press("ArrowRight")
    expect(page.get_by_text("95 % of the width from 5 %")).to_be_visible()
    page.get_by_role("button", name="Find what looks like it").click()
    expect(page.get_by_role("heading", name="Most like your picture")).to_be_focused()
    before = found(page)
    page.locator("#found .card").first.scroll_into_view_if_needed()
    page.wait_for_timeout(1500)  # a card counts as seen after half a second
    page.locator("#found .card a").first.click()
    page.wait_for_url("**/item/**")
    assert "shelf=photo" in page.url
    page.go_back()
    assert found(page) == before  # without sending it again
    kinds = site.manage(
        "from recommender.models import Event;"
        "print(*Event.objects.filter(shelf='photo').values_list('kind', flat=True))"
    )
    assert {"view", "impression"} <= set(kinds.split())


def test_a_photo_can_be_dropped_on_the_page(visit, opened, site):
    path, item_id = a_picture(site)
    page = visit(**PHONE)
    opened(page, "photo")
    media = f"/media/{path.relative_to(site.var / 'media')}"
    page.evaluate(DROP, [media, path.name])
    expect(page.get_by_role("group", name="The part to look at")).to_be_visible()
    page.get_by_role("button", name="Find what looks like it").tap()
    assert item_id in found(page)[:3]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_a_script_the_whole_picture_is_sent(visit, opened, site):
    path, item_id = a_picture(site)
    page = visit(java_script_enabled=False)
    opened(page, "photo")
    page.get_by_label("Choose a picture").set_input_files(path)
    page.get_by_role("button", name="Find what looks like it").click()
    expect(page.locator("#found .card").first).to_be_visible()
    assert item_id in [card.get_attribute("data-item") for card in page.locator("#found .card").all()][:3]


def test_what_is_no_picture_is_said(visit, opened, tmp_path):
    page = visit()
    opened(page, "photo")
    send = page.get_by_role("button", name="Find what looks like it")
    send.click()
    expect(page.get_by_role("alert")).to_have_text("Choose a picture first.")
    for name, data, words in (
        ("letter.jpg", b"Dear Sir, " * 99, "It is not a picture that can be read"),
        ("large.tif", bytes(uploads.MAX_BYTES["picture"] + 1), "up to 8 MB are taken"),  # told before it is sent
    ):
        (tmp_path / name).write_bytes(data)
        page.get_by_label("Choose a picture").set_input_files(tmp_path / name)
        send.click()
        expect(page.get_by_role("alert")).to_contain_text(words)
    visit.complaints[:] = [words for words in visit.complaints if "422" not in words]  # as the console writes of them


def test_what_is_recorded_finds_records(visit, opened):
    page = visit()
    page.add_init_script(MICROPHONE)
    opened(page, "sound")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_text(re.compile(r"[1-9]\.\d of 15 s"))).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    player = page.get_by_label("What will be sent")
    expect(player).to_be_visible()
    assert (
        player.evaluate(
            "async (a) => { if (!a.duration) await new Promise(r => a.onloadedmetadata = r); return a.duration }"
        )
        >= 1
    )
    page.get_by_role("button", name="Find what sounds like it").click()
    assert all(item_id.startswith("record") for item_id in found(page))


def test_a_microphone_that_is_refused_leaves_the_file(visit, opened, site):
    page = visit()
    page.add_init_script("navigator.mediaDevices.getUserMedia = async () => { throw new Error('no') }")
    opened(page, "sound")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_text("The microphone cannot be used.")).to_be_visible()
    sound = site.manage("from recommender.models import Item; print(Item.objects.exclude(sound='').first().sound.path)")
    page.get_by_label("Choose a recording").set_input_files(sound)
    page.get_by_role("button", name="Find what sounds like it").click()
    assert found(page)
