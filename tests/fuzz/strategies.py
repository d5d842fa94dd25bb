"""Bytes that are nearly right: of each parser's own words, broken at random. Wholly random ones get no further than the
first check."""

import json
from typing import Any, Final

from hypothesis import strategies as st

from services.scoring.domain.profile import FIELDS

_SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "0", "-1", "\0", "\ud800", "١٢٣", "9" * 400, "\u202e", "a@b.example"])
)
_JSON: Final = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def _object(known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Each member as it should be, or anything at all, or left out; and others beside them."""
    members = {name: value | _JSON for name, value in known.items()}
    return st.builds(
        lambda some, more: {**more, **some},
        st.fixed_dictionaries({}, optional=members),
        st.dictionaries(st.text(max_size=8), _JSON, max_size=2),
    )


def _broken(texts: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """As they are, or with some bytes put in the place of others."""

    def change(text: str, at: int, size: int, put: bytes) -> bytes:
        raw = text.encode("utf-8", "surrogatepass")
        place = at % (len(raw) + 1)
        return raw[:place] + put + raw[place + size :]

    whole = texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
    return whole | st.builds(change, texts, st.integers(0, 4000), st.integers(0, 9), st.binary(max_size=9))


def _dumped(content: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return st.builds(lambda one, plain: json.dumps(one, ensure_ascii=plain), content, st.booleans())


_IDS: Final = st.integers(0, 10**12) | st.sampled_from(["123", "0", 10**20 - 1, 10**20, -5, 1.5, True])
_HUBSPOT: Final = _object(
    {
        "eventId": _IDS,
        "subscriptionType": st.builds(
            lambda what, change: f"{what}.{change}",
            st.sampled_from(["contact", "company", "deal", "object", "ticket", ""]),
            st.sampled_from(["creation", "propertyChange", "deletion", "merge", "associationChange", "restore", "x"]),
        ),
        "objectId": _IDS,
        "objectTypeId": st.sampled_from(["0-1", "0-2", "0-3", "2-1"]),
        "occurredAt": st.integers(-(10**18), 10**18),
        "primaryObjectId": _IDS,
        "newObjectId": _IDS,
        "mergedObjectIds": st.lists(_IDS, max_size=4),
        "associationType": st.sampled_from(["CONTACT_TO_COMPANY", "DEAL_TO_CONTACT", "_TO_", "X"]),
        "fromObjectId": _IDS,
        "toObjectId": _IDS,
        "fromObjectTypeId": st.sampled_from(["0-1", "0-2"]),
        "toObjectTypeId": st.sampled_from(["0-3", "0-9"]),
    }
)
_STANDARD: Final = _object(
    {
        "type": st.sampled_from(["account.changed", "record.changed", "invoice.paid", "x" * 129]),
        "account_id": st.text(max_size=210),
        "source": st.sampled_from(["hubspot", "salesforce", "sap"]),
        "object": st.sampled_from(["companies", "Account", "Lead", "x"]),
        "record_ids": st.lists(st.sampled_from(["1", "001000000000001AAA", "001000000000001", ""]) | _JSON, max_size=4),
    }
)
_ANSWER: Final = _object(
    {
        "claims": st.lists(
            _object(
                {
                    "field": st.sampled_from(list(FIELDS)),
                    "polarity": st.sampled_from(["positive", "negative", "neutral"]),
                }
            ),
            max_size=5,
        ),
        "lead_score": st.integers(-5, 110),
        "next_action": st.sampled_from(["book_demo", "call", "email", "nurture", "wait", "sell"]),
        "pitch": st.text(min_size=0, max_size=260),
    }
)
_COMPLAINT: Final = _object(
    {
        "message": st.text(max_size=40),
        "errors": st.lists(_object({"message": st.text(max_size=9), "errorCode": st.text(max_size=9)}), max_size=3),
        "context": _object({"requiredScopes": st.lists(st.text(max_size=9), max_size=3)}),
        "category": st.text(max_size=9),
    }
)
_NOTIFICATIONS: Final = st.lists(
    st.builds(
        lambda id, kind, record, more: (
            f"<Notification><Id>{id}</Id><sObject xsi:type='{kind}'>{more}<sf:Id>{record}</sf:Id></sObject>"
            "</Notification>"
        ),
        st.sampled_from(["04l000000000001AAA", "", "x", "04l000000000001"]),
        st.sampled_from(["sf:Account", "sf:Lead", "sf:Unknown", "", "Account"]),
        st.sampled_from(["001000000000001AAA", "001", "&#0;", "&l;", "<x/>", ""]),
        st.sampled_from(["", "<sf:Name>Söhne</sf:Name>", "<a:b/>", "]]>", "<![CDATA[x]]>", "<!DOCTYPE x>"]),
    ),
    max_size=4,
)
_SOAP: Final = st.builds(
    lambda head, organization, notifications: (
        f"{head}<soapenv:Envelope xmlns:soapenv='http://schemas.xmlsoap.org/soap/envelope/' xmlns:sf='urn:x' "
        "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'><soapenv:Body>"
        "<notifications xmlns='http://soap.sforce.com/2005/09/outbound'>"
        f"<OrganizationId>{organization}</OrganizationId>{''.join(notifications)}</notifications></soapenv:Body>"
        "</soapenv:Envelope>"
    ),
    st.sampled_from(["", "<?xml version='1.0' encoding='UTF-8'?>", "<?xml version='1.0' encoding='x'?>", "\ufeff"]),
    st.sampled_from(["00D000000000001EAA", "00D000000000001", "00D000000000002EAA", ""]),
    _NOTIFICATIONS,
)
_HEADER_PARTS: Final = st.sampled_from(
    [b"v1", b"v2", b"v3", b"v1,", b"v1a,x", b"0", b"1693657560000", b"nan", b"inf", b"-1", b"1e9", b""]
) | st.binary(max_size=40)
_HEADERS: Final = st.lists(_HEADER_PARTS, min_size=1, max_size=5).map(b"\0".join)
_TIMES: Final = st.lists(
    st.builds(
        lambda day, sep, time, zone: f"{day}{sep}{time}{zone}",
        st.sampled_from(["2026-11-24", "0001-01-01", "9999-12-31", "2026-13-01", "2026-02-30", "20261124", "1", ""])
        | st.dates().map(str),
        st.sampled_from(["T", " ", ""]),
        st.sampled_from(["00:00:00", "9:05", "23:59:60", "24:00:00", "12:30:15.123456789", "x", ""]),
        st.sampled_from(["Z", "+02:00", "-14:00", "+0530", "+99:99", " UTC", "+14", ""]),
    )
    | st.integers(0, 10**15).map(str)
    | st.text(max_size=30),
    min_size=1,
    max_size=5,
).map("\n".join)
_AMOUNTS: Final = st.lists(
    st.builds(
        lambda sign, number, unit: f"{sign}{number}{unit}",
        st.sampled_from(["", "-", "€ ", "USD", "("]),
        st.from_regex(r"[0-9.,' \u00a0\u202f]{0,14}", fullmatch=True),
        st.sampled_from(["", " €", "%", "k", ")", "²"]),
    )
    | st.text(max_size=12),
    min_size=1,
    max_size=5,
).map("\n".join)
_DATES: Final = st.builds(
    lambda day, number, month, year, time, zone: f"{day}, {number} {month} {year} {time} {zone}",
    st.sampled_from(["Mon", "Tue", "X", ""]),
    st.integers(-1, 99),
    st.sampled_from(["Nov", "nov", "Foo"]),
    st.integers(-1, 99_999),
    st.sampled_from(["10:00:00", "99:99:99", "1:2", ""]),
    st.sampled_from(["GMT", "+0000", "-9999", "+99999999999999999999", "", "EST"]),
) | st.text(max_size=40)
_CELLS: Final = st.sampled_from(
    ["a", "é", "1", "12.500,00", "2026-11-24T10:00:00+02:00", " ", "\t", "\r", "\0", "\x1a"]
)
_CSV: Final = st.builds(
    lambda head, cells: head + "".join(cells),
    st.sampled_from(
        ["ID,Name\n", "ID;Name;Revenue\r\n", '"ID","Name","Changed"\n', "sep=;\nID;Name\n", "\ufeffID\tName\n", ""]
    ),
    st.lists(_CELLS | st.sampled_from([",", ";", '"', "\n", "\r\n", '""', '","']), max_size=60),
)
_LINES: Final = st.lists(
    _dumped(_object({"ID": st.text(max_size=5), "Name": st.text(max_size=5), "Revenue": st.floats()}))
    | st.sampled_from(
        ['{"ID": 1e999}', '{"ID": ' + "9" * 5000 + "}", '{"ID":1,"ID":2}', "[" * 3000, '{"ID": NaN}', ""]
    ),
    max_size=5,
).map("\n".join)

FOR: Final[dict[str, st.SearchStrategy[bytes]]] = {
    "hubspot_body": _broken(_dumped(st.lists(_HUBSPOT, max_size=4) | _JSON)),
    "hubspot_signature": _HEADERS,
    "hubspot_signed": _broken(_dumped(st.lists(_HUBSPOT, max_size=2))),
    "standard_body": _broken(_dumped(_STANDARD | _JSON)),
    "standard_signature": _HEADERS,
    "salesforce_body": _broken(_SOAP),
    "salesforce_token": _HEADERS,
    "model_answer": _broken(_dumped(_ANSWER | _JSON)),
    "crm_answer": _broken(_dumped(_COMPLAINT | st.lists(_COMPLAINT, max_size=3) | _JSON)),
    "crm_headers": _broken(_DATES | st.sampled_from(["1e400", "nan", "-5", "9" * 5000, "١٢"])),
    "change_times": _broken(_TIMES),
    "money": _broken(_AMOUNTS),
    "csv_file": _broken(_CSV) | st.binary(max_size=200),
    "json_lines": _broken(_LINES) | st.binary(max_size=200),
    "packed_file": st.binary(max_size=400),
}
