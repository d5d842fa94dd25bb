"""The mutants of tests/dbt/mutants/*.yml: lines of the dbt project to break, one at a time."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

MUTANTS = Path(__file__).parent / "mutants"


@dataclass(frozen=True)
class Mutant:
    """`old` occurs exactly once in `file`, however it is spaced, and becomes `new`; `why` is what the break does."""

    file: str
    old: str
    new: str
    why: str
    sequences: bool = False
    """The line is there for increments alone: random loads must see it where unit tests don't."""

    @property
    def name(self) -> str:
        return f"{Path(self.file).stem}: {self.why}"

    @property
    def pattern(self) -> re.Pattern[str]:
        """What finds `old`."""
        return re.compile(r"\s+".join(re.escape(word) for word in self.old.split()))


def read_mutants() -> list[Mutant]:
    """All of tests/dbt/mutants/*.yml."""
    texts = [path.read_text() for path in sorted(MUTANTS.glob("*.yml"))]
    return [
        Mutant(file, **fields) for text in texts for file, lines in yaml.safe_load(text).items() for fields in lines
    ]
