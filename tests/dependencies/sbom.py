"""`python -m tests.dependencies.sbom TAG`: what each image holds, as CycloneDX 1.6 in sbom/<image>.cdx.json.

Python packages come from the image's lock, with hashes and licences. Where an engine has `fleet-gtm-<name>:TAG`, it is
asked: the Debian packages are added, and Python packages that differ from the lock are a fault. Without, the bill
says that it is of the lock alone (property `fleet-gtm:source`).
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tests.dependencies.licences import read_policy
from tests.dependencies.packages import IMAGES, REPOSITORY, Pin, find_installed, read_lock

FOLDER: Final = REPOSITORY / "sbom"
_LIST_PYTHON: Final = """
from importlib.metadata import distributions
for one in distributions(path=["/opt/venv/lib/python3.11/site-packages"]):
    print(one.name.lower().replace("_", "-").replace(".", "-"), one.version)
"""


def write_bill(name: str, tag: str, folder: Path) -> Path:
    """One image's bill. Raises SystemExit when the image holds other packages than its lock."""
    image = f"fleet-gtm-{name}:{tag}"
    is_there = _has_image(image)
    bom = Bom()
    bom.metadata.component = Component(
        type=ComponentType.CONTAINER, name=f"fleet-gtm-{name}", version=tag, bom_ref=f"fleet-gtm-{name}"
    )
    bom.metadata.properties.add(Property(name="fleet-gtm:source", value=f"image {image}" if is_there else "lock alone"))
    if name in IMAGES:
        pins = [pin for pin in read_lock(REPOSITORY / "requirements" / f"{name}.txt") if pin.is_for_this_platform]
        for component in to_components(pins):
            bom.components.add(component)
        if is_there:
            _require_same(image, pins)
    if is_there:
        bom.components.add(_built_from_source(image, name))
        for component in _debian_components(image):
            bom.components.add(component)
    bom.register_dependency(bom.metadata.component, bom.components)
    path = folder / f"fleet-gtm-{name}.cdx.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n")
    source = "the image" if is_there else "the lock alone"
    sys.stdout.write(f"{path.relative_to(folder.parent)}: {len(bom.components)} components, of {source}\n")
    return path


def to_components(pins: list[Pin]) -> Iterator[Component]:
    """Python packages, with the hashes of what may have been installed and the licence as we understand it."""
    policy, factory = read_policy(), LicenseFactory()
    installed = dict(find_installed(pins))
    for pin in pins:
        licence = policy.licence_of(pin.name) if installed.get(pin) else None
        yield Component(
            type=ComponentType.LIBRARY,
            name=pin.name,
            version=pin.version,
            purl=PackageURL("pypi", name=pin.name, version=pin.version),
            bom_ref=f"pypi:{pin.name}@{pin.version}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=value) for value in pin.hashes],
            licenses=[factory.make_from_string(licence)] if licence else (),
        )


def _debian_components(image: str) -> Iterator[Component]:
    listed = _ask(image, "dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}\\n")
    for name, version, architecture in (line.split() for line in listed.splitlines()):
        yield Component(
            type=ComponentType.LIBRARY,
            name=name,
            version=version,
            purl=PackageURL("deb", "debian", name, version, qualifiers={"arch": architecture, "distro": "bookworm"}),
            bom_ref=f"deb:{name}@{version}:{architecture}",
        )


def _built_from_source(image: str, name: str) -> Component:
    """What the public image compiles itself, so that no package manager knows of it."""
    program, title = ("redis-server", "redis") if name == "redis" else ("python", "cpython")
    version = re.search(r"\d+\.\d+\.\d+", _ask(image, program, "--version"))
    assert version, f"{image}: {program} tells no version"
    return Component(type=ComponentType.APPLICATION, name=title, version=version[0], bom_ref=f"{title}@{version[0]}")


def _require_same(image: str, pins: list[Pin]) -> None:
    found = set(_ask(image, "python", "-c", _LIST_PYTHON).splitlines())
    locked = {f"{pin.name.replace('_', '-').replace('.', '-')} {pin.version}" for pin in pins}
    if found != locked:
        sys.exit(f"{image} and its lock differ: {sorted(found ^ locked)}. Build it anew: docker compose build")


def _has_image(image: str) -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode == 0


def _ask(image: str, program: str, *arguments: str) -> str:
    command = ["docker", "run", "--rm", "--network=none", f"--entrypoint={program}", image, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(tag: str) -> None:
    """A line per bill."""
    for name in IMAGES:
        write_bill(name, tag, FOLDER)
    if _has_image(f"fleet-gtm-redis:{tag}"):  # it has no lock: without the image there is nothing to tell
        write_bill("redis", tag, FOLDER)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "local")
