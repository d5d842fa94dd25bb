"""HEALTHCHECK of every role; standard library only, since it starts every few seconds.

A worker and the sweeper touch GTM_ALIVE_FILE while they are in touch with Redis; without that variable the role is an
API, which is healthy while it can accept a job.
"""

import os
import sys
import time
import urllib.error
import urllib.request

_OLDEST_SECONDS = 30
_READY_URL = "http://127.0.0.1:8000/readyz"


def find_fault() -> str | None:
    """What is wrong, or None."""
    alive_file = os.environ.get("GTM_ALIVE_FILE")
    return _find_stale(alive_file) if alive_file else _find_unready()


def _find_stale(alive_file: str) -> str | None:
    try:
        age = time.time() - os.stat(alive_file).st_mtime
    except FileNotFoundError:
        return f"{alive_file} does not exist: not in touch with Redis yet"
    return f"last in touch with Redis {age:.0f} s ago" if age > _OLDEST_SECONDS else None


def _find_unready() -> str | None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through an HTTP_PROXY
    try:
        with direct.open(_READY_URL, timeout=3):
            return None
    except urllib.error.HTTPError as error:
        return error.read(2000).decode(errors="replace")
    except OSError as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(find_fault())
