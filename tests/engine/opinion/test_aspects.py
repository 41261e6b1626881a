import pytest

from recommender.engine.opinion import aspects

PAPER = ["The paper is thick.", "I like the paper.", "Its paper smells of glue!", "Nice, but the paper tore."]
FILLER = ["My husband was glad of it.", "In the kitchen it looks right.", "The old myths are retold.", "A joy to read."]


def corpus(sentences, items=4, times=2):
    texts = [f"{one} {FILLER[at % 4]}" for at, one in enumerate(sentences * times)]
    return texts, [f"item-{at % items}" for at in range(len(texts))]


def test_nouns_that_several_reviews_speak_of_are_found():
    assert aspects.find(*corpus(PAPER)) == {"paper": "paper"}


def test_places_people_adjectives_and_verbs_are_none():
    texts, items = corpus(
        ["In the kitchen it looks right.", "The husband likes it.", "The old myths are retold.", "It is lovely."]
    )
    assert set(aspects.find(texts, items)) <= {"myths", "old myths"}


def test_two_words_belong_together_where_they_mostly_stand_so():
    texts, items = corpus(
        [
            "The sound quality is poor.",
            "Its sound quality is great.",
            "I like the sound quality.",
            "The quality is fine.",
        ]
    )
    found = aspects.find(texts, items)
    assert "sound quality" in found
    (one,) = aspects.read("My sound quality is good.", found)
    assert one.about == "sound quality"


@pytest.mark.parametrize("items, times", [(1, 3), (8, 0)])
def test_of_one_item_or_said_once_is_not_enough(items, times):
    assert aspects.find(*corpus(PAPER, items, times)) == {}


def test_makers_are_no_aspects():
    texts, items = corpus(["The Hokusai is fine.", "I like the Hokusai.", "Its Hokusai glows.", "The Hokusai tore."])
    assert "hokusai" in aspects.find(texts, items)
    assert "hokusai" not in aspects.find(texts, items, {"hokusai"})


def test_singular_and_plural_have_one_name():
    texts, items = corpus(
        ["The chapters are long.", "I like the chapters.", "Its chapters are fine.", "The chapter is short."],
        items=16,
        times=4,
    )
    found = aspects.find(texts, items)
    assert found["chapters"] == found["chapter"] == "chapters"


def test_a_review_is_read_sentence_by_sentence():
    text = "The paper is thick. Hm.\nA joy! " + "long " * 80 + "paper. <b>The paper</b> tore…"
    assert [(one.words, one.about) for one in aspects.read(text, {"paper": "paper"})] == [
        ("The paper is thick.", "paper"),
        ("<b>The paper</b> tore…", "paper"),
    ]
    assert aspects.read("", {}) == aspects.read("🎉", {"paper": "paper"}) == []
