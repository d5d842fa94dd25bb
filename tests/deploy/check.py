"""`python -m tests.deploy.check [FOLDER ...]`: overlays, rendered, against Kubernetes' schemas and the project's rules.

Without a folder: those of deploy/overlays. Exit code 1 on a fault. Where no renderer is installed it says so and checks
nothing; with DEPLOY_RENDER=required that is a failure.
"""

import os
import sys
from collections import Counter
from pathlib import Path

from tests.deploy.rendering import NO_RENDERER, REPOSITORY, SHIPPED, find_renderer, render
from tests.deploy.rules import find_rule_faults
from tests.deploy.schemas import VERSIONS, find_schema_faults


def check(folder: Path) -> list[str]:
    """Every fault of one overlay. Prints what was looked at."""
    manifests = render(folder)
    kinds = Counter(one["kind"] for one in manifests)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    sys.stdout.write(f"{folder}: {len(manifests)} objects ({counts})\n")
    faults = [fault for version in VERSIONS for one in manifests for fault in find_schema_faults(one, version)]
    return [*dict.fromkeys(faults), *find_rule_faults(manifests)]


def main(folders: list[Path]) -> int:
    """Exit code."""
    if find_renderer() is None:
        is_required = os.environ.get("DEPLOY_RENDER") == "required"
        sys.stderr.write(f"deploy-check: NOT CHECKED: {NO_RENDERER}. Install kubectl or kustomize.\n")
        return int(is_required)
    faults = []
    for folder in folders or [path.relative_to(REPOSITORY) for path in SHIPPED]:
        try:
            faults += [f"{folder}: {fault}" for fault in check(folder.resolve() if folders else REPOSITORY / folder)]
        except RuntimeError as error:
            faults.append(str(error))
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    if not faults:
        sys.stdout.write(f"no faults, by the schemas of Kubernetes {' and '.join(VERSIONS)} and the project's rules\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
