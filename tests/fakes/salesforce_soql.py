"""The part of SOQL that the source sends: select fields or count(), where, order by, limit."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.fakes.salesforce_org import Org, Record
from tests.fakes.salesforce_schema import FakeObject

_TOKEN = re.compile(
    r"\s*(?P<token>'(?:[^'\\]|\\.)*'|\d{4}-\d{2}-\d{2}T[\d:.]+Z|-?\d+(?:\.\d+)?|<=|>=|!=|[=<>(),]|[A-Za-z_]\w*)"
)
_DATETIME = re.compile(r"^\d{4}-\d{2}-\d{2}T")
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    "<": lambda left, right: left is not None and bool(left < right),
    "<=": lambda left, right: left is not None and bool(left <= right),
    ">": lambda left, right: left is not None and bool(left > right),
    ">=": lambda left, right: left is not None and bool(left >= right),
}
Condition = Callable[[Record], bool]


class SoqlError(Exception):
    """What Salesforce answers with 400."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Statement:
    """A parsed statement. `fields` is empty for count()."""

    sobject: str
    fields: tuple[str, ...]
    condition: Condition
    order: tuple[str, ...]
    limit: int | None

    def run(self, org: Org, *, with_deleted: bool) -> list[Record]:
        """The records themselves, in order; without `order by` newest first, since no order is promised."""
        rows = [one for one in org.all(self.sobject) if with_deleted or not one["IsDeleted"]]
        rows = [one for one in reversed(rows) if self.condition(one)]
        if self.order:
            rows.sort(key=lambda one: tuple(str(one.get(name) or "") for name in self.order))
        return rows[: self.limit]


class _Parser:
    def __init__(self, text: str, org: Org) -> None:
        self._org = org
        self._tokens = self._split(text)
        self._at = 0
        self._kind: FakeObject | None = None

    def statement(self, ends_with: str | None = None) -> Statement:
        self._expect("select")
        fields = [self._next()]
        is_count = fields == ["count"]
        if is_count:
            self._expect("(")
            self._expect(")")
        while self._take(","):
            fields.append(self._next())
        self._expect("from")
        self._kind = self._find_object(self._next())
        names = () if is_count else tuple(self._known(name) for name in fields)
        condition = self._or() if self._take("where") else (lambda record: True)
        order = self._order()
        limit = int(self._next()) if self._take("limit") else None
        if ends_with is not None:
            self._expect(ends_with)
        elif self._at < len(self._tokens):
            raise SoqlError("MALFORMED_QUERY", f"unexpected token: '{self._tokens[self._at]}'")
        return Statement(self._kind.name, names, condition, order, limit)

    def _order(self) -> tuple[str, ...]:
        if not self._take("order"):
            return ()
        self._expect("by")
        names = [self._known(self._next())]
        while self._take(","):
            names.append(self._known(self._next()))
        return tuple(names)

    def _or(self) -> Condition:
        parts = [self._and()]
        while self._take("or"):
            parts.append(self._and())
        return lambda record: any(part(record) for part in parts)

    def _and(self) -> Condition:
        parts = [self._term()]
        while self._take("and"):
            parts.append(self._term())
        return lambda record: all(part(record) for part in parts)

    def _term(self) -> Condition:
        if self._take("("):
            inner = self._or()
            self._expect(")")
            return inner
        name = self._known(self._next())
        if self._take("in"):
            self._expect("(")
            if self._tokens[self._at].lower() == "select":
                return self._semi_join(name)
            values = {self._value()}
            while self._take(","):
                values.add(self._value())
            self._expect(")")
            # An id is compared by its first 15 characters, so that both forms of it find the record.
            short = {str(value)[:15] for value in values}
            return lambda record: (record.get(name) or "")[:15] in short
        compare, value = _COMPARISONS[self._next()], self._value()
        return lambda record: compare(record.get(name), value)

    def _semi_join(self, name: str) -> Condition:
        """`in (select Id from ... where ...)`; what is in the recycle bin is not among them."""
        outer = self._kind
        inner = self.statement(ends_with=")")
        self._kind = outer
        ids = {record["Id"] for record in inner.run(self._org, with_deleted=False)}
        return lambda record: record.get(name) in ids

    def _value(self) -> Any:
        token = self._next()
        if token.startswith("'"):
            return re.sub(r"\\(.)", r"\1", token[1:-1])
        if _DATETIME.match(token):
            return token.removesuffix("Z").partition(".")[0] + ".000+0000"
        return {"true": True, "false": False, "null": None}[token.lower()]

    def _known(self, name: str) -> str:
        assert self._kind is not None
        if not any(field.name == name for field in self._kind.fields):
            raise SoqlError(
                "INVALID_FIELD",
                f"\nSELECT {name} FROM {self._kind.name}\n       ^\nERROR at Row:1:Column:8\nNo such column '{name}' "
                f"on entity '{self._kind.name}'. If you are attempting to use a custom field, be sure to append the "
                "'__c' after the custom field name.",
            )
        return name

    def _find_object(self, name: str) -> FakeObject:
        kind = self._org.objects.get(name)
        if kind is None or not kind.is_allowed:
            raise SoqlError("INVALID_TYPE", f"\nSELECT Id FROM {name}\nsObject type '{name}' is not supported.")
        return kind

    def _split(self, text: str) -> list[str]:
        def tokens() -> Iterator[str]:
            at = 0
            while at < len(text.rstrip()):
                match = _TOKEN.match(text, at)
                if match is None:
                    raise SoqlError("MALFORMED_QUERY", f"unexpected token: '{text[at:at + 10]}'")
                at = match.end()
                yield match["token"]

        return list(tokens())

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise SoqlError("MALFORMED_QUERY", "unexpected end of the statement")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, word: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at].lower() == word:
            self._at += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise SoqlError("MALFORMED_QUERY", f"expecting '{word}'")


def parse_soql(text: str, org: Org) -> Statement:
    """Raises SoqlError as Salesforce would: INVALID_FIELD, INVALID_TYPE, MALFORMED_QUERY."""
    return _Parser(text, org).statement()
