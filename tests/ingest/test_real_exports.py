"""Files that no one here made, read in place: every row of them is accounted for."""

import csv
import json
from pathlib import Path

import pytest

from services.ingest.adapters.files.check import check_folder
from services.ingest.adapters.files.plan import FilesOptions
from services.ingest.domain.raw_schema import source_columns
from services.ingest.settings import IngestSettings
from tests.ingest.conftest import REPOSITORY, Query, Sync

SHARED = REPOSITORY.parent / "shared" / "data"
SHIPPED = REPOSITORY / "config" / "sources"

HUBSPOT = {
    "hubspot_companies": "company_data",
    "hubspot_contacts": "contact_data",
    "hubspot_deals": "deal_data",
    "hubspot_pipeline_stages": "deal_pipeline_stage_data",
    "hubspot_deal_stage_history": "deal_stage_data",
    "hubspot_deal_companies": "deal_company_data",
    "hubspot_deal_contacts": "deal_contact_data",
    "hubspot_form_submissions": "contact_form_submission_data",
    "hubspot_email_events": "email_event_data",
    "hubspot_email_campaigns": "email_campaign_data",
    "hubspot_contact_merges": "contact_merge_audit_data",
    "hubspot_deal_merges": "merged_deal_data",
}
SALESFORCE = {
    "salesforce_accounts": "sf_account_data",
    "salesforce_contacts": "sf_contact_data",
    "salesforce_opportunities": "sf_opportunity_data",
    "salesforce_opportunity_history": "sf_opportunity_history_data",
    "salesforce_leads": "sf_lead_data",
    "salesforce_tasks": "sf_task_data",
}
RAVENSTACK = {
    "salesforce_accounts": "ravenstack_accounts",
    "billing_subscriptions": "ravenstack_subscriptions",
}


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="third-party exports are not beside this checkout (../shared/data)")
@pytest.mark.parametrize(
    "sources, mapping, folder, files",
    [
        (SHIPPED, "hubspot_export", "hubspot_seeds", HUBSPOT),
        (SHIPPED, "salesforce_export", "salesforce_seeds", SALESFORCE),
        (Path(__file__).parent / "mappings", "ravenstack", "ravenstack_saas", RAVENSTACK),
    ],
    ids=["hubspot", "salesforce", "ravenstack"],
)
def test_real_exports_land_completely(
    sync: Sync, query: Query, sources: Path, mapping: str, folder: str, files: dict[str, str]
) -> None:
    """Rows in the file = keys landed + duplicates + rejected, and every value is found again as it was."""
    options = {"mapping": mapping, "path": str(SHARED / folder)}
    allowed = {"files_roots": (SHARED,), "sources_dir": sources}
    result = sync("files", options, **allowed)
    assert set(result["tables"]) == set(files)
    for table, file in files.items():
        with (SHARED / folder / f"{file}.csv").open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
        counts = result["tables"][table]
        ((landed,),) = query(f"select count(*) from raw.{table}")
        assert len(rows) == landed + counts["duplicates"] + counts["rejected"] == counts["seen"] > 0, table
        columns = ", ".join((*source_columns(table), "extra"))
        kept = [
            sorted({value for value in (*row[:-1], *json.loads(row[-1] or "{}").values()) if value is not None})
            for row in query(f"select {columns} from raw.{table}")
        ]
        assert sorted(kept) == sorted(sorted({value for value in row.values() if value}) for row in rows), table
    again = sync("files", options, job_id="job-2", request={"mode": "full"}, **allowed)
    assert (again["changed"], again["seen"]) == (0, result["seen"])
    skipped = sync("files", options, job_id="job-3", **allowed)
    assert (skipped["changed"], skipped["seen"], skipped["rejected"]) == (0, result["seen"], result["rejected"])


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="third-party exports are not beside this checkout (../shared/data)")
@pytest.mark.parametrize("folder", ["hubspot_seeds", "salesforce_seeds", "ravenstack_saas"])
def test_every_other_csv_is_accounted_for_by_a_check(settings: IngestSettings, tmp_path: Path, folder: str) -> None:
    """By a mapping made up for each file: its first column is the key, and no row is lost on the way."""
    files = sorted((SHARED / folder).glob("*.csv"))
    stems = {*HUBSPOT.values(), *SALESFORCE.values(), *RAVENSTACK.values()}
    others = [file for file in files if file.stem not in stems]
    assert others and len(others) < len(files)
    allowed = settings.model_copy(update={"files_roots": (SHARED,), "sources_dir": tmp_path})
    for file in others:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            header, *rows = csv.reader(stream)
        table = {"files": [file.stem], "key": header[:1], "columns": {"id": header[0]}}
        (tmp_path / "one.yml").write_text(json.dumps({"description": "x", "tables": {"hubspot_companies": table}}))
        check = check_folder(FilesOptions(mapping="one", path=str(SHARED / folder)), allowed, {})
        assert check.rows + check.rejected == len([row for row in rows if row]), file.name
        assert len(check.rejects) == check.rejected and all(one.reason and one.line for one in check.rejects)
        assert check.is_well == (not check.rejected), file.name
        assert [one.file for table in check.tables for one in table.files] == [file.name]


def test_billing_takes_the_columns_that_it_documents(sync: Sync, query: Query, files_root: Path) -> None:
    text = (SHIPPED / "billing.yml").read_text()
    documented = [line.split()[1] for line in text.splitlines() if line.startswith("#   ")]
    assert set(documented) == {*source_columns("billing_subscriptions"), "updated_at"}
    rows = ["id,customer_domain,arr,started_at,ended_at,note", "s1,acme.example,1200.00,13-04-2025,,first"]
    (files_root / "subscriptions.csv").write_text("\n".join(rows))
    assert sync("files", {"mapping": "billing", "path": str(files_root)})["inserted"] == 1
    landed = (
        "select source_system, id, customer_domain, arr, started_at, ended_at, extra from raw.billing_subscriptions"
    )
    assert query(landed) == [
        ("billing", "s1", "acme.example", "1200.00", "13-04-2025", None, '{"note":"first"}'),
    ]
