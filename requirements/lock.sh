#!/usr/bin/env bash
# Regenerates every hash-pinned file here from pyproject.toml; arguments go to uv (e.g. --upgrade, --upgrade-package NAME).
# dev.txt is resolved first and holds everything; an image's file is a subset of it at the same versions, so that no
# container runs a version that the suite did not. local-model.txt is written by hand (its header says why).
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
[[ -x $uv ]] || uv=uv
pin() { # OUTPUT ARGUMENTS...: never a line about the index that this machine happens to use
  local output=requirements/$1; shift
  "$uv" pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
    --custom-compile-command requirements/lock.sh --output-file "$output" "$@"
}

printf 'uv\n' | pin uv.txt - --no-annotate "$@"
pin dev.txt pyproject.toml --all-extras --group dev "$@"
for service in ingest transform scoring; do
  # Extras stay in the lines: an image is built with pip, which takes `mashumaro` for another pin than `mashumaro[msgpack]`.
  pin "$service.txt" pyproject.toml --extra "$service" --extra postgres --no-strip-extras --constraints requirements/dev.txt
done
