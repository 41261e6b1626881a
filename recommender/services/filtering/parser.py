"""From words and signs to a small tree. A recursive descent, one function for each line of the grammar:

either  = both { "or" both }
both    = term { "and" term }
term    = "not" term | "(" either ")" | field [ test ]         a field of true or false needs no test
test    = ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
        | [ "not" ] ( "in" "(" value { "," value } ")" | "contains" text | "has" value )
        | "is" [ "not" ] "empty"
field   = name | "attributes" "." name { "." name }            a name of an attribute may stand in quotes
"""

from dataclasses import dataclass
from typing import NoReturn

from recommender.services.errors import InvalidInput
from recommender.services.filtering.fields import FIELDS, ORDERED, Attribute, Comparison, Field, Flag, Value
from recommender.services.filtering.tokens import refuse, tokens
from recommender.services.texts import storable

MAX_LENGTH = 2000  # characters of a condition
MAX_DEPTH = 20  # parentheses and nots within each other
MAX_TERMS = 100  # comparisons, and values of all lists
MAX_NAMES = 5  # of a path into the attributes
MAX_NAME = 64  # characters of one of them

SIGNS = ("=", "!=", *ORDERED)


@dataclass(frozen=True)
class Not:
    part: "Node"


@dataclass(frozen=True)
class All:
    parts: "tuple[Node, ...]"


@dataclass(frozen=True)
class Either:
    parts: "tuple[Node, ...]"


Node = Comparison | Not | All | Either


def parsed(text: str) -> Node:
    """The tree of a condition. Raises InvalidInput."""
    if len(text) > MAX_LENGTH:
        raise InvalidInput(f"A condition has at most {MAX_LENGTH:,} characters, this one {len(text):,}.")
    if not storable(text):
        raise InvalidInput("A condition has no NUL and no broken characters.")
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._next = next(self._tokens)
        self._depth = 0
        self._terms = 0

    def whole(self) -> Node:
        node = self._either()
        if self._next.kind != "end":
            self._refuse('"and", "or" or the end')
        return node

    def _either(self) -> Node:
        parts = [self._both()]
        while self._keyword("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Node:
        parts = [self._term()]
        while self._keyword("and"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _term(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH + 1:
            self._refuse(f"at most {MAX_DEPTH} parentheses and nots within each other")
        if self._keyword("not"):
            node: Node = Not(self._term())
        elif self._sign("("):
            node = self._either()
            if not self._sign(")"):
                self._refuse('"and", "or" or ")"')
        else:
            node = self._comparison()
        self._depth -= 1
        return node

    def _comparison(self) -> Node:
        self._count()
        name, names = self._field()
        field, whole = FIELDS[name], ".".join((name, *names))
        if self._next.text in SIGNS and self._next.kind == "sign":
            sign = self._next
            operator = "in" if sign.text in ("=", "!=") else sign.text
            self._check(field, whole, operator)
            self._take()
            node: Node = Comparison(name, names, operator, (self._value(field, operator),))
            return Not(node) if sign.text == "!=" else node
        negated = self._keyword("not")
        operator = self._next.keyword
        if operator == "is" and not negated:
            self._take()
            negated, operator = self._keyword("not"), self._next.keyword
            if operator != "empty":
                self._refuse('"empty" or "not empty"')
        elif operator not in ("in", "contains", "has"):
            if negated or not isinstance(field, Flag):
                self._refuse(_tests(field, whole))
            return Comparison(name, names, "in", (True,))
        self._check(field, whole, operator)
        self._take()
        node = Comparison(name, names, operator, self._values(field, operator))
        return Not(node) if negated else node

    def _field(self) -> tuple[str, tuple[str, ...]]:
        name = self._next.text.lower()
        if self._next.kind != "word" or name not in FIELDS:
            self._refuse('a field, "not" or "("')
        self._take()
        if name != "attributes":
            return name, ()
        if not self._sign("."):
            self._refuse('"." and the name of an attribute')
        names = [self._name()]
        while self._sign("."):
            if len(names) == MAX_NAMES:
                self._refuse(f"at most {MAX_NAMES} names after each other")
            names.append(self._name())
        return name, tuple(names)

    def _name(self) -> str:
        token = self._next
        name = str(token.value) if token.kind == "text" else token.text
        if token.kind not in ("word", "text"):
            self._refuse("the name of an attribute, in quotes where it is not a plain word")
        if not name or len(name) > MAX_NAME or '"' in name or "\\" in name or not name.isprintable():
            self._refuse(f"a name of 1 to {MAX_NAME} characters without quotes, backslashes and control characters")
        self._take()
        return name

    def _values(self, field: Field, operator: str) -> tuple[Value, ...]:
        if operator == "empty":
            return ()
        if operator != "in":
            return (self._value(field, operator),)
        if not self._sign("("):
            self._refuse('"(" and the values')
        values = [self._value(field, operator)]
        while self._sign(","):
            self._count()
            values.append(self._value(field, operator))
        if not self._sign(")"):
            self._refuse('"," or ")"')
        return tuple(values)

    def _value(self, field: Field, operator: str) -> Value:
        value = self._next.value
        if value is None or not field.takes(value, operator):
            self._refuse(_expected(field, operator))
        self._take()
        return value

    def _check(self, field: Field, name: str, operator: str) -> None:
        if operator not in field.operators:
            self._refuse(_tests(field, name))

    def _count(self) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            self._refuse(f"at most {MAX_TERMS} comparisons and values")

    def _keyword(self, word: str) -> bool:
        """Whether this keyword comes next; then it is taken."""
        if self._next.keyword != word:
            return False
        self._take()
        return True

    def _sign(self, sign: str) -> bool:
        if self._next.kind != "sign" or self._next.text != sign:
            return False
        self._take()
        return True

    def _take(self) -> None:
        self._next = next(self._tokens)

    def _refuse(self, expected: str) -> NoReturn:
        refuse(self._next.column, self._next.text, expected)


def _tests(field: Field, name: str) -> str:
    """What may follow this field."""
    said = [sign for sign in SIGNS if ("in" if sign in ("=", "!=") else sign) in field.operators]
    said += [word for word in ("in", "contains", "has") if word in field.operators]
    said += ["is empty"] if "empty" in field.operators else []
    return f"what {name} can be asked: {', '.join(said)}"


def _expected(field: Field, operator: str) -> str:
    if operator == "contains":
        return "a text in quotes"
    return "a number" if isinstance(field, Attribute) and operator in ORDERED else field.expects
