"""Scripted failures of the emulator, by POST /fake/faults.

One fault is a JSON object: `at` (login, statement or http), what happens, and how often (`times`, 1; 0: until DELETE).

    {"at": "login", "code": "390100"}                     refused, in Snowflake's words
    {"at": "statement", "match": "^merge", "code": "002003", "sqlstate": "42S02", "message": "..."}
    {"at": "statement", "match": "^copy", "cut": "before"}   the socket is closed; `before`: nothing ran,
                                                             `after`: it ran, and its answer is lost
    {"at": "statement", "match": "", "seconds": 2}         slow
    {"at": "statement", "code": "390112"}                  session expired: the client renews it by its master token
    {"at": "statement", "code": "390114"}                  so has the master token: the client must log in again
    {"at": "http", "status": 503, "times": 3}              throttled
    {"at": "warehouse", "state": "suspended", "times": 0}  what reads or writes rows fails: no auto-resume
    {"at": "grant", "table": "RAW.LOADS", "times": 0}      the role may not touch the table
    {"at": "hidden", "table": "RAW.LOADS", "times": 0}     the role has no privilege on it: not listed, and 002003
    {"at": "show", "match": "to role gtm", "rows": [["USAGE", "SCHEMA", "GTM.RAW"]]}   what `show` answers instead
                                                           (snowflake_show.py; of a warehouse its seven columns)
"""

import re
import threading
from dataclasses import dataclass, field
from typing import Any, Final

# What Snowflake says, as far as its documentation and reports of users tell.
KNOWN: Final = {
    "390100": ("28000", "Incorrect username or password was specified."),
    "390101": ("28000", "User access disabled. Contact your local system administrator."),
    "390102": ("28000", "User temporarily locked. Try again later, or contact your local system administrator."),
    "390112": ("08001", "Your session has expired. Please login again."),
    "390114": ("08001", "Authentication token has expired. The user must authenticate again."),
    "390144": ("08001", "JWT token is invalid. [0b2a9b0f-66e8-4dd6-9a0a-8a1fbb2b2f55]"),
    "390186": ("08001", "Role 'ANY' specified in the connect string is not granted to this user."),
    "390189": (
        "08001",
        "Role 'ANY' specified in the connect string does not exist or not authorized. Contact your local system"
        " administrator, or attempt to login with another role, e.g. PUBLIC.",
    ),
    "390201": ("08001", "The requested database does not exist or not authorized."),
    "390303": ("08001", "Invalid OAuth access token. [0b2a9b0f-66e8-4dd6-9a0a-8a1fbb2b2f55]"),
    "390318": ("08001", "OAuth access token expired. [0b2a9b0f-66e8-4dd6-9a0a-8a1fbb2b2f55]"),
    "390420": ("08001", "Your IP address is not allowed to access Snowflake. Contact your security administrator."),
    "390422": (
        "08001",
        "Incoming request with IP/Token 127.0.0.1 is not allowed to access Snowflake. Contact your account"
        " administrator. For more information about this error, go to https://community.snowflake.com.",
    ),
    "000606": (
        "57P03",
        "No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse'"
        " command.",
    ),
    "000625": ("57014", "Statement has locked table in transaction and this lock has not yet been released."),
    "000630": (
        "57014",
        "Statement reached its statement or warehouse timeout of 600 second(s) and was canceled.",
    ),
    "090073": (
        "22000",
        "Warehouse 'ANY' cannot be resumed because resource monitor 'ANY' has exceeded its quota.",
    ),
    "003001": (
        "42501",
        "SQL access control error:\nInsufficient privileges to operate on table 'ANY'",
    ),
    "002003": ("42S02", "SQL compilation error:\nObject 'ANY' does not exist or not authorized."),
}


@dataclass
class Fault:
    """See above; `left` None: until it is taken away."""

    at: str
    left: int | None = 1
    match: str = ""
    code: str = ""
    sqlstate: str = ""
    message: str = ""
    cut: str = ""
    seconds: float = 0
    status: int = 0
    state: str = ""
    table: str = ""
    rows: list[list[str]] = field(default_factory=list)
    fired: int = field(default=0)

    def failure(self) -> tuple[str, str, str]:
        """Code, SQLSTATE, message."""
        sqlstate, message = KNOWN.get(self.code, ("XX000", f"Scripted failure {self.code}"))
        return self.code, self.sqlstate or sqlstate, self.message or message


class Faults:
    """In the order in which they were posted."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, document: dict[str, Any]) -> None:
        """Raises TypeError for a key that no fault has."""
        times = document.pop("times", 1)
        fault = Fault(**document, left=times or None)
        if fault.at not in {"login", "statement", "http", "warehouse", "grant", "hidden", "upload", "show"}:
            raise TypeError(f"at: {fault.at}")
        with self._guard:
            self._faults.append(fault)

    def clear(self) -> None:
        """None is left."""
        with self._guard:
            self._faults.clear()

    def take(self, at: str, text: str = "") -> Fault | None:
        """The first one that waits there and whose `match` the text meets; it counts as having happened."""
        with self._guard:
            for fault in self._faults:
                if fault.at == at and fault.left != 0 and self._meets(fault, text):
                    fault.fired += 1
                    fault.left = None if fault.left is None else fault.left - 1
                    return fault
        return None

    def listed(self) -> list[dict[str, Any]]:
        """As they are now: `fired` and `left`."""
        with self._guard:
            return [dict(vars(fault)) for fault in self._faults]

    @staticmethod
    def _meets(fault: Fault, text: str) -> bool:
        if fault.table:
            name = re.escape(fault.table).replace(r"\.", r"\W+")
            return re.search(rf"\b{name}\b", text, re.I) is not None
        return re.search(fault.match, text, re.I | re.S) is not None
