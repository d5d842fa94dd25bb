"""Who holds a lease: `<host>:<boot>:<pid namespace>:<pid>:<start>`; and whether that process is known to be gone.

A lease's end is the rule for every machine; on the owner's own host the kernel knows sooner, which turns a 20 s wait
after `kill -9` into one of about a second.
"""

import os
import socket
from functools import lru_cache
from pathlib import Path


def current_owner() -> str:
    """This process."""
    pid = os.getpid()
    return f"{current_place()}:{pid}:{_started_at(pid) or 0}"


def is_known_dead(owner: str | None) -> bool:
    """True only for a process of this boot and this pid namespace that has ended; anything uncertain is False.

    The host's name alone would not do: containers on the host's network share it, and not their pids.
    """
    if owner is None or not owner.startswith(f"{current_place()}:") or not Path("/proc/self/stat").exists():
        return False
    pid, _, started_at = owner.removeprefix(f"{current_place()}:").partition(":")
    return pid.isdigit() and _started_at(int(pid)) != started_at


@lru_cache
def current_place() -> str:
    """Host, boot and pid namespace: what a pid is unique in."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:  # not Linux
        boot = namespace = "-"
    return f"{socket.gethostname()}:{boot}:{namespace}"


def _started_at(pid: int) -> str | None:
    """Start time in clock ticks since boot: tells a process from a later one with the same pid. None when it's gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    is_zombie = fields[0] == "Z"
    return None if is_zombie else fields[19]
