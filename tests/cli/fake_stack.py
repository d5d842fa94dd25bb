"""Stands in for `python -m local.stack`: it writes endpoints.json and remembers what it was told."""

import json
import os
import sys
import time
from pathlib import Path

folder = Path(os.environ["GTM_DATA_DIR"]) / "local"
endpoints, calls = folder / "endpoints.json", folder / "calls"
folder.mkdir(parents=True, exist_ok=True)
command = sys.argv[1]
with calls.open("a") as file:
    file.write(command + "\n")

if os.environ.get("FAKE_STACK") == "wrong use":
    sys.exit(2)
if command == "status":
    sys.exit(0 if endpoints.exists() else 3)
if command == "down":
    endpoints.unlink(missing_ok=True)
if command == "up":
    behaviour = os.environ.get("FAKE_STACK", "works")
    if behaviour == "fails":
        sys.exit(1)
    if behaviour == "hangs":
        try:
            time.sleep(120)
        except KeyboardInterrupt:
            with calls.open("a") as file:
                file.write("interrupted\n")
    url = os.environ["FAKE_STACK_URL"]
    content = {"ingest": url, "transform": url, "scoring": url, "ollama_model": "smollm2:135m", "brings_model": True}
    endpoints.write_text(json.dumps(content))
