"""Which texts say the same."""

import numpy as np

from recommender.engine.anomaly.subjects.texts import NONE, families

POEM = "Shall I compare thee to a summer's day? Thou art more lovely and more temperate"
OTHER = "It is a truth universally acknowledged that a single man must be in want of a wife"


def test_case_and_punctuation_do_not_matter():
    of = families([POEM, OTHER, POEM.upper().replace("?", " !!"), "Nothing of the kind was ever said by anyone"]).of
    assert of[0] == of[2] != NONE
    assert of[1] == of[3] == NONE


def test_a_few_changed_words_do_not_hide_a_copy():
    rng = np.random.default_rng(0)
    words = [f"word{number}" for number in rng.permutation(4000)]
    texts = [" ".join(words[low : low + 40]) for low in range(0, 4000, 40)]
    changed = [text.replace(text.split()[-1], "changed") for text in texts]
    of = families(texts + changed).of
    assert (of[:100] == of[100:]).mean() > 0.97 and (of != NONE).mean() > 0.97
    assert len(np.unique(of)) > 95  # each pair on its own


def test_texts_that_share_a_phrase_are_not_copies():
    phrase = "I would buy it again"
    of = families([f"{POEM}. {phrase}", f"{OTHER}. {phrase}", phrase]).of
    assert (of == NONE).all()


def test_writing_without_spaces():
    found = families(
        ["この本はとても面白かったです", "この本はとても面白かったです", "音楽が好きなのでこれを買いました"]
    )
    assert found.of[0] == found.of[1] != NONE and found.of[2] == NONE
    assert found.words[0] == 14


def test_empty_and_short_texts_are_like_none():
    found = families(["", "ok", "ok", "!?", "so good"])
    assert (found.of == NONE).all() and found.words.tolist() == [0, 1, 1, 0, 2]
    assert len(families([]).of) == 0
    assert (families(["", ""]).of == NONE).all()


def test_a_crowd_of_copies_is_one_family():
    of = families([POEM] * 300 + [OTHER] * 200).of
    assert len(set(of[:300].tolist())) == len(set(of[300:].tolist())) == 1
