"""The stand-in for Snowflake of the local stack, as `make demo WAREHOUSE=snowflake-emulator` asks it about itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from cli.errors import CliError, ExitCode
from cli.models import Problem
from cli.text import thousands

_DATABASE: Final = "gtm"
_TIMEOUT: Final = httpx.Timeout(60.0, connect=3.0)
# A run that found nothing new was a run: of each load a row says what it read, whatever it changed.
DIARIES: Final = frozenset(
    {
        "RAW.LOADS",
        "RAW.LOAD_SEGMENTS",
        "RAW.SCAN_KEYS",
        "ANALYTICS.FCT_LOADS",
        "ANALYTICS.FCT_SOURCE_CHECKS",
        "ANALYTICS_STAGING.BASE_RAW__LOADS",
    }
)
# Which build wrote a row of ANALYTICS, and when: its audit columns. RAW and outbound are compared whole.
MARKS_OF_BUILDS: Final = ("dbt_run_id", "dbt_updated_at", "job_id", "noted_at", "found_at", "found_in_job_id")


class StandInSilent(CliError):
    """It ended, or is another one."""

    exit_code = ExitCode.UNREACHABLE


@dataclass(frozen=True)
class Asked:
    """Statements of one run: in all, by kind, and how many of them need a running warehouse."""

    statements: int
    by_kind: dict[str, int]
    warehouse: int


class StandIn:
    """Raises StandInSilent where it does not answer."""

    def __init__(self, url: str) -> None:
        self._url = url

    def start_counting(self) -> None:
        """From zero."""
        self._ask("POST", "/fake/statements/reset")

    def asked(self) -> Asked:
        """Since then."""
        counts = self._ask("GET", "/fake/statements")
        return Asked(counts["statements"], counts["by_kind"], counts["warehouse"])

    def checksums(self) -> dict[str, dict[str, str]]:
        """Schema.table -> rows and a sum over their content, without the marks of builds in ANALYTICS."""
        path = f"/fake/checksums/{_DATABASE}?without={','.join(MARKS_OF_BUILDS)}"
        checksums: dict[str, dict[str, str]] = self._ask("GET", path)
        return checksums

    def _ask(self, method: str, path: str) -> Any:
        try:
            return httpx.request(method, self._url + path, timeout=_TIMEOUT, trust_env=False).raise_for_status().json()
        except httpx.HTTPError as error:
            detail = f"{self._url}{path}: {error}. Its log: `make logs`."
            raise StandInSilent(Problem(title="The stand-in does not answer", detail=detail)) from None


def changed_tables(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Whose content differs, or that came or went; diaries of runs are none of them."""
    names = before.keys() | after.keys()
    return sorted(name for name in names - DIARIES if before.get(name) != after.get(name))


def asked_lines(title: str, asked: Asked) -> list[str]:
    """What a run cost, in statements."""
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(asked.by_kind.items(), key=lambda one: -one[1]))
    return [
        f"  {title:<12} {thousands(asked.statements)} statements, {thousands(asked.warehouse)} of which need a running "
        "warehouse",
        f"  {'':<12} {kinds}",
    ]
