"""`make openapi`: the three APIs' descriptions, written into openapi/."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SERVICES = ("ingest", "transform", "scoring")


def describe(service: str) -> dict[str, Any]:
    """As the service tells it, which names neither the machine nor the day."""
    import importlib

    module = importlib.import_module(f"services.{service}.api")
    document: dict[str, Any] = module.app.openapi()
    return document


def to_text(document: dict[str, Any]) -> str:
    """One form, so that a difference is one of content."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all three."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"GTM_DATA_DIR": folder, "GTM_ENV": "local", "GTM_ENV_FILE": os.devnull}
        for service in SERVICES:
            path = ROOT / "openapi" / f"{service}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(to_text(describe(service)), encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
