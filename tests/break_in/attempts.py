"""What was tried to get in, as data: each attempt is the bytes of a request and the one answer that it gets.

That answer is what docs/security.md says; `make break-in` holds the running services to it, status and code.
"""

from typing import Final

from tests.break_in.attempt import Attempt
from tests.break_in.by_body import BODIES, HEADERS
from tests.break_in.by_event import WEBHOOKS
from tests.break_in.by_key import KEYS, LAPTOP
from tests.break_in.by_path import PATHS, SHOWN
from tests.break_in.by_text import OUTBOUND, SQL
from tests.break_in.by_wire import SMUGGLING

SECTIONS: Final[dict[str, list[Attempt]]] = {
    "Keys": KEYS,
    "A laptop": LAPTOP,
    "Paths and folders": PATHS,
    "SQL and code": SQL,
    "Bodies": BODIES,
    "Calls to elsewhere": OUTBOUND,
    "Headers and logs": HEADERS,
    "Smuggling": SMUGGLING,
    "Webhooks": WEBHOOKS,
    "What is shown": SHOWN,
}
ATTEMPTS: Final = [attempt for section in SECTIONS.values() for attempt in section]
