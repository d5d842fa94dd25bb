"""What of the dbt project is a setting: the project's own defaults, and complaints that say what is wanted."""

import re

import pytest
import yaml
from pydantic import ValidationError

from services.transform.settings import TransformSettings
from shared.settings import explain_wrong_settings
from tests.transform.builds import REPOSITORY


def test_the_defaults_are_those_of_the_project() -> None:
    declared = yaml.safe_load((REPOSITORY / "dbt_transform" / "dbt_project.yml").read_text())["vars"]
    given = TransformSettings().to_variables()
    assert "as_of_date" not in given and declared["as_of_date"] is None
    rates = {code: str(rate) for code, rate in declared["usd_exchange_rates"].items()}
    assert given == {name: declared[name] for name in given} | {"usd_exchange_rates": rates}


def test_settings_become_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTM_USD_EXCHANGE_RATES", '{"EUR": 1.08, "IDR": 0.000061}')
    monkeypatch.setenv("GTM_DATE_ORDERS", '{"billing": "dmy"}')
    monkeypatch.setenv("GTM_ARR_CONTRACT_MONTHS", "12")
    monkeypatch.setenv("GTM_AS_OF_DATE", "2026-03-01")
    given = TransformSettings().to_variables()
    assert given["usd_exchange_rates"] == {"EUR": "1.08", "IDR": "0.000061", "USD": "1"}  # no float near money
    assert given["date_orders"] == {"hubspot": "mdy", "salesforce": "mdy", "billing": "dmy"}
    assert (given["arr_contract_months"], given["as_of_date"]) == (12, "2026-03-01")


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("GTM_USD_EXCHANGE_RATES", '{"eur": 1}', "'eur' is no currency code"),
        ("GTM_USD_EXCHANGE_RATES", '{"USD": 2}', "one USD is 1 dollar"),
        ("GTM_USD_EXCHANGE_RATES", '{"EUR": 0}', "GTM_USD_EXCHANGE_RATES.EUR=0: Input should be greater than 0"),
        ("GTM_USD_EXCHANGE_RATES", "EUR=1.08", 'not JSON .*write it like {"EUR": 1.08}'),
        ("GTM_DATE_ORDERS", '{"billing": "ymd"}', "GTM_DATE_ORDERS.billing=ymd: Input should be 'mdy' or 'dmy'"),
        ("GTM_DATE_ORDERS", "[]", "write an object"),
        ("GTM_QUARANTINE_WARN_SHARE", "0.6", "must not be above GTM_QUARANTINE_FAIL_SHARE"),
        ("GTM_VOLUME_MIN_SHARE", "50", "less than or equal to 1"),
        ("GTM_TIME_DECAY_HALF_LIFE_DAYS", "0", "greater than 0"),
        ("GTM_DUCKDB_MEMORY_LIMIT", "lots", "write a size like 2500MB"),
    ],
)
def test_a_wrong_setting_says_what_is_wanted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        TransformSettings()
    assert re.search(complaint, explain_wrong_settings(caught.value)[0])
