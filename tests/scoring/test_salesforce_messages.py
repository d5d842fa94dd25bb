"""Outbound messages of Salesforce: the secret of their address, the organisation, the records."""

import pytest

from services.scoring.domain.salesforce_messages import (
    ACKNOWLEDGED,
    read_outbound_message,
    require_salesforce_settings,
    verify_token,
)
from shared.errors import GtmError, InvalidRequest

ORGANIZATION = "00D000000000001EAA"
TOKEN = "f" * 32
ACCOUNT = "001000000000001AAA"


def notification(number: int, kind: str = "sf:Account", record_id: str = ACCOUNT) -> str:
    return (
        f"<Notification><Id>04l0000000000{number:02d}AAA</Id>"
        f'<sObject xsi:type="{kind}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">'
        f"<sf:Id>{record_id}</sf:Id><sf:Name>Falkor &amp; Söhne</sf:Name></sObject></Notification>"
    )


def message(*notifications: str, organization: str = ORGANIZATION) -> bytes:
    """As Salesforce's documentation has it."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
        ' <soapenv:Body>\n  <notifications xmlns="http://soap.sforce.com/2005/09/outbound">\n'
        f"   <OrganizationId>{organization}</OrganizationId>\n   <ActionId>04k000000000001AAA</ActionId>\n"
        '   <SessionId xsi:nil="true"/>\n   <EnterpriseUrl>https://x.my.salesforce.com/c/62.0</EnterpriseUrl>\n'
        "   <PartnerUrl>https://x.my.salesforce.com/u/62.0</PartnerUrl>\n"
        f"{''.join(notifications)}  </notifications>\n </soapenv:Body>\n</soapenv:Envelope>"
    ).encode()


def refused(body: bytes) -> None:
    with pytest.raises(GtmError) as raised:
        read_outbound_message(body, ORGANIZATION)
    assert (raised.value.status, raised.value.code) == (401, "webhook-signature-invalid")


def test_each_notification_is_an_event_about_its_record() -> None:
    lead = "00Q000000000002AAA"
    first, second = read_outbound_message(message(notification(1), notification(2, "sf:Lead", lead)), ORGANIZATION)
    assert (first.event_id, first.event_type, first.ignored_for) == ("04l000000000001AAA", "Account", None)
    (change,) = first.changes
    assert (change.source, change.object, change.record_ids) == ("salesforce", "Account", (ACCOUNT,))
    assert second.changes[0].object == "Lead" and second.event_id != first.event_id


def test_a_full_message_is_taken_and_no_longer_one() -> None:
    full = [notification(number) for number in range(100)]
    assert len({one.event_id for one in read_outbound_message(message(*full), ORGANIZATION)}) == 100
    for wrong in ([], [*full, notification(0)]):
        with pytest.raises(InvalidRequest, match="1 to 100"):
            read_outbound_message(message(*wrong), ORGANIZATION)


def test_the_organisation_counts_by_its_15_characters() -> None:
    body = message(notification(1), organization=ORGANIZATION[:15])
    assert len(read_outbound_message(body, ORGANIZATION)) == len(read_outbound_message(body, ORGANIZATION[:15])) == 1
    for other in ("00D000000000002EAA", "00d000000000001EAA", ORGANIZATION + "A", "", "Ä" * 15):
        refused(message(notification(1), organization=other))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (notification(1, "sf:Invoice__c"), "unknown-object"),
        (notification(1, record_id="1"), "unreadable"),
        (notification(1, record_id=""), "unreadable"),
        (notification(1, "sf:"), "unreadable"),
        (notification(1, "x" * 129), "unreadable"),
        ("<Notification/>", "unreadable"),
        pytest.param(f"<Notification>{'<a>' * 5000}{'</a>' * 5000}</Notification>", "unreadable", id="deep"),
        ("<Notification><Id>04l000000000001AAA</Id></Notification>", "unreadable"),
    ],
)
def test_what_nobody_can_use_does_not_cost_the_others_of_its_message(content: str, reason: str) -> None:
    odd, good = read_outbound_message(message(content, notification(2)), ORGANIZATION)
    assert (odd.changes, odd.ignored_for) == ((), reason) and good.changes and odd.event_id != good.event_id


_BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "%s">]><a>&b;</a>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<a/>",
        b"\xff\xfe<",
        _BOMB % b"x",
        (_BOMB % b"x").decode().replace('version="1.0"', 'version="1.0" encoding="utf-16"').encode("utf-16"),
        b'<?xml version="1.0" encoding="nope"?><a/>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>" * 100_000,
        message(notification(1)).replace(b"2005/09/outbound", b"2005/09/other"),
    ],
)
def test_what_is_no_outbound_message_is_refused_by_name(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="SOAP"):
        read_outbound_message(body, ORGANIZATION)


def test_a_document_type_is_refused_though_the_rest_is_right() -> None:
    body = message(notification(1)).replace(b"<soapenv:Envelope", b"<!DOCTYPE x><soapenv:Envelope", 1)
    with pytest.raises(InvalidRequest, match="document type"):
        read_outbound_message(body, ORGANIZATION)


@pytest.mark.parametrize("given", [[], [""], ["g" * 32], [TOKEN, TOKEN], [TOKEN + " "], ["\udcff"[:0] + "ÿ"]])
def test_a_wrong_token_is_told_nothing(given: list[str]) -> None:
    with pytest.raises(GtmError) as raised:
        verify_token(given, TOKEN)
    assert (raised.value.status, raised.value.code) == (401, "webhook-signature-invalid")
    assert TOKEN not in raised.value.detail
    verify_token([TOKEN], TOKEN)


@pytest.mark.parametrize(
    ("token", "organization"), [("short", ORGANIZATION), (TOKEN + "&x=1", ORGANIZATION), (TOKEN, "001000000000001")]
)
def test_an_unusable_setting_is_the_operators_mistake(token: str, organization: str) -> None:
    with pytest.raises(GtmError, match="GTM_SALESFORCE") as raised:
        require_salesforce_settings(token, organization)
    assert raised.value.code == "webhook-secret-invalid" and token not in raised.value.detail


def test_the_acknowledgement_is_the_one_that_salesforce_wants() -> None:
    assert "<Ack>true</Ack></notificationsResponse>" in ACKNOWLEDGED
    require_salesforce_settings(TOKEN, ORGANIZATION)
