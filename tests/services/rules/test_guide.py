"""The guide for staff says only what the language understands, and all of it."""

import re
from pathlib import Path

from recommender.models import Rule
from recommender.services.filtering import FIELDS, parse
from recommender.services.filtering.fields import Flag

GUIDE = (Path(__file__).parents[3] / "docs/rules.md").read_text()
LANGUAGE = GUIDE[GUIDE.index("## The language") : GUIDE.index("## What it costs")]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in LANGUAGE.splitlines() if line.startswith("| `")
]


def test_every_example_is_understood() -> None:
    examples = LANGUAGE.split("```")[1].strip().splitlines()
    assert len(examples) == 10
    for text in [*examples, *(row[3].strip("`") for row in ROWS)]:
        parse(text)
    inline = re.findall(r"`((?:not )?[a-z_.]+ (?:[<>!=]+|contains|in|has) [^`]+)`", LANGUAGE)
    assert len(inline) >= 3
    for text in inline:
        parse(text)


def test_every_field_has_its_row_with_its_operators() -> None:
    names = [row[0].strip("`").split(".")[0] for row in ROWS]
    assert sorted(names) == sorted(FIELDS)
    for name, row in zip(names, ROWS, strict=True):
        said = set(re.findall(r"`([^`]+)`", row[2])) - {"true", "false"}
        known = {"!=" if operator == "=" else operator for operator in FIELDS[name].operators}
        expected = {"is empty" if operator == "empty" else operator for operator in known} | {"=", "!="}
        assert said == expected, name
        assert ("alone" in row[2]) == isinstance(FIELDS[name], Flag)


def test_every_action_is_told() -> None:
    assert all(f"| {action} |" in GUIDE for action in Rule.Action.values)
