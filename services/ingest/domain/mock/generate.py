"""The generated CRMs, table after table, as the batches that landing takes."""

from collections.abc import Iterator
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa

from services.ingest.domain.batches import build_batch
from services.ingest.domain.mock.arrays import Flags, Texts, random_stream
from services.ingest.domain.mock.crm import (
    build_contacts,
    to_hubspot_companies,
    to_hubspot_contacts,
    to_salesforce_accounts,
    to_salesforce_contacts,
)
from services.ingest.domain.mock.dirt import PLACES, spoil
from services.ingest.domain.mock.market import build_market
from services.ingest.domain.mock.opportunities import build_deals, to_opportunities, to_opportunity_history
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.pools import build_people
from services.ingest.domain.mock.visits import iterate_visits

MOCK_TABLES: Final = tuple(PLACES)


def generate_tables(options: MockOptions, as_of: date) -> Iterator[tuple[str, pa.Table]]:
    """Chunks of RAW tables; all of one table come together. Everything happened before `as_of` 00:00 UTC."""
    horizon = np.datetime64(as_of, "ms")
    people = build_people(options.seed)
    market = build_market(options, horizon, people)
    deals = build_deals(options, market, horizon)
    contacts = build_contacts(options, market, horizon, people)
    tables = {
        "hubspot_companies": iter([to_hubspot_companies(options, market, deals, horizon)]),
        "hubspot_contacts": iter([to_hubspot_contacts(market, contacts)]),
        "hubspot_web_visits": iterate_visits(options, market, deals, contacts, horizon),
        "salesforce_accounts": iter([to_salesforce_accounts(options, market, deals, horizon)]),
        "salesforce_contacts": iter([to_salesforce_contacts(options, market, contacts)]),
        "salesforce_opportunities": iter([to_opportunities(options, market, deals)]),
        "salesforce_opportunity_history": iter([to_opportunity_history(deals)]),
    }
    for number, (table, chunks) in enumerate(tables.items()):
        for chunk, columns in enumerate(chunks):
            rng = random_stream(options.seed, 9, number, chunk)
            yield table, _to_arrow(table, *spoil(table, columns, options.dirt, rng))


def _to_arrow(table: str, columns: dict[str, Texts], deleted: Flags) -> pa.Table:
    arrays = {name: pa.array(values, pa.string(), from_pandas=False) for name, values in columns.items()}
    return build_batch(
        table,
        arrays,
        key=[arrays["id"]],
        updated_at=arrays[PLACES[table].stamp],
        is_deleted=pa.array(deleted, pa.bool_()),
    )
