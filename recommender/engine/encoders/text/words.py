"""What every text encoder makes of a text first: characters that can be encoded, not too many; and its words."""

import re
import unicodedata

LONGEST = 100_000  # characters that are read of a text: a long chapter; more would only cost time
WORDS = 10_000  # of them that are looked at
_MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)) in ("Mn", "Mc"))
_LETTER = r"[^\W_]" + f"[{_MARKS}]*"  # with the accents and vowel signs that belong to it
_WORD = re.compile(f"(?:{_LETTER})+(?:['’](?:{_LETTER})+)*")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")  # Chinese and Japanese
_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """The text's first LONGEST characters, with U+FFFD for what is no character (a lone surrogate) and a space for
    what nobody sees (NUL and other controls).
    """
    return _CONTROLS.sub(" ", _SURROGATES.sub("\ufffd", text[:LONGEST]))


def words(text: str) -> list[str]:
    """Up to WORDS words, in compatibility form (NFKC) and lower case. Of Chinese and Japanese, which have no spaces
    between words, every two characters side by side are one; an emoji or another symbol is a word of its own.

    None where the text says nothing: it is empty, or spaces and punctuation only.
    """
    plain = unicodedata.normalize("NFKC", clean(text)).casefold()
    if plain.isascii():
        return _WORD.findall(plain)[:WORDS]
    found: list[str] = []
    for word in _WORD.findall(plain):
        found += _pairs(word) if _UNSPACED.search(word) else [word]
    found += [sign for sign in plain if unicodedata.category(sign) == "So" and sign != "\ufffd"]
    return found[:WORDS]


def _pairs(word: str) -> list[str]:
    """What a run of letters holds, in its order: pairs of characters that need no spaces, and words of others."""
    found, end = list[str](), 0
    for run in _UNSPACED.finditer(word):
        found += [word[end : run.start()]] * (run.start() > end)
        own, end = run.group(), run.end()
        found += [own[at : at + 2] for at in range(len(own) - 1)] or [own]
    return found + [word[end:]] * (end < len(word))
