"""`python -m benchmarks [name ...]`: all, or the named ones."""

import importlib
import pkgutil
import sys

import benchmarks


def main(names: list[str]) -> int:
    """Exit code 0 when each ran; a slow ratio is a figure, not a failure."""
    known = sorted(
        module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name.startswith("bench_")
    )
    for name in [f"bench_{name}" for name in names] or known:
        if name not in known:
            sys.stderr.write(f"There is no {name}. Known: {', '.join(known)}.\n")
            return 2
        result = importlib.import_module(f"benchmarks.{name}").run()
        path = result.write()
        sys.stdout.write(f"{result.what}\n")
        for ratio, value in result.ratios.items():
            ours, baseline = result.seconds[f"{ratio}_ours"], result.seconds[f"{ratio}_baseline"]
            sys.stdout.write(f"  {ratio}: {value:.3g} ({ours:.3f} s over {baseline:.3f} s)\n")
        for figure, value in result.figures.items():
            sys.stdout.write(f"  {figure}: {value:,}\n")
        sys.stdout.write(f"  written to {path.relative_to(path.parent.parent.parent)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
