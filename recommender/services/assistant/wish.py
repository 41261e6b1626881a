"""What a shopper asks for in plain words, as a search with limits: "a gift for someone who likes the sea, under 20".

Rules, no model: prices, categories and what is not wanted are found by their phrases and taken out, as is what only
makes a sentence polite; what is left is searched for. A message that says nothing new to search for changes the wish
before it ("cheaper", "only prints", "not that one").
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

MAX_LENGTH = 500  # characters of a message that are looked at
MAX_WITHOUT = 8  # words that are kept out, at most
AROUND = Decimal("0.25")  # "around 20" is 15 to 25
CHEAPER = Decimal("0.75")  # "cheaper" than what was shown: at most this part of the cheapest limit known

_AMOUNT = r"[£$€]?\s?(\d{1,6}(?:[.,]\d{1,2})?)(?!\d)\s?(?:£|€|\$|pounds?|quid|euros?|dollars?|gbp|eur|usd)?"
_BETWEEN = re.compile(rf"\b(?:between|from)\s+{_AMOUNT}\s*(?:and|to|-|–)\s*{_AMOUNT}", re.I)
_RANGE = re.compile(rf"(?<![\w.]){_AMOUNT}\s?(?:-|–|to)\s?[£$€]?\s?(\d{{1,6}}(?:[.,]\d{{1,2}})?)\s?"
                    r"(?:£|€|\$|pounds?|quid|euros?|dollars?|gbp|eur|usd)\b", re.I)  # fmt: skip
_MOST = re.compile(
    r"\b(?:under|below|less than|no more than|not more than|up to|at most|max(?:imum)?(?: of)?|within|cheaper than|for)"
    rf"\s+{_AMOUNT}(?:\s+or less)?"
    rf"|{_AMOUNT}\s+(?:or less|at most|max(?:imum)?)\b",
    re.I,
)
_LEAST = re.compile(
    rf"\b(?:over|above|more than|at least|min(?:imum)?(?: of)?|from)\s+{_AMOUNT}|{_AMOUNT}\s+(?:or more|at least)\b",
    re.I,
)
_AROUND = re.compile(rf"\b(?:around|about|roughly|some|near)\s+[£$€]?{_AMOUNT}", re.I)
_CHEAPER = re.compile(r"\b(?:cheaper|less expensive|lower price|too (?:expensive|dear|much))\b", re.I)
_ANY_PRICE = re.compile(
    r"\b(?:any price|price does(?:n't| not) matter|money is no object|regardless of (?:the )?price)\b", re.I
)
_WITHOUT = re.compile(
    r"\b(?:but not|not|no|without|except(?: for)?|other than|nothing (?:with|about)|anything but)\s+"
    r"(?:too\s+|any\s+|about\s+|a\s+|an\s+|the\s+)?([^\W\d_][\w'-]+)", re.I
)  # fmt: skip
_OTHERS = re.compile(
    r"\b(?:(?:some|any)thing else|what else|others?|different ones?|more (?:of these|ideas)|show (?:me )?more|next)\b",
    re.I,
)
_PLACES = {"first": 0, "1st": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3, "4th": 3,
           "fifth": 4, "5th": 4, "sixth": 5, "6th": 5, "last": -1}  # fmt: skip
_LIKE_PLACE = re.compile(rf"\b(?:like|similar to|more like)\s+(?:the\s+)?({'|'.join(_PLACES)})(?:\s+one)?\b", re.I)
POLITE = """
a about also an and any anything are at be best birthday brother buy but can christmas colleague cost costing costs
could dad daughter do does enjoy enjoys father find fond for friend get gift gifts give good has have he hello her
hey hi him his how husband i i'd i'm idea ideas in instead interested into is it item items its just like likes look
looking love loves maybe me mom mother mum my need needs nice of ok okay on only or partner people person please
present presents price really recommend search searching she show sister some somebody someone something son suggest
suggestion suggestions thank thanks that the their them there these they thing things this those to too uncle very
want wants was we well what what's which who wife will with would you aunt am here budget
"""
_POLITE = frozenset(POLITE.split())
"""Words that say that something is looked for, or for whom, but not what."""
_ADDS = re.compile(r"^\s*(?:and|also|but|with|plus|make it|something more|more)\b", re.I)
_WORD = re.compile(r"[^\W_][\w'-]*", re.UNICODE)


@dataclass(frozen=True)
class Wish:
    """What is looked for, after one or more messages."""

    words: str = ""
    """What is searched for; may be empty: anything within the limits."""
    least: Decimal | None = None
    most: Decimal | None = None
    """Prices, both allowed."""
    category: str | None = None
    """A slug."""
    without: tuple[str, ...] = ()
    """Words, lower case, that must not occur in an item's texts."""
    like: str | None = None
    """An item that others should be like."""
    shown: tuple[str, ...] = ()
    """The items of the answer before, in order; "the second one" is among them."""
    passed: tuple[str, ...] = ()
    """Items that were shown and passed over ("something else")."""

    @property
    def is_empty(self) -> bool:
        return not (self.words or self.like or self.category or self.most is not None or self.least is not None)


def understand(message: str, before: Wish, categories: Mapping[str, str]) -> Wish:
    """The wish after a message. `categories` maps slugs to names; either, in singular or plural, is recognised."""
    text = " ".join(message[:MAX_LENGTH].replace("’", "'").split())
    change, text = _taken(text, before, categories)
    words = _words(text)
    refines = not words or (bool(_ADDS.match(message)) and bool(before.words))
    if not refines:
        return replace(change, words=words, shown=(), passed=())
    kept = " ".join(dict.fromkeys([*before.words.split(), *words.split()]))
    return Wish(
        kept,
        change.least if change.least is not None or change.most is not None else before.least,
        change.most if change.least is not None or change.most is not None else before.most,
        change.category or before.category,
        tuple(dict.fromkeys((*before.without, *change.without)))[-MAX_WITHOUT:],
        change.like or before.like,
        before.shown,
        change.passed,
    )


def _taken(text: str, before: Wish, categories: Mapping[str, str]) -> tuple[Wish, str]:
    """The limits that a text names, and the text without them."""
    least = most = None
    if found := _BETWEEN.search(text) or _RANGE.search(text):
        least, most = sorted((_amount(found[1]), _amount(found[2])))
        text = text.replace(found[0], " ")
    elif found := _AROUND.search(text):
        middle = _amount(found[1])
        least, most = middle * (1 - AROUND), middle * (1 + AROUND)
        text = text.replace(found[0], " ")
    else:
        if found := _MOST.search(text):
            most = _amount(found[1] or found[2])
            text = text.replace(found[0], " ")
        if found := _LEAST.search(text):
            least = _amount(found[1] or found[2])
            text = text.replace(found[0], " ")
    if found := _CHEAPER.search(text):
        text = text.replace(found[0], " ")
        if most is None and before.most is not None:
            least, most = before.least, (before.most * CHEAPER).quantize(Decimal("0.01"))
            least = None if least is not None and least > most else least
    if found := _ANY_PRICE.search(text):
        text = text.replace(found[0], " ")
        least, most = Decimal(0), None
    like = None
    if found := _LIKE_PLACE.search(text):
        place = _PLACES[found[1].lower()]
        if -len(before.shown) <= place < len(before.shown):
            like = before.shown[place]
        text = text.replace(found[0], " ")
    passed = before.passed
    if found := _OTHERS.search(text):
        passed = tuple(dict.fromkeys((*before.passed, *before.shown)))
        text = text.replace(found[0], " ")
    without = []
    for found in _WITHOUT.finditer(text):
        without.append(found[1].lower())
        text = text.replace(found[0], " ")
    category, text = _category(text, categories)
    return Wish("", least, most, category, tuple(dict.fromkeys(without)), like, (), passed), text


def _category(text: str, categories: Mapping[str, str]) -> tuple[str | None, str]:
    """The longest category name that the text holds as whole words, and the text without it."""
    forms = [
        (form, slug)
        for slug, name in categories.items()
        for form in {*_numbers(name.lower()), *_numbers(slug.replace("-", " ").lower())}
    ]
    for form, slug in sorted(forms, key=lambda pair: (-len(pair[0]), pair)):
        if found := re.search(rf"\b{re.escape(form)}\b", text, re.I):
            return slug, f"{text[: found.start()]} {text[found.end() :]}"
    return None, text


def _numbers(name: str) -> Sequence[str]:
    """A name in singular and plural, as far as an s tells them apart."""
    return (name, name[:-1]) if name.endswith("s") and len(name) > 3 else (name, f"{name}s")


def _words(text: str) -> str:
    found = [word.lower() for word in _WORD.findall(text)]
    told = [word for word in found if word not in _POLITE and (len(word) > 1 or not word.isascii())]
    return " ".join(dict.fromkeys(told))


def _amount(text: str) -> Decimal:
    return Decimal(text.replace(",", "."))
