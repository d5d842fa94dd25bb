"""Who holds a lease: `<host>:<pid>:<start>`; and whether that process, on this host, is gone.

A lease's end is the rule for every machine; on the owner's own host the kernel knows sooner, which turns a 20 s wait
after `kill -9` into one of about a second.
"""

import os
import socket
from pathlib import Path

_HOST = socket.gethostname()


def current_owner() -> str:
    """This process."""
    pid = os.getpid()
    return f"{_HOST}:{pid}:{_started_at(pid) or 0}"


def is_known_dead(owner: str | None) -> bool:
    """True only for a process of this host that has ended; anything uncertain is False."""
    if owner is None:
        return False
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    if host != _HOST or not rest.isdigit() or not Path("/proc/self/stat").exists():
        return False
    return _started_at(int(rest)) != owner.rpartition(":")[2]


def _started_at(pid: int) -> str | None:
    """Start time in clock ticks since boot: tells a process from a later one with the same pid. None when it's gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    is_zombie = fields[0] == "Z"
    return None if is_zombie else fields[19]
