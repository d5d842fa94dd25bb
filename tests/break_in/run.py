"""`make break-in`: every attempt of the list on running services; the table for docs/security.md with --write."""

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.break_in.attempt import Attempt, to_result
from tests.break_in.attempts import ATTEMPTS, SECTIONS
from tests.break_in.target import TABLES, Answer, Target
from tests.conftest import REPOSITORY

PAGE: Final = REPOSITORY / "docs" / "security.md"
_START: Final = "<!-- attempts: `python -m tests.break_in.run --write` -->"
_END: Final = "<!-- end of attempts -->"


@dataclass(frozen=True)
class Outcome:
    """`problem` is None where the attempt got what it should."""

    attempt: Attempt
    answer: Answer
    problem: str | None

    @property
    def got(self) -> str:
        """As the page has it, without what was looked at beside it."""
        return to_result(self.answer.status, self.answer.code)


def try_one(attempt: Attempt, target: Target) -> Outcome:
    """Send it and look at what it got."""
    answer = target.send(attempt.service, attempt.make(target))
    outcome = Outcome(attempt, answer, None)
    expected = to_result(attempt.expected, attempt.code)
    if outcome.got != expected:
        return replace(outcome, problem=f"it got {outcome.got}, expected {expected}")
    if attempt.holds is not None and not attempt.holds(answer, target):
        return replace(outcome, problem="what must hold does not")
    return outcome


def look_around(target: Target) -> list[str]:
    """What no attempt may have done to the house."""
    log, problems = target.log(), []
    if not target.is_alive():
        problems.append("a service does not answer any more")
    problems += [f"the operations database has no {table} any more" for table in TABLES - target.tables()]
    problems += [f"the log holds {secret[:16]}..." for secret in target.keys.values() if secret[17:] in log]
    problems += [
        f"the log holds {word}" for word in ("Traceback", "request_crashed", "break-in-password") if word in log
    ]
    return problems


def to_table() -> str:
    """As docs/security.md has it."""
    lines = []
    for section, attempts in SECTIONS.items():
        lines += ["", f"**{section}**", "", "| tried | got |", "|---|---|"]
        lines += [f"| {one.what} | {one.got} |" for one in attempts]
    return "\n".join(lines) + "\n"


def documented() -> str:
    """What the page has between its marks."""
    return PAGE.read_text(encoding="utf-8").partition(_START)[2].partition(_END)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="the table into docs/security.md, and nothing else")
    if parser.parse_args().write:
        head, _, rest = PAGE.read_text(encoding="utf-8").partition(_START)
        PAGE.write_text(head + _START + "\n" + to_table() + "\n" + _END + rest.partition(_END)[2], encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as folder:
        target = Target(Path(folder))
        try:
            outcomes = [try_one(attempt, target) for attempt in ATTEMPTS]
            around = look_around(target)
        finally:
            target.close()
    for one in outcomes:
        mark = "BROKEN " if one.problem else "held   "
        print(f"{mark}{one.attempt.id:24}{one.got:36}{one.problem or ''}")
    broken = [one for one in outcomes if one.problem] + around
    print(f"{len(outcomes)} attempts, {len(outcomes) - len([one for one in outcomes if one.problem])} held")
    print("\n".join(around), file=sys.stderr)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
