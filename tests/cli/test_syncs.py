"""`gtm sync` of a CRM: the policy for changed fields, and what a job tells beside its counts."""

import pytest

from tests.cli.conftest import Gtm
from tests.cli.server import RESULTS, Behaviour


def test_what_changed_in_the_source_s_fields_is_shown(gtm: Gtm, monkeypatch: pytest.MonkeyPatch) -> None:
    table = "hubspot_contacts"
    change = {"table": table, "field": "score", "change": "retyped", "old_type": "number", "new_type": "string"}
    others = [{**change, "field": f"f{n}", "change": "added", "old_type": None} for n in range(7)]
    notes = ["The clock of hubspot is late, by 5 min.", "hubspot gave nothing."]
    monkeypatch.setitem(RESULTS, "sync", {"schema_changes": [change, *others], "notes": notes})

    stdout = gtm("sync", "hubspot").stdout
    assert "schema: hubspot_contacts.score retyped (number -> string)\n" in stdout
    assert "schema: hubspot_contacts.f0 added (string)\n" in stdout and "f5" not in stdout
    assert "all 8 in raw.schema_changes\n" in stdout
    assert all(f"note: {note}\n" in stdout for note in notes)


def test_the_policy_for_changed_fields_is_sent(gtm: Gtm, behaviour: Behaviour) -> None:
    assert gtm("sync", "hubspot", "--on-schema-change", "freeze").exit_code == 0
    assert behaviour.starts[0]["body"]["on_schema_change"] == "freeze"
    assert gtm("sync", "hubspot", "--on-schema-change", "ignore").exit_code == 2
