"""What a caller is told about a request that can't be carried out, before a job is accepted."""

from pathlib import Path
from typing import Any

import pytest

from services.ingest.adapters.files.folder import resolve_folder
from services.ingest.adapters.sources import validate_sync_request
from services.ingest.settings import IngestSettings
from shared.contracts import SyncRequest
from shared.errors import InvalidRequest


def refusal(settings: IngestSettings, source: str, **options: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        validate_sync_request(SyncRequest(source=source, options=options), settings)
    return caught.value


def test_unknown_source_lists_the_known_ones(settings: IngestSettings) -> None:
    error = refusal(settings, "hubspotty")
    assert error.code == "unknown-source"
    assert "'hubspotty'" in error.detail and "files, hubspot, mock, salesforce" in error.detail


def test_unknown_option_names_it_and_the_options(settings: IngestSettings) -> None:
    error = refusal(settings, "mock", acounts=5)
    assert "options.acounts is not an option" in error.detail and "accounts, visits, seed" in error.detail
    assert error.extensions["fields"] == ["options.acounts"]


@pytest.mark.parametrize(
    "options, named",
    [({"dirt": 2}, "options.dirt = 2"), ({"as_of": "2026-13-45"}, "options.as_of"), ({"accounts": "many"}, "accounts")],
)
def test_wrong_value_names_field_and_value(settings: IngestSettings, options: dict[str, Any], named: str) -> None:
    assert named in refusal(settings, "mock", **options).detail


def test_missing_option(settings: IngestSettings) -> None:
    assert "options.path is missing" in refusal(settings, "files", mapping="hubspot_export").detail


@pytest.mark.parametrize("mapping", ["nope", "../hubspot_export", "/etc/passwd"])
def test_unknown_mapping_lists_the_known_ones(settings: IngestSettings, files_root: Path, mapping: str) -> None:
    error = refusal(settings, "files", mapping=mapping, path=str(files_root))
    assert error.code == "unknown-mapping"
    assert "hubspot_export, salesforce_export" in error.detail


def test_missing_folder(settings: IngestSettings, files_root: Path) -> None:
    error = refusal(settings, "files", mapping="hubspot_export", path=str(files_root / "nope"))
    assert error.code == "path-missing" and "nope" in error.detail


@pytest.mark.parametrize("path", ["/etc", "{root}/../secrets", "{root}/link", "../secrets"])
def test_path_outside_the_roots_is_refused(settings: IngestSettings, files_root: Path, path: str) -> None:
    secrets = files_root.parent / "secrets"
    secrets.mkdir()
    (secrets / "company_data.csv").write_text("id\n1\n")
    (files_root / "link").symlink_to(secrets)
    error = refusal(settings, "files", mapping="hubspot_export", path=path.format(root=files_root))
    assert error.code == "path-not-allowed"


def test_path_that_is_none(files_root: Path) -> None:
    """No request brings it (`shared/contracts.py`); a setting might."""
    with pytest.raises(InvalidRequest) as raised:
        resolve_folder("a\0b", (files_root,))
    assert raised.value.code == "path-invalid"


def test_file_that_links_out_of_the_roots_is_refused(settings: IngestSettings, files_root: Path) -> None:
    outside = files_root.parent / "outside.csv"
    outside.write_text("id\n1\n")
    (files_root / "company_data.csv").symlink_to(outside)
    error = refusal(settings, "files", mapping="hubspot_export", path=str(files_root))
    assert error.code == "path-not-allowed" and "company_data.csv" in error.detail


def test_folder_without_a_mapped_file(settings: IngestSettings, files_root: Path) -> None:
    (files_root / "other.csv").write_text("id\n1\n")
    error = refusal(settings, "files", mapping="hubspot_export", path=str(files_root))
    assert error.code == "no-mapped-files" and "company_data" in error.detail


def test_relative_path_is_found_in_a_root(settings: IngestSettings, files_root: Path) -> None:
    (files_root / "export").mkdir()
    (files_root / "export" / "company_data.csv").write_text("id\n1\n")
    validate_sync_request(
        SyncRequest(source="files", options={"mapping": "hubspot_export", "path": "export"}), settings
    )


def test_several_roots_come_from_one_setting() -> None:
    settings = IngestSettings(GTM_FILES_ROOTS="/srv/a:/srv/b")
    assert settings.files_roots == (Path("/srv/a"), Path("/srv/b"))
