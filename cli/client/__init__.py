"""The REST API in Python: `connect()` and a method for each operation. Imports no service; needs httpx and pydantic.

    with connect(read_settings()) as gtm:
        polled = gtm.start(BuildRequest(select="dim_accounts+"))

`GtmClient.api` has the operations one by one as openapi/*.json names them; `GtmClient` adds what a caller wants around
them: any service for a job, lists to their end.
"""

from cli.client.gtm import GtmClient, connect
from cli.client.operations import Operations, Polled

__all__ = ["GtmClient", "Operations", "Polled", "connect"]
