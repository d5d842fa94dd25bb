"""`python -m evaluation [name ...]`: all, or the named ones. Prints figures, writes evaluation/results/<name>.json."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from evaluation.results import write_result

# How each is run: by result name, the arguments of its `run`.
NAMES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "guardrails": {"guardrails": ()},
    "grounding": {"grounding": ()},
    "injection": {"injection-replay": ("replay",), "injection-local": ("local",)},
    "stability": {"stability": ()},
    "outcomes": {"outcomes": ()},
}


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 when each ran: a bad figure is a figure, not a failure. 2 for a name that isn't there."""
    for name in arguments:
        if name not in NAMES:
            sys.stderr.write(f"There is no {name}. Known: {', '.join(NAMES)}.\n")
            return 2
    for name in arguments or NAMES:
        if importlib.util.find_spec(f"evaluation.{name}") is None:
            sys.stderr.write(f"{name}: evaluation/{name}.py is not there.\n")
            return 1
        module = importlib.import_module(f"evaluation.{name}")
        for result_name, given in NAMES[name].items():
            _run(result_name, lambda: module.run(*given), getattr(module, "render", _render))
    return 0


def _run(name: str, run: Callable[[], dict[str, Any]], render: Callable[[Mapping[str, Any]], Iterator[str]]) -> None:
    sys.stdout.write(f"== {name}\n")
    sys.stdout.flush()
    result = run()
    path = write_result(name, result)
    for line in render(result):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"written to {path.relative_to(path.parents[2])}\n\n")
    sys.stdout.flush()


def _render(result: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Names and values, one a line; lists of objects are for the file alone."""
    for name, value in result.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _render(value, f"{indent}  ")
        elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
            yield f"{indent}{name}: {len(value)} in the file"
        else:
            yield f"{indent}{name}: {value}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
