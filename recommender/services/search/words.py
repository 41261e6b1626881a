"""What was typed, as words: whatever is no letter or digit of some script only parts them."""

import re
import unicodedata

MAX_LENGTH = 200  # characters of a query that are looked at
MAX_WORDS = 32  # of a query; a question has so many
LONGEST = 64  # characters of a word; no word of a language is longer
_STOP = (
    "a an and any are as at be been but by can could did do does for from had has have he her his how i if in into is "
    "it its me my no not of on or our she should so some than that the their them then there these they this to was we "
    "were what when where which who whose why will with would you your"
)
STOP = frozenset(_STOP.split())
"""English words that every text holds. They are left out where others remain."""
_ASCII = re.compile(r"[0-9a-z]+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def clean(query: str) -> str:
    """What is looked at of a query: no more than MAX_LENGTH characters, all of which every database can take."""
    kept = query[:MAX_LENGTH].encode("utf-8", "ignore").decode()  # half a surrogate pair is no character
    return " ".join(kept.replace("\x00", " ").split())


def split(text: str) -> list[str]:
    """The words of a text in its order, lower case."""
    text = text.lower()
    if text.isascii():
        return _ASCII.findall(text)
    parts = "".join(letter if unicodedata.category(letter)[0] in "LNM" else " " for letter in text).split()
    return [part for part in parts if any(unicodedata.category(letter)[0] != "M" for letter in part)]


def words(query: str) -> list[str]:
    """The distinct words that are searched for."""
    found = list(dict.fromkeys(word[:LONGEST] for word in split(clean(query))))[:MAX_WORDS]
    return [word for word in found if word not in STOP] or found


def fold(word: str) -> str:
    """Without accents, so that Émile and emile are one; as the databases fold."""
    if word.isascii():
        return word
    apart = unicodedata.normalize("NFD", word)
    return unicodedata.normalize("NFC", "".join(letter for letter in apart if not "\u0300" <= letter <= "\u036f"))


def is_unspaced(word: str) -> bool:
    """Whether it is of a script that writes its words without spaces, so that it may stand within a longer one."""
    return bool(_UNSPACED.search(word))
