"""What docs/mock-source.md says drives the market is what can be found again in the rows that a sync lands."""

from collections.abc import Callable
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from services.ingest.domain.mock.generate import MOCK_TABLES, generate_tables
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.truth import Truth, build_truth

AS_OF = date(2026, 3, 1)
OPTIONS = MockOptions(accounts=10_000, visits=200_000, dirt=0)
Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def landed() -> dict[str, pa.Table]:
    parts: dict[str, list[pa.Table]] = {table: [] for table in MOCK_TABLES}
    for table, rows in generate_tables(OPTIONS, AS_OF):
        parts[table].append(rows)
    return {table: pa.concat_tables(rows) for table, rows in parts.items()}


@pytest.fixture(scope="module")
def truth() -> Truth:
    return build_truth(OPTIONS, AS_OF)


def sigmoid(odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-odds))


def estimate(mean: Callable[[Floats], Floats], fit: Floats, intent: Floats, outcome: Floats) -> list[float]:
    """Constant, fit and intent by Newton's method: logistic regression, or Poisson regression with `np.exp`."""
    traits = np.column_stack([np.ones(len(fit)), fit, intent])
    found = np.array([np.log(outcome.mean()), 0, 0])
    for _ in range(25):
        expected = mean(traits @ found)
        slope = expected * (1 - expected) if mean is sigmoid else expected
        found += np.linalg.solve(traits.T @ (traits * slope[:, None]), traits.T @ (outcome - expected))
    return found.tolist()


def traits_of(companies: pa.Table, name: str, ids: pa.Array) -> tuple[Floats, Floats]:
    """Fit and intent of the companies that `ids` name, all of which are known."""
    place = pc.index_in(ids, value_set=companies[name].combine_chunks())
    assert place.null_count == 0
    return companies["fit"].take(place).to_numpy(), companies["intent"].take(place).to_numpy()


def test_wins_follow_fit_and_intent_as_documented(landed: dict[str, pa.Table], truth: Truth) -> None:
    deals = landed["salesforce_opportunities"]
    closed = deals.filter(pc.equal(deals["is_closed"], "true"))
    won = pc.equal(closed["is_won"], "true").to_numpy().astype(float)
    fit, intent = traits_of(truth.companies, "salesforce_account_id", closed["account_id"])
    assert estimate(sigmoid, fit, intent, won) == pytest.approx([-0.35, 0.9, 0.8], abs=0.12)


def test_who_ever_buys_follows_fit_and_intent_as_documented(landed: dict[str, pa.Table], truth: Truth) -> None:
    companies = truth.companies
    buyers = landed["salesforce_opportunities"]["account_id"].combine_chunks()
    buys = pc.is_in(companies["salesforce_account_id"], value_set=buyers).to_numpy().astype(float)
    found = estimate(sigmoid, companies["fit"].to_numpy(), companies["intent"].to_numpy(), buys)
    assert found == pytest.approx([-0.15, 0.7, 0.9], abs=0.12)


def test_visits_follow_fit_and_intent_as_documented(landed: dict[str, pa.Table], truth: Truth) -> None:
    contacts, visits = landed["hubspot_contacts"], landed["hubspot_web_visits"]
    signed_in = visits.filter(pc.is_valid(visits["contact_id"]))
    person = pc.index_in(signed_in["contact_id"], value_set=contacts["id"].combine_chunks())
    domain = pc.replace_substring_regex(contacts["email"], ".*@", "").take(person)
    fit, intent = traits_of(truth.companies, "domain", domain)
    high = pc.match_substring_regex(signed_in["page_url"], "/(pricing|demo|integrations)$").to_numpy().astype(float)
    assert estimate(sigmoid, fit, intent, high) == pytest.approx([-1.5, 0.2, 0.8], abs=0.06)
    known = truth.companies.filter(pc.is_valid(truth.companies["hubspot_company_id"]))
    company = pc.index_in(domain, value_set=known["domain"].combine_chunks()).to_numpy()
    visited = np.bincount(company, minlength=known.num_rows).astype(float)
    found = estimate(np.exp, known["fit"].to_numpy(), known["intent"].to_numpy(), visited)
    assert found[1:] == pytest.approx([0.25, 0.9], abs=0.05)


def test_the_truth_names_each_opportunity_and_how_it_ended(landed: dict[str, pa.Table], truth: Truth) -> None:
    deals, told = landed["salesforce_opportunities"], truth.opportunities
    in_salesforce = told.filter(pc.is_valid(told["salesforce_opportunity_id"]))
    assert in_salesforce["salesforce_opportunity_id"].to_pylist() == deals["id"].to_pylist()
    for name in ("is_closed", "is_won"):
        assert in_salesforce[name].to_pylist() == pc.equal(deals[name], "true").to_pylist()
    hubspot = landed["hubspot_deals"]
    own = hubspot.filter(pc.and_(pc.is_null(hubspot["salesforce_opportunity_id"]), pc.invert(hubspot["is_deleted"])))
    in_hubspot = told.filter(pc.is_null(told["salesforce_opportunity_id"]))
    assert in_hubspot["hubspot_deal_id"].to_pylist() == own["id"].to_pylist() != []


def test_probabilities_are_calibrated(landed: dict[str, pa.Table], truth: Truth) -> None:
    closed = truth.opportunities.filter(truth.opportunities["is_closed"])
    expected, won = pc.mean(closed["win_probability"]).as_py(), pc.mean(closed["is_won"].cast("double")).as_py()
    assert won == pytest.approx(expected, abs=0.02)
    buys = pc.is_in(truth.companies["domain"], value_set=truth.opportunities["domain"].combine_chunks())
    expected = pc.mean(truth.companies["opportunity_probability"]).as_py()
    assert pc.mean(buys.cast("double")).as_py() == pytest.approx(expected, abs=0.02)
