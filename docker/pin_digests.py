"""`docker/pin_digests.py [FILE ...]`: pin the public images that these files name by their digest of this moment.

A tag such as `python:3.11-slim-bookworm` is another image every week; `python:3.11-slim-bookworm@sha256:...` is one for
ever. Default: Dockerfile and docker-compose.yml. Needs a Docker engine that reaches the registries, and nothing but the
standard library. A repeat brings the digests up to date; where nothing changed, neither do the files. The release
workflow runs it before it builds.
"""

import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

# `FROM image:tag [AS stage]`, `image: name:tag`, `image: ${VARIABLE:-name:tag}`. Stages and our own images have no tag
# of a registry: a stage has no colon, ours begin with fleet-gtm-.
_IMAGE = re.compile(
    r"^(?P<before>FROM |\s*image: (?:\$\{\w+:-)?)"
    r"(?P<image>(?!fleet-gtm-)[a-z0-9][a-z0-9./_-]*:[A-Za-z0-9._-]+)(?:@sha256:[0-9a-f]{64})?(?P<after>\}| |$)",
    re.MULTILINE,
)


def pin(path: Path) -> list[str]:
    """Rewrite one file. Returns `image@digest` of each image that it names."""
    pinned: list[str] = []

    def replace(found: re.Match[str]) -> str:
        pinned.append(f"{found['image']}@{find_digest(found['image'])}")
        return f"{found['before']}{pinned[-1]}{found['after']}"

    before = path.read_text()
    after = _IMAGE.sub(replace, before)
    if after != before:
        path.write_text(after)
    return pinned


@lru_cache
def find_digest(image: str) -> str:
    """The digest of the registry's list of platforms, so that every platform builds from the same list.

    Raises:
        SystemExit: the registry can't be asked.
    """
    _docker("pull", "--quiet", image)
    repository = image.rpartition(":")[0]
    for line in _docker("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', image).splitlines():
        name, _, digest = line.partition("@")
        if name.removeprefix("docker.io/").removeprefix("library/") == repository:
            return digest
    sys.exit(f"pin_digests: {image} has no digest: it was built on this machine, and no registry knows it")


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)  # nosec B607: the caller's own
    if done.returncode:
        sys.exit(f"pin_digests: docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def main(paths: list[Path]) -> None:
    """Prints each image with its digest."""
    for path in paths:
        for image in pin(path):
            sys.stdout.write(f"{path}: {image}\n")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]] or [Path("Dockerfile"), Path("docker-compose.yml")])
