"""What Snowflake's and its driver's error codes mean here: does it pass by itself, and if not, what mends it.

A table of plain facts, so that a flow's SQL (shared/warehouse/snowflake_errors.py) and what dbt prints
(services/transform) are explained alike. Sources: the connector's errorcode.py and network.py, Snowflake's
documentation (key pair troubleshooting, access control, transactions) and issues of its drivers; docs/snowflake.md says
which of them were met on a real account: none. Codes are what the driver calls errno: 2003 is printed as 002003.
"""

import re
from dataclasses import asdict, dataclass
from typing import Final, Literal

from shared.errors import GtmError, TerminalError, TransientError

Problem = Literal[
    "warehouse-account-unknown",
    "warehouse-login-refused",
    "warehouse-role-refused",
    "warehouse-address-refused",
    "warehouse-object-missing",
    "warehouse-grant-missing",
    "warehouse-suspended",
    "warehouse-statement-timeout",
    "warehouse-locked",
    "warehouse-session-lost",
    "warehouse-unreachable",
    "warehouse-statement-refused",
]

_TITLES: Final[dict[Problem, str]] = {
    "warehouse-account-unknown": "There is no such Snowflake account",
    "warehouse-login-refused": "The warehouse refuses the login",
    "warehouse-role-refused": "The warehouse refuses the role",
    "warehouse-address-refused": "The warehouse refuses this machine's address",
    "warehouse-object-missing": "An object does not exist or is not authorized",
    "warehouse-grant-missing": "The role lacks a privilege",
    "warehouse-suspended": "The virtual warehouse does not run",
    "warehouse-statement-timeout": "A statement took too long",
    "warehouse-locked": "Others hold the lock of a table",
    "warehouse-session-lost": "The session with the warehouse ended",
    "warehouse-unreachable": "The warehouse can't be reached",
    "warehouse-statement-refused": "The warehouse refuses a statement",
}
_PASSING: Final = frozenset({"warehouse-locked", "warehouse-session-lost", "warehouse-unreachable"})


@dataclass(frozen=True)
class _Meaning:
    problem: Problem
    mend: str
    """With the fields of `Place` as placeholders, and `grant`."""


@dataclass(frozen=True)
class Place:
    """Where it happened: what messages name, and GRANTs need."""

    account: str
    user: str
    role: str
    warehouse: str
    database: str


_PASSWORD: Final = "Check SNOWFLAKE_USER and SNOWFLAKE_PASSWORD; better, log in with a key pair (docs/snowflake.md)."
_KEY: Final = (
    "The public key of user {user} is not the one of GTM_SNOWFLAKE_PRIVATE_KEY(_FILE), SNOWFLAKE_USER or "
    "SNOWFLAKE_ACCOUNT is wrong, or this machine's clock is off by more than a minute. `alter user {user} set "
    "rsa_public_key = '<public key>';`, and see docs/snowflake.md."
)
_TOKEN: Final = "Renew the OAuth token (GTM_SNOWFLAKE_OAUTH_TOKEN or GTM_SNOWFLAKE_OAUTH_TOKEN_FILE)."
_ROLE: Final = "`grant role {role} to user {user};`, or mend SNOWFLAKE_ROLE."
_ADDRESS: Final = "A network policy of the account or of {user} leaves this machine out: add its address there."
_ACCOUNT: Final = "SNOWFLAKE_ACCOUNT is {account}; it should be like myorg-myaccount, without the domain."
_DEFAULTS: Final = (
    "`grant usage on database {database} to role {role}; grant usage on warehouse {warehouse} to role {role};`, or "
    "mend SNOWFLAKE_DATABASE or SNOWFLAKE_WAREHOUSE."
)
_OBJECT: Final = (
    "`gtm warehouse init`, a sync or a build makes what is missing; if it is there, role {role} has no privilege on "
    "it, which looks the same: `gtm doctor` prints the grant."
)
_GRANT: Final = "{grant} `gtm doctor` prints every grant that is missing."
_SUSPENDED: Final = (
    "Warehouse {warehouse} is suspended and may not resume by itself, or role {role} may not use it: `alter "
    "warehouse {warehouse} set auto_resume = true; grant usage on warehouse {warehouse} to role {role};`."
)
_QUOTA: Final = (
    "Its resource monitor has spent its credits: raise the quota (`alter resource monitor <name> set credit_quota = "
    "<credits>;`) or wait for the next period."
)
_NOT_KEPT: Final = (
    "A build reads RAW as it was when it began, for which Snowflake must keep a day of it: `alter schema "
    "{database}.raw set data_retention_time_in_days = 1;`."
)
_SLOW: Final = "Raise GTM_SNOWFLAKE_STATEMENT_TIMEOUT_SECONDS, or give the job a larger warehouse."
_AGAIN: Final = "The job is tried again by itself."
_FAR: Final = "The job is tried again by itself. If it stays: check network, proxy and SNOWFLAKE_ACCOUNT ({account})."

_LOGIN: Final[Problem] = "warehouse-login-refused"
_LOST: Final[Problem] = "warehouse-session-lost"
_MEANINGS: Final[dict[int, _Meaning]] = {
    # --- login: Snowflake answers, and says no
    390100: _Meaning(_LOGIN, _PASSWORD),  # incorrect username or password
    390101: _Meaning(_LOGIN, "User {user} is disabled: `alter user {user} set disabled = false;`."),
    390102: _Meaning(_LOGIN, "User {user} is locked for a while: `alter user {user} set mins_to_unlock = 0;`."),
    390106: _Meaning(_LOGIN, "The password has expired: a key pair does not (docs/snowflake.md)."),
    390144: _Meaning(_LOGIN, _KEY),  # JWT token is invalid; 394300-394306 say why
    390197: _Meaning(_LOGIN, "User {user} must use a second factor: make it TYPE = SERVICE with a key pair."),
    390302: _Meaning(_LOGIN, _TOKEN),
    390303: _Meaning(_LOGIN, _TOKEN),
    390318: _Meaning(_LOGIN, _TOKEN),
    **{code: _Meaning(_LOGIN, _KEY) for code in range(394300, 394307)},
    390186: _Meaning("warehouse-role-refused", _ROLE),  # the user's default role
    390189: _Meaning("warehouse-role-refused", _ROLE),
    390317: _Meaning("warehouse-role-refused", "The OAuth token does not allow role {role}: " + _ROLE),
    390201: _Meaning("warehouse-object-missing", _DEFAULTS),  # database, schema or warehouse of the login
    390420: _Meaning("warehouse-address-refused", _ADDRESS),
    390421: _Meaning("warehouse-address-refused", _ADDRESS),
    390422: _Meaning("warehouse-address-refused", _ADDRESS),
    390432: _Meaning("warehouse-address-refused", "Snowflake demands a network policy for {user}: give it one."),
    290404: _Meaning("warehouse-account-unknown", _ACCOUNT),  # HTTP 404 at the login
    # --- the session, or the way to it: another one serves as well
    390103: _Meaning(_LOST, _AGAIN),
    390104: _Meaning(_LOST, _AGAIN),
    390110: _Meaning(_LOST, _AGAIN),
    390111: _Meaning(_LOST, _AGAIN),  # session no longer exists
    390112: _Meaning(_LOST, _AGAIN),  # session token expired and could not be renewed
    390113: _Meaning(_LOST, _AGAIN),
    390114: _Meaning(_LOST, _AGAIN),  # authentication token expired: four idle hours
    390115: _Meaning(_LOST, _AGAIN),
    250002: _Meaning(_LOST, _AGAIN),  # the driver has closed it
    252006: _Meaning(_LOST, _AGAIN),
    252007: _Meaning(_LOST, _AGAIN),
    250001: _Meaning("warehouse-unreachable", _FAR),
    250003: _Meaning("warehouse-unreachable", _FAR),  # no answer for GTM_SNOWFLAKE_NETWORK_TIMEOUT_SECONDS
    251011: _Meaning("warehouse-unreachable", _FAR),
    251012: _Meaning("warehouse-unreachable", _FAR),
    252010: _Meaning("warehouse-unreachable", _FAR),  # a part of a result could not be fetched
    253002: _Meaning("warehouse-unreachable", _FAR),  # the stage's storage: S3, Azure, GCS
    253003: _Meaning("warehouse-unreachable", _FAR),
    603: _Meaning("warehouse-unreachable", _AGAIN),  # internal error of Snowflake's; its support knows the query id
    604: _Meaning("warehouse-unreachable", _AGAIN),  # cancelled: by a person, or since its warehouse was suspended
    # --- locks: another transaction is writing the same table
    625: _Meaning("warehouse-locked", _AGAIN),  # more than 20 wait for it, or LOCK_TIMEOUT
    # --- statements
    606: _Meaning("warehouse-suspended", _SUSPENDED),  # no active warehouse
    607: _Meaning("warehouse-suspended", _SUSPENDED),
    90073: _Meaning("warehouse-suspended", _QUOTA),
    630: _Meaning("warehouse-statement-timeout", _SLOW),
    2003: _Meaning("warehouse-object-missing", _OBJECT),
    2043: _Meaning("warehouse-object-missing", _OBJECT),
    90105: _Meaning("warehouse-object-missing", _DEFAULTS),  # the session has no database
    90106: _Meaning("warehouse-object-missing", _OBJECT),  # nor a schema
    707: _Meaning("warehouse-statement-refused", _NOT_KEPT),  # time travel to where there is none
    3001: _Meaning("warehouse-grant-missing", _GRANT),
    3041: _Meaning("warehouse-grant-missing", _GRANT),
}
# Where the code is none of these: SQLSTATE's class says what kind of thing happened.
_BY_STATE: Final[dict[str, _Meaning]] = {
    "42501": _Meaning("warehouse-grant-missing", _GRANT),
    "57P03": _Meaning("warehouse-suspended", _SUSPENDED),
    "57014": _Meaning("warehouse-unreachable", _AGAIN),
    "08": _Meaning("warehouse-unreachable", _FAR),
    "28": _Meaning(_LOGIN, "Check SNOWFLAKE_USER and its credentials."),
}
_HTTP_ADDED: Final = 290_000
_HTTP: Final = frozenset({307, 308, 400, 403, 405, 408, 429, *range(500, 600)})  # what the driver tries again
_NO_ANSWER: Final = frozenset({250001, 250003, 251011, 251012})
_REFUSED: Final = _Meaning(
    "warehouse-statement-refused",
    "This is a defect, or a table that something else has changed. Snowflake's query history has the statement under "
    "the query id.",
)
_NO_SUCH_ACCOUNT: Final = re.compile(r"Verify the account name is correct", re.I)
_LACKING: Final = re.compile(r"Insufficient privileges to operate on ([A-Za-z ]+?) '([^']+)'", re.I)
_MISSING: Final = re.compile(
    r"(?:(?:Object|Schema|Table|Stage|Database|View|Warehouse|Role|File format|Sequence) )?'[^']{1,300}' does not exist"
    r"(?: or not authorized)?|The requested [a-z]+ does not exist or not authorized",
    re.I,
)
_PRINTED: Final = re.compile(r"\b(\d{6}) \((\w{5}|None|n/a)\)")
# What a table needs depends on who asks (shared/doctor/privileges.py), and a message does not say the table's schema.
_PRIVILEGES: Final = {
    "schema": "usage, create table",
    "database": "usage",
    "warehouse": "usage, operate",
    "view": "select",
    "stage": "read, write",
}


def explain_code(number: int, state: str | None, said: str, place: Place, *, query_id: str | None = None) -> GtmError:
    """The error for one that Snowflake or its driver has raised.

    Args:
        number: The driver's errno, such as 2003.
        said: Its message. Only names of objects are taken from it: others may hold values of rows.
    """
    meaning = _meaning_of(number, state, said)
    shown = f"{number:06d}" + (f", query id {query_id}" if query_id else "")
    names = asdict(place) | {"grant": _to_grant(said, place)}
    what = _TITLES[meaning.problem] + (f": {named[0]}" if (named := _MISSING.search(said)) else "")
    lacking = _LACKING.search(said)
    what += f": {lacking[1]} {lacking[2]}" if lacking else ""
    detail = f"{what} (Snowflake {shown}). {meaning.mend.format(**names)}"
    kind = TransientError if meaning.problem in _PASSING else TerminalError
    return kind(detail, code=meaning.problem, title=_TITLES[meaning.problem], snowflake_code=number)


def find_code(printed: str) -> tuple[int, str] | None:
    """Code and SQLSTATE in a message of the driver's, as dbt prints it: `000606 (57P03): ...`."""
    found = _PRINTED.search(printed)
    return (int(found[1]), found[2]) if found else None


def is_known(number: int, state: str | None, said: str = "") -> bool:
    """Whether the tables know more of it than that a statement was refused."""
    return _meaning_of(number, state, said) is not _REFUSED


def is_without_answer(number: int) -> bool:
    """The request met no answer of Snowflake's own: cut, refused by the network, 429 or 5xx for longer than the driver
    asks again. Whether it was carried out is not known."""
    number = _added_once(number)
    return number in _NO_ANSWER or number in _HTTP or number - _HTTP_ADDED in _HTTP


def _meaning_of(number: int, state: str | None, said: str) -> _Meaning:
    number = _added_once(number)
    if number == 250001 and _NO_SUCH_ACCOUNT.search(said):
        return _MEANINGS[290404]
    if number in _MEANINGS:
        return _MEANINGS[number]
    if is_without_answer(number):
        return _MEANINGS[250003]
    state = state or ""
    return _BY_STATE.get(state) or _BY_STATE.get(state[:2]) or _REFUSED


def _added_once(number: int) -> int:
    """For some HTTP errors the driver adds its own number twice, for those of logins to another one."""
    return number - _HTTP_ADDED if number > _HTTP_ADDED + 250_000 else number


def _to_grant(said: str, place: Place) -> str:
    lacking = _LACKING.search(said)
    if lacking is None:
        return f"Role {place.role} lacks a privilege."
    kind = lacking[1].lower()
    privileges = _PRIVILEGES.get(kind)
    if privileges is None:
        return f"Role {place.role} lacks a privilege on the {kind}, or must own it."
    return f"`grant {privileges} on {kind} {lacking[2].lower()} to role {place.role};`."
