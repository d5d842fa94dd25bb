"""What a build is built with, as digests and versions that a later one can compare."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Final

_TOOLS: Final = ("dbt-core", "dbt-duckdb", "dbt-snowflake", "publicsuffixlist")


def project_version(project_dir: Path) -> str:
    """Digest of the project's files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in project_dir.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(project_dir)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def tool_versions() -> dict[str, str]:
    """Of the packages that decide what a build makes of the same project and the same RAW."""
    return {name: version(name) for name in _TOOLS}
