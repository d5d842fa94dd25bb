"""Jobs as small as can be, and what they leave behind: the real protocol over a warehouse of one SQLite file.

A toy travels in the one account id of a scoring's scope, so that the real API accepts it and only the worker
(toy_worker.py) knows that there is no account.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_TABLES = """
create table if not exists effects (key text primary key, job_id text not null, version integer not null);
create table if not exists writes (
    number integer primary key, key text not null, job_id text not null, fence integer not null,
    version integer not null, changed integer not null, asked real not null, at real not null
);
create table if not exists truth (account_id text primary key, version integer not null);
"""


@dataclass(frozen=True)
class Toy:
    """`before` and `after` its effect, each of `batches` times, it takes so many milliseconds.

    `is_poison`: it kills the process that works on it, every time. `hangs`: it never gets on by itself. `differs`: each
    attempt writes something else (its fence), as a model's answer may differ: a write that comes too late does harm.
    """

    key: str
    before: int = 0
    after: int = 0
    batches: int = 1
    is_poison: bool = False
    hangs: bool = False
    differs: bool = False

    def to_account_id(self) -> str:
        flags = (self.is_poison, self.hangs, self.differs)
        return ";".join(map(str, (self.key, self.before, self.after, self.batches, *map(int, flags))))

    @property
    def effect_keys(self) -> list[str]:
        """One a batch: what is there once when its job has succeeded."""
        return [f"{self.key}/{batch}" for batch in range(self.batches)]


def parse_toy(account_id: str) -> Toy:
    """The reverse of `to_account_id`."""
    key, *numbers = account_id.split(";")
    before, after, batches, *flags = (int(number) for number in numbers)
    return Toy(key, before, after, batches, *map(bool, flags))


@dataclass(frozen=True)
class Write:
    """One commit of a worker. `changed` is False where the row was there as it should be.

    Unix times: `asked`, when the worker began to ask whether the job was still its own, right before it wrote; `at`,
    when it had written.
    """

    key: str
    job_id: str
    fence: int
    version: int
    changed: bool
    asked: float
    at: float


class ToyWarehouse:
    """Merges by key as the real ones do: a row is touched only when its content differs and is not older. Among the
    attempts of one job who comes last wins: nothing but the fence keeps out a worker that has lost it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as connection:
            connection.executescript(f"pragma journal_mode = wal; {_TABLES}")

    def merge(self, key: str, job_id: str, fence: int, version: int = 0, *, asked: float) -> None:
        """One transaction: the effect, and the note that it was made."""
        with self._open() as connection:
            connection.execute("begin immediate")
            changed = connection.execute(
                "insert into effects values (?, ?, ?) on conflict (key) do update set job_id = excluded.job_id,"
                " version = excluded.version where excluded.version > effects.version"
                " or (excluded.version = effects.version) <> (excluded.job_id = effects.job_id)",
                (key, job_id, version),
            ).rowcount
            connection.execute(
                "insert into writes (key, job_id, fence, version, changed, asked, at) values (?, ?, ?, ?, ?, ?, ?)",
                (key, job_id, fence, version, changed, asked, time.time()),
            )
            connection.execute("commit")

    def tell(self, account_id: str, version: int) -> None:
        """The account is so from now on."""
        with self._open() as connection:
            connection.execute("insert or replace into truth values (?, ?)", (account_id, version))

    def ask(self, account_id: str) -> int:
        """How the account is now."""
        with self._open() as connection:
            row = connection.execute("select version from truth where account_id = ?", (account_id,)).fetchone()
        return int(row[0]) if row else 0

    def effects(self) -> dict[str, tuple[str, int]]:
        """key -> (job, version)."""
        with self._open() as connection:
            return {key: (job_id, version) for key, job_id, version in connection.execute("select * from effects")}

    def writes(self) -> list[Write]:
        """In the order of their commits."""
        query = "select key, job_id, fence, version, changed, asked, at from writes order by number"
        with self._open() as connection:
            return [
                Write(key, job_id, fence, version, bool(changed), asked, at)
                for key, job_id, fence, version, changed, asked, at in connection.execute(query)
            ]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as connection:
            yield connection
