"""Test collections for search: documents, questions, and which documents answer them.

Two layouts are read, from a folder or a zip: BEIR's (corpus.jsonl, queries.jsonl, qrels/train.tsv and so on), and the
CSV files in which SciFact is published (corpus_train.csv, claims_train.csv, claims_validation.csv), whose validation
claims are what BEIR calls its test: the cited documents are the answers.
"""

import ast
import csv
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recommender.engine.errors import InvalidDataset

LARGEST_BYTES = 2 * 2**30  # of one file
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)

Judgements = Mapping[str, Mapping[str, int]]
"""Question -> document -> grade, above 0 where it answers."""


@dataclass(frozen=True)
class Collection:
    name: str
    titles: dict[str, str]
    """By document; with `texts` in the same order."""
    texts: dict[str, str]
    questions: dict[str, str]
    judged: dict[str, Judgements]
    """By part: train, test, and whatever else there is. Questions without an answer are left out."""


def read(path: Path) -> Collection:
    """Raises InvalidDataset, with what is missing or wrong."""
    files = _Files(path)
    if files.has("corpus.jsonl"):
        return _beir(path.stem, files)
    if files.has("corpus_train.csv"):
        return _scifact(path.stem, files)
    raise InvalidDataset(f"{path} holds neither BEIR's corpus.jsonl nor SciFact's corpus_train.csv.")


class _Files:
    """The files of a folder or a zip, by the ends of their paths."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            if path.is_dir():
                self._names = [str(one.relative_to(path)) for one in sorted(path.rglob("*")) if one.is_file()]
            else:
                with zipfile.ZipFile(path) as archive:
                    self._names = sorted(archive.namelist())
        except (OSError, zipfile.BadZipFile) as error:
            raise InvalidDataset(f"{path} is neither a folder nor a zip that can be read: {error}.") from error

    def has(self, name: str) -> bool:
        return self.find(name) is not None

    def find(self, name: str) -> str | None:
        return next((one for one in self._names if f"/{one}".endswith(f"/{name}")), None)

    def below(self, folder: str) -> list[str]:
        return [one for one in self._names if f"/{folder}/" in f"/{one}" and one.endswith(".tsv")]

    def text(self, name: str) -> str:
        found = self.find(name)
        if found is None:
            raise InvalidDataset(f"{self._path} has no {name}.")
        try:
            if self._path.is_dir():
                return (self._path / found).read_text(encoding="utf-8")
            with zipfile.ZipFile(self._path) as archive:
                if archive.getinfo(found).file_size > LARGEST_BYTES:
                    raise InvalidDataset(f"{found} is larger than {LARGEST_BYTES / 2**30:.0f} GiB.")
                return archive.read(found).decode("utf-8")
        except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
            raise InvalidDataset(f"{found} of {self._path} cannot be read: {error}.") from error


def _beir(name: str, files: _Files) -> Collection:
    titles, texts, questions = {}, {}, {}
    for number, line in enumerate(files.text("corpus.jsonl").splitlines(), 1):
        row = _row(line, "corpus.jsonl", number)
        titles[row["_id"]], texts[row["_id"]] = str(row.get("title") or ""), str(row.get("text") or "")
    for number, line in enumerate(files.text("queries.jsonl").splitlines(), 1):
        row = _row(line, "queries.jsonl", number)
        questions[row["_id"]] = str(row.get("text") or "")
    judged: dict[str, Judgements] = {}
    for path in files.below("qrels"):
        found: dict[str, dict[str, int]] = {}
        for number, line in enumerate(files.text(path).splitlines()[1:], 2):
            parts = line.split("\t")
            if len(parts) < 3 or not parts[2].strip().lstrip("-").isdigit():
                raise InvalidDataset(f"{path}, line {number}: not a query-id, a corpus-id and a score, parted by tabs.")
            if int(parts[2]) > 0 and parts[0] in questions:
                found.setdefault(parts[0], {})[parts[1]] = int(parts[2])
        judged[Path(path).stem] = found
    if not (titles and any(judged.values())):
        raise InvalidDataset(f"{name} has no documents, or no judgement above 0 in qrels.")
    return Collection(name, titles, texts, questions, judged)


def _row(line: str, file: str, number: int) -> dict[str, str]:
    try:
        row = json.loads(line)
        return {**row, "_id": str(row["_id"])}
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidDataset(f"{file}, line {number}: not an object with an _id.") from error


def _scifact(name: str, files: _Files) -> Collection:
    titles, texts = {}, {}
    for row in _csv(files.text("corpus_train.csv")):
        titles[row["doc_id"]] = row["title"]
        texts[row["doc_id"]] = " ".join(ast.literal_eval(part) for part in _LITERAL.findall(row["abstract"]))
    questions: dict[str, str] = {}
    judged: dict[str, Judgements] = {}
    for part, file in (("train", "claims_train.csv"), ("test", "claims_validation.csv")):
        found: dict[str, dict[str, int]] = {}
        for row in _csv(files.text(file)):
            questions[row["id"]] = row["claim"]
            cited = re.findall(r"\d+", row["cited_doc_ids"])
            if cited:
                found[row["id"]] = dict.fromkeys(cited, 1)
        judged[part] = found
    return Collection(name, titles, texts, questions, judged)


def _csv(text: str) -> list[dict[str, str]]:
    usual = csv.field_size_limit(2**27)  # of the whole process
    try:
        return list(csv.DictReader(io.StringIO(text)))
    finally:
        csv.field_size_limit(usual)
