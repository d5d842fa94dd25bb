#!/usr/bin/env bash
# Regenerates every hash-pinned file here from pyproject.toml; arguments go to uv (e.g. --upgrade, --upgrade-package NAME).
# dev.txt is resolved first and holds everything; an image's file is a subset of it at the same versions, so that no
# container runs a version that the suite did not. local-model.txt is written by hand (its header says why).
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
[[ -x $uv ]] || uv=uv
compile() { # OUTPUT ARGUMENTS...
  local output=requirements/$1; shift
  # No index lines and no header: both would carry the settings of the machine that happened to run this.
  "$uv" pip compile pyproject.toml --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    --custom-compile-command requirements/lock.sh --output-file "$output" "$@"
}

compile dev.txt --all-extras --group dev "$@"
for service in ingest transform scoring; do
  compile "$service.txt" --extra "$service" --extra postgres --constraints requirements/dev.txt
done
