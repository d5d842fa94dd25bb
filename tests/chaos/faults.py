"""What can break, and how soon it must be well again.

The clock of a fault that lasts (Redis away) starts when it is over; that of a kill at the kill.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.chaos import process_faults, redis_faults, storage_faults
from tests.chaos.arena import Arena, Recovery

Strike = Callable[[Arena, float], Recovery]


@dataclass(frozen=True)
class Fault:
    """`lasts`: seconds, for those that last. `bound`: seconds until all is well again.

    `is_alone`: it waits until all is well again after those before it, and those after wait for it. Without it faults
    may fall into each other's recovery.
    """

    name: str
    bound: float
    strike: Strike
    lasts: float = 0
    is_alone: bool = True

    def happen(self, arena: Arena) -> Recovery:
        """Break it. Returns when the fault is over, which is not when all is well again."""
        found = self.strike(arena, self.lasts)
        found.fault, found.bound = self.name, self.bound
        return found


ALL: Final = {
    fault.name: fault
    for fault in (
        Fault("child killed", 5, process_faults.kill_child),
        Fault("worker killed", 30, process_faults.kill_worker),
        Fault("worker frozen 26 s", 30, process_faults.freeze_worker, lasts=26),
        Fault("workers restarted in turn", 60, process_faults.roll_workers),
        Fault("API killed", 30, process_faults.kill_api),
        Fault("API killed before publishing", 30, process_faults.kill_api_before_publish),
        Fault("sweeper killed, Redis flushed", 60, process_faults.kill_sweeper, lasts=3),
        Fault("Redis killed 5 s", 15, redis_faults.kill_redis, lasts=5),
        Fault("Redis killed 60 s", 15, redis_faults.kill_redis, lasts=60),
        Fault("Redis wiped", 15, redis_faults.wipe_redis, lasts=5),
        Fault("Redis flushed", 60, redis_faults.flush_redis),
        Fault("Redis frozen 20 s", 15, redis_faults.freeze_redis, lasts=20),
        Fault("Redis half-open", 30, redis_faults.half_open),
        Fault("Redis unreachable 5 s", 15, redis_faults.cut_network, lasts=5),
        Fault("Redis 200 ms away", 15, redis_faults.slow_network, lasts=8),
        Fault("Redis full 8 s", 15, redis_faults.fill_redis, lasts=8),
        Fault("operations database locked 8 s", 15, storage_faults.lock_operations, lasts=8),
    )
}
DISK_FULL: Final = Fault("disk full 6 s", 15, storage_faults.fill_disk, lasts=6)
OF_CLOCKS: Final = (
    Fault("clock 10 min ahead", 30, partial(storage_faults.put_clock, seconds=600), lasts=6),
    Fault("clock 10 min behind", 30, partial(storage_faults.put_clock, seconds=-600), lasts=6),
)
OF_POSTGRES: Final = {
    fault.name: fault
    for fault in (
        Fault("PostgreSQL restarted, away 5 s", 15, storage_faults.restart_postgres, lasts=5),
        Fault("PostgreSQL killed, away 5 s", 15, storage_faults.kill_postgres, lasts=5),
        Fault("PostgreSQL frozen 10 s", 15, storage_faults.freeze_postgres, lasts=10),
        Fault("PostgreSQL half-open", 30, storage_faults.silence_postgres),
        Fault("PostgreSQL's commits cut", 15, storage_faults.cut_commits),
    )
}
