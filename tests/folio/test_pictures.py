"""The drawn pictures: always the same, always the right size, and as different as their styles say."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from recommender.folio import covers, prints
from recommender.folio.covers import Lettering, book_cover, record_sleeve

LONG_TITLES = (
    "The Strange Case of Dr Jekyll and Mr Hyde",
    "Narrative of the Life of Frederick Douglass, an American Slave: Written by Himself",
    "À la recherche du temps perdu, ou l'Île des Misérables façades",
    "Incomprehensibilities",
    "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverordnung",
    "Æsop’s Fables — Brontë, Čapek & Ålesund…",
    "Преступление и наказание",
    "Pi",
)


def one_of_each_style() -> dict[str, prints.Print]:
    return {entry.style: entry for entry in reversed(prints.catalogue(count=48))}


def traits(image: Image.Image) -> np.ndarray:
    """A rough fingerprint: edges across and down, contrast, and how many colours it takes."""
    grey = np.asarray(image.convert("L"), np.float32)
    small = np.asarray(image.resize((64, 64))).reshape(-1, 3) // 32
    return np.array(
        [
            np.abs(np.diff(grey, axis=1)).mean() / 10,
            np.abs(np.diff(grey, axis=0)).mean() / 10,
            grey.std() / 50,
            len(np.unique(small, axis=0)) / 50,
        ]
    )


def test_the_catalogue_is_the_same_each_time_and_differs_by_seed() -> None:
    assert prints.catalogue() == prints.catalogue()
    assert [p.title for p in prints.catalogue(seed=8)] != [p.title for p in prints.catalogue(seed=7)]


def test_the_catalogue_is_complete_and_its_titles_are_unique() -> None:
    entries = prints.catalogue()
    assert len(entries) == len({p.title for p in entries}) == len({p.item_id for p in entries}) == 250
    assert {p.style for p in entries} == set(prints.STYLES)
    assert {p.palette for p in entries} == set(prints.PALETTES)
    assert all(18 <= p.price <= 140 and 2012 <= p.year <= 2024 and p.subjects for p in entries)
    assert not any("{" in p.title + p.description for p in entries)
    assert len({p.description for p in entries}) > 240


def test_each_artist_keeps_to_one_or_two_styles() -> None:
    styles: dict[str, set[str]] = {}
    for entry in prints.catalogue():
        styles.setdefault(entry.artist, set()).add(entry.style)
    assert len(styles) > 20
    assert max(len(known) for known in styles.values()) <= 2


def test_every_table_of_the_catalogue_covers_every_style() -> None:
    assert set(prints.STYLES) == set(prints.MOTIFS) == set(prints.ORIENTATIONS)
    assert set(prints.PALETTES) == set(prints.COLOURS)
    assert {style for artist in prints.ARTISTS for style in artist.styles.split()} == set(prints.STYLES)
    assert {name for artist in prints.ARTISTS for name in artist.palettes.split()} == set(prints.PALETTES)


@pytest.mark.parametrize("style", sorted(prints.STYLES))
def test_a_print_is_drawn_the_same_each_time_at_its_orientation(style: str) -> None:
    entry = one_of_each_style()[style]
    image = prints.draw(entry)
    assert image.mode == "RGB"
    assert image.size == prints.SHEETS[entry.orientation]
    assert image.tobytes() == prints.draw(entry).tobytes()


def test_styles_leave_different_traces() -> None:
    marks = [traits(prints.draw(entry)) for entry in one_of_each_style().values()]
    gaps = [float(np.abs(a - b).max()) for i, a in enumerate(marks) for b in marks[:i]]
    assert min(gaps) > 0.03
    assert float(np.median(gaps)) > 0.4


def test_two_prints_of_one_style_and_variant_differ() -> None:
    entries = [p for p in prints.catalogue() if p.style == "botanical" and p.palette == "moss"][:2]
    first, second = (np.asarray(prints.draw(p).resize((64, 64)), np.float32) for p in entries)
    assert float(np.abs(first - second).mean()) > 4


@pytest.mark.parametrize("layout", covers.LAYOUTS)
@pytest.mark.parametrize("title", LONG_TITLES)
def test_text_stays_inside_its_box_in_every_layout(layout, title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written, block = [], Lettering.block

    def watch(self, text, box, *args, **kwargs):
        area = block(self, text, box, *args, **kwargs)
        written.append((box, area))
        return area

    monkeypatch.setattr(Lettering, "block", watch)
    job = covers.Job(
        title,
        "Miguel de Cervantes Saavedra",
        "fiction",
        covers.FAMILIES[0],
        covers.EMBLEMS["maze"],
        np.random.default_rng(3),
    )
    assert layout(job).size == (400, 600)
    for box, area in written:
        assert 0 <= box[0] < box[2] <= 400 and 0 <= box[1] < box[3] <= 600
        assert area[0] >= box[0] - 1 and area[1] >= box[1] - 1 and area[2] <= box[2] + 1 and area[3] <= box[3] + 1


def test_accented_letters_are_drawn_and_not_replaced_by_boxes() -> None:
    assert covers.letters("Brontë") == (*((c, "") for c in "Bront"), ("e", "dots"))
    assert "".join(base for base, _ in covers.letters("Ægir, œuvre, straße, Łódź")) == "Aegir, oeuvre, strasse, Lodz"

    def pixels(text: str) -> bytes:
        image = Image.new("RGB", (200, 60), "white")
        Lettering(image).block(text, (10, 10, 190, 50), (0, 0, 0), 30)
        return image.tobytes()

    assert len({pixels(text) for text in ("e", "é", "è", "ê", "ë", "ē", "ě")}) == 7
    assert pixels("ç") != pixels("c")


def test_covers_and_sleeves_are_the_same_each_time() -> None:
    book = ("b-1", "Middlemarch", "George Eliot", "fiction", ("marriage", "country"))
    record = ("r-1", "Blue Door", "Zoë & the Café Quartet", "waltz")
    assert book_cover(*book).tobytes() == book_cover(*book).tobytes()
    assert record_sleeve(*record).tobytes() == record_sleeve(*record).tobytes()
    assert book_cover(*book).tobytes() != book_cover("b-2", *book[1:]).tobytes()
    assert book_cover(*book).size == (400, 600)


@pytest.mark.parametrize("genre", [*sorted(covers.SLEEVES), "a genre nobody has heard of"])
def test_every_genre_has_a_sleeve(genre: str) -> None:
    image = record_sleeve(f"r-{genre}", "Suite for an Empty Harbour Road", "The Northern Café Orchestra", genre)
    assert (image.size, image.mode) == ((480, 480), "RGB")


def test_subjects_choose_the_emblem() -> None:
    assert len(covers.EMBLEMS) >= 14
    assert set(covers.WORDS) == set(covers.EMBLEMS)
    assert covers.emblems_for(["Whaling"])[0] == "sea"
    assert covers.emblems_for(["ghosts"])[0] == "mist"
    assert covers.emblems_for(["Love stories", "War"])[:2] == ["rings", "bars"]
    assert "crown" not in covers.emblems_for(["courtship"])
    assert covers.emblems_for(["zzz"]) == []
