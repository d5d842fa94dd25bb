"""Pages of a Bulk result that are longer or emptier than most."""

import io

import pytest

from services.ingest.domain.salesforce.records import read_csv
from shared.errors import TransientError
from tests.fakes.salesforce import FakeSalesforce
from tests.fakes.salesforce_org import Org
from tests.fakes.salesforce_rest import Reply
from tests.ingest.salesforce.conftest import SalesforceSync

TYPES = {"Id": "id", "Description": "textarea"}


def test_rows_of_many_long_texts() -> None:
    """Salesforce lets the long texts of one record have 1.6 million characters."""
    texts = ["ä" * 1_600_000, "b\n" * 800_000, "c"]
    csv = '"Id","Description"\n' + "".join(f'"{number}","{text}"\n' for number, text in enumerate(texts))
    columns = read_csv(list(TYPES), TYPES, io.BytesIO(csv.encode()))
    assert columns["Description"].to_pylist() == texts


def test_body_without_a_byte_has_no_rows(pull: SalesforceSync, salesforce: FakeSalesforce, org: Org) -> None:
    """Where Salesforce says so; where it says nothing, or another number, the page broke off."""
    org.insert("Account", Name="Falkor")
    org.tick()
    for told, is_good in (("0", True), ("", False), ("1", False)):
        empty = Reply(200, b"", {"Sforce-NumberOfRecords": told} if told else {})
        salesforce.faults = lambda call: empty if call.path.endswith("/results") else None
        if is_good:
            pull("Account", salesforce_bulk_rows=0, request={"mode": "full"})
            continue
        with pytest.raises(TransientError, match="malformed page"):
            pull("Account", salesforce_bulk_rows=0, request={"mode": "full"})
