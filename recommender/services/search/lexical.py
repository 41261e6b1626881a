"""Words in the index that the database keeps, see migration 0003: SQLite's FTS5 or PostgreSQL's full text.

A query is a list of terms, each a list of words of which one must occur. What a shopper typed never reaches either
database as a query language: words are quoted, and hold letters and digits only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import DEFAULT_DB_ALIAS, connection, connections
from numpy.typing import NDArray

from recommender.services.search.words import fold

Terms = Sequence[Sequence[str]]
WEIGHTS = {"title": 4.0, "creator": 2.0, "facts": 1.0, "description": 1.0}
"""How much more a word counts that stands there. Of the index's columns, in their order; facts
are the category, the department above it and what attributes say."""
BEGUN = 0.3  # what the beginning of a word is worth beside the whole of one, on PostgreSQL
RANKED = (
    20_000  # matches that are ranked at most, the newest: a word common in a huge shop finds more than can be looked at
)
_LABELS = dict(zip(WEIGHTS, "ABCD", strict=True))
_RANK_WEIGHTS = "{0.5, 0.5, 0.7, 1.0}"  # of D, C, B, A: ts_rank counts a title's words for more by itself than BM25
_ROWS = {"sqlite": "recommender_searchrow", "postgresql": "recommender_search"}


@dataclass(frozen=True)
class Matches:
    """Items in falling order of score, (K,) each."""

    item_ids: list[str]
    scores: NDArray[np.float64]
    """Above 0."""

    def __len__(self) -> int:
        return len(self.item_ids)


NO_MATCHES = Matches([], np.zeros(0))


def find(
    terms: Terms,
    limit: int,
    *,
    every: bool = True,
    prefix: bool = False,
    fields: Sequence[str] = tuple(WEIGHTS),
    ranked: int = RANKED,
    worths: Sequence[float] | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> Matches:
    """Up to `limit` active items that hold every term, or any, in these fields; best first.

    `worths`: how much each term tells, for PostgreSQL, which does not know how rare words are (`knows_rarity`).

    With `prefix` the last term's words may also be the beginnings of longer ones. No more than `ranked` matches are
    compared.
    """
    pairs = [
        ([word for word in term if fold(word)], worth)
        for term, worth in zip(terms, worths or [1.0] * len(terms), strict=True)
    ]
    pairs = [pair for pair in pairs if pair[0]]
    if not pairs:
        return NO_MATCHES
    terms = [term for term, _ in pairs]
    if connections[using].vendor == "sqlite":
        sql, values = _sqlite(terms, every, prefix, fields, ranked, limit)
    else:
        sql, values = _postgresql(terms, every, prefix, fields, ranked, limit, [worth for _, worth in pairs])
    with connections[using].cursor() as cursor:
        cursor.execute(sql, values)
        rows = cursor.fetchall()
    return Matches([row[0] for row in rows], np.array([max(row[1], 1e-9) for row in rows], dtype=np.float64))


def knows_rarity() -> bool:
    """Whether the database weighs a word by how few items hold it, as BM25 does."""
    return connection.vendor == "sqlite"


def occurs(word: str, *, prefix: bool = False) -> bool:
    """Whether anything holds the word, or one that begins so."""
    return len(find([[word]], 1, prefix=prefix, ranked=1)) > 0


def newest_row() -> int:
    """The highest id given to a row of the index; it rises with each item that is new or changed."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT max(id) FROM {_ROWS[connection.vendor]}")  # noqa: S608  a constant
        return int(cursor.fetchone()[0] or 0)


def count_after(row: int, at_most: int) -> int:
    """How many rows of the index are newer, counted no further than `at_most`; ids have gaps, so they do not tell."""
    with connection.cursor() as cursor:
        table = _ROWS[connection.vendor]
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE id > %s LIMIT %s) AS newer"  # noqa: S608
        cursor.execute(sql, [row, at_most])
        return int(cursor.fetchone()[0])


def rows_after(row: int, limit: int) -> list[tuple[int, str]]:
    """(id, item id) of the index's next rows, by rising id."""
    with connection.cursor() as cursor:
        table = _ROWS[connection.vendor]
        cursor.execute(f"SELECT id, item_id FROM {table} WHERE id > %s ORDER BY id LIMIT %s", [row, limit])  # noqa: S608
        return cursor.fetchall()


def _sqlite(
    terms: Terms, every: bool, prefix: bool, fields: Sequence[str], ranked: int, limit: int
) -> tuple[str, list[Any]]:
    def quoted(word: str, begins: bool) -> str:
        text = '"' + word.replace('"', '""') + '"'
        return f"{text} OR {text} *" if begins else text

    parts = [
        "(" + " OR ".join(quoted(word, prefix and place == len(terms)) for word in term) + ")"
        for place, term in enumerate(terms, 1)
    ]
    match = (" AND " if every else " OR ").join(parts)
    if len(fields) < len(WEIGHTS):
        match = "{" + " ".join(fields) + "} : (" + match + ")"
    weights = ", ".join(str(weight) for weight in WEIGHTS.values())
    sql = f"""
        SELECT row.item_id, found.score FROM (
            SELECT id, score FROM (
                SELECT rowid AS id, -bm25(recommender_search, {weights}) AS score
                FROM recommender_search WHERE recommender_search MATCH %s ORDER BY rowid DESC LIMIT %s
            ) ORDER BY score DESC, id LIMIT %s
        ) AS found JOIN recommender_searchrow AS row ON row.id = found.id ORDER BY found.score DESC, row.id"""  # noqa: S608  constants, and %s for values
    return sql, [match, ranked, limit]


def _postgresql(
    terms: Terms, every: bool, prefix: bool, fields: Sequence[str], ranked: int, limit: int, worths: Sequence[float]
) -> tuple[str, list[Any]]:
    """ts_rank of each term by its worth, added up: on its own it takes "of" for as telling as "lighthouse"."""
    labels = "".join(_LABELS[name] for name in fields) if len(fields) < len(WEIGHTS) else ""
    values: list[Any] = []

    def lexemes(word: str, begins: bool) -> str:
        values.append(word.replace("'", " ").replace("\\", " "))
        marks = f":{'*' if begins else ''}{labels}".removesuffix(":")
        return f"to_tsquery('recommender_search', '''' || recommender_search_fold(%s) || '''{marks}')"

    def alternatives(term: Sequence[str], begins: bool = False) -> str:
        return "(" + " || ".join(lexemes(word, begins) for word in term) + ")"

    asked = [f"{alternatives(term)} AS term_{k}" for k, term in enumerate(terms, 1)]
    names = [f"term_{k}" for k in range(1, len(terms) + 1)]
    ranks = [*zip(names, worths, strict=True)]
    if prefix:
        asked.append(f"{alternatives(terms[-1], begins=True)} AS begun")
        ranks.append(("begun", BEGUN * worths[-1]))
        names[-1] = f"({names[-1]} || begun)"
    query = (" && " if every else " || ").join(names)
    rank = " + ".join(f"{worth:.4f} * ts_rank(%s::float4[], document, {name}, 1)" for name, worth in ranks)
    sql = f"""
        SELECT item_id, {rank} AS score
        FROM (
            SELECT search.item_id, search.id, search.document, asked.* FROM (SELECT {", ".join(asked)}) AS asked
            JOIN recommender_search AS search ON search.document @@ ({query}) LIMIT %s
        ) AS found ORDER BY score DESC, id LIMIT %s"""  # noqa: S608  constants, and %s for values
    return sql, [*[_RANK_WEIGHTS] * len(ranks), *values, ranked, limit]
