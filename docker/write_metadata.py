"""`write_metadata.py PYPROJECT FOLDER`: the project's name and version as package metadata, without its packages.

An image copies its own service's code instead of installing the project, which would bring every service; with this
`importlib.metadata` still knows which version runs.
"""

import sys
import tomllib
from pathlib import Path


def write_metadata(pyproject: Path, folder: Path) -> None:
    """Write `<folder>/<name>-<version>.dist-info/METADATA`."""
    project = tomllib.loads(pyproject.read_text())["project"]
    name, version = project["name"], project["version"]
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


if __name__ == "__main__":
    write_metadata(Path(sys.argv[1]), Path(sys.argv[2]))
