"""How many statements dbt has sent to the warehouse: counted in dbt's own process, of the events that it tells itself.

The worker that started it reads them (`dbt_spending.py`).
"""

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

FILE: Final = "statements.json"


@dataclass
class DbtStatements:
    """`seconds`: until they answered, of all threads together. BEGIN and COMMIT count as any."""

    statements: int = 0
    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def on_event(self, event: Any) -> None:
        """A callback of dbt's, called for every event."""
        if event.info.name == "SQLQuery":
            with self._lock:
                self.statements += 1
        elif event.info.name == "SQLQueryStatus":  # a query that failed has none
            with self._lock:
                self.seconds += event.data.elapsed

    def write(self, target: Path) -> None:
        """Beside dbt's other artifacts, where dbt has come to make their folder."""
        if target.is_dir():
            (target / FILE).write_text(json.dumps({"statements": self.statements, "seconds": self.seconds}))
