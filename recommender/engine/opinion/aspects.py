"""What reviews speak of: the plot, the paper, the sound; found by how words are used, without a grammar.

A noun shows itself behind "the" or "its" and before a verb, a preposition or the end of the sentence. Nouns that
several reviews of several items use so are what opinions are about.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

MAX_ASPECTS = 200
FEWEST_REVIEWS, FEWEST_ITEMS = 4, 3
LED, ENDS = 0.2, 0.4  # shares of a word's occurrences behind a lead and before an end, at least: of a noun
PLACED = 0.6  # share of those behind "in the", "on my" and the like, at most: what stands there is a place
LONGEST = 240  # characters of a sentence that is quoted
SHORTEST = 3  # words of one
_SENTENCE = re.compile(r"[^.!?…\n]+(?:[.!?…]+[\"'”’)]*|\n|$)")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|[^\s\w]")
_list = re.compile(r"\S+").findall
_LEAD = frozenset(_list("the its these those their his her our your my"))
_END = frozenset(
    _list(
        "is are was were be been being am isn't aren't wasn't weren't it's that's do does did don't doesn't didn't has"
        " have had hasn't haven't hadn't will would can could should may might must won't wouldn't can't couldn't"
        " and or but nor so yet of in on at by for with without from to into onto over under about after before"
        " between through than as if when while because although though unless until since that which who whom whose"
        " where there here not never always often also too very just only even still again soon already well"
        " i you he she it we they me him us them this these those a an the my your his her its our their all"
        " feels felt looks looked sounds sounded seems seem seemed came comes went goes got gets made"
        " makes kept keeps holds held falls fell needs wants says said reads takes took left leaves"
    )
)
_PLACES = frozenset(_list("in on at by to into onto over under above behind beside across along near from"))
_NO_ASPECT = frozenset(
    _list(
        "thing things one ones lot bit way ways time times day days night nights week weeks month months year years"
        " moment morning evening hour hours minute minutes people person man woman men women wife husband mother father"
        " sister brother daughter son dad mum uncle aunt cousin niece nephew partner flatmate neighbour teacher boss"
        " colleague friend friends grandmother grandfather children child kids book books print prints"
        " record records album albums item items product products rest kind sort part parts whole end world life same"
        " first second third last next other others best worst most more less point fact case reason idea place"
        " something anything nothing everything whole half hands head eyes mind house home room wall table shelf side"
        " world shop store present gift birthday fire bin money penny star stars review reviews recommendation"
        " recommendations work wait deal mileage name job taste praise favourite favourites"
        " company own longer trick reader readers listener listeners everybody anybody somebody"
    )
)


@dataclass(frozen=True)
class Sentence:
    words: str
    about: str | None
    """An aspect, or None."""


def sentences(text: str) -> list[str]:
    """The sentences of a text that say something, without the space around them."""
    found = (match.group().strip() for match in _SENTENCE.finditer(text))
    return [one for one in found if len(one.split()) >= SHORTEST]


def find(texts: Sequence[str], items: Sequence[Hashable], names: Collection[str] = ()) -> dict[str, str]:
    """What these reviews speak of: {word or two as they stand in a text: the aspect's name}.

    `items` tells the item of each review; `names` are words in lower case that nothing is about, such as the makers'.
    """
    seen, of_items = defaultdict[str, set[int]](set), defaultdict[str, set[Hashable]](set)
    used, led, ends, placed = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for row, (text, item) in enumerate(zip(texts, items, strict=True)):
        for sentence in sentences(text):
            words = ["", "", *_words(sentence), "."]
            for at in range(2, len(words) - 1):
                for size in (1, 2):
                    term, before = " ".join(words[at : at + size]), words[at - 1]
                    if at + size >= len(words) or not _could_be(words[at : at + size]):
                        continue
                    seen[term].add(row)
                    of_items[term].add(item)
                    used[term] += 1
                    led[term] += before in _LEAD
                    placed[term] += before in _LEAD and words[at - 2] in _PLACES
                    ends[term] += _ends(words[at + size])
    kept = {
        term
        for term, rows in seen.items()
        if len(rows) >= FEWEST_REVIEWS
        and len(of_items[term]) >= FEWEST_ITEMS
        and led[term] >= LED * used[term]
        and ends[term] >= ENDS * used[term]
        and placed[term] <= PLACED * led[term]
        # Two words only where the last goes less often without the first.
        and (" " not in term or (2 * len(rows) >= len(seen[term.split()[-1]]) and led[term.split()[-1]] > 1))
        and not set(term.split()) & set(names)
    }
    ranked = sorted(kept, key=lambda term: (-len(seen[term]), term))[:MAX_ASPECTS]
    return {term: _name(term, ranked) for term in ranked}


def read(text: str, aspects: Mapping[str, str]) -> list[Sentence]:
    """A review's sentences, each with the aspect that it speaks of first; those too long to quote are left out."""
    found = []
    for sentence in sentences(text):
        if len(sentence) > LONGEST:
            continue
        words = _words(sentence)
        pairs = [" ".join(pair) for pair in pairwise(words)]
        about = next((aspects[term] for terms in (pairs, words) for term in terms if term in aspects), None)
        found.append(Sentence(sentence, about))
    return found


def _words(sentence: str) -> list[str]:
    return _WORD.findall(sentence.lower().replace("’", "'"))


def _could_be(words: Sequence[str]) -> bool:
    return all(
        len(word) > 2 and word not in _END and word not in _NO_ASPECT and word.isalpha() and not word.endswith("ly")
        for word in words
    )


def _ends(word: str) -> bool:
    """Whether a noun is over before this word: it is none itself, as far as its form tells."""
    return word in _END or not word[0].isalpha() or word.endswith(("ed", "ly"))


def _name(term: str, terms: Sequence[str]) -> str:
    """One name for the singular and the plural: whichever is said more often."""
    forms = {term, term + "s", term.removesuffix("s")}
    return next(other for other in terms if other in forms)
