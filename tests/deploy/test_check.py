"""`make deploy-check OVERLAY=...` for an overlay of somebody's own, outside this repository."""

import os
from pathlib import Path

import pytest

from tests.deploy import check
from tests.deploy.rendering import NO_RENDERER, REPOSITORY, find_renderer

needs_renderer = pytest.mark.skipif(find_renderer() is None, reason=NO_RENDERER)

_OWN = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{example}]
patches:
  - target: {{kind: Deployment, name: {role}}}
    patch: |
      - op: add
        path: /spec/template/spec/containers/0/env/-
        value: {{name: {name}, value: "{value}"}}
"""


def _overlay(folder: Path, role: str, name: str, value: str) -> Path:
    example = os.path.relpath(REPOSITORY / "deploy" / "overlays" / "example", folder.resolve())
    (folder / "kustomization.yaml").write_text(_OWN.format(example=example, role=role, name=name, value=value))
    return folder


@needs_renderer
def test_an_overlay_that_keeps_to_schemas_and_rules_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([_overlay(tmp_path, "ingest-worker", "GTM_INGEST_SEGMENT_ROWS", "5000")]) == 0
    assert "no faults" in capsys.readouterr().out


@needs_renderer
def test_duckdb_in_an_overlay_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "VERSIONS", ())  # to be quick: the rules are meant here
    assert check.main([_overlay(tmp_path, "scoring-batch-worker", "GTM_WAREHOUSE", "duckdb")]) == 1
    assert "scoring-batch-worker gtm: GTM_WAREHOUSE=duckdb" in capsys.readouterr().err


@needs_renderer
def test_a_folder_that_can_not_be_rendered_is_told_in_kustomizes_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main([tmp_path]) == 1
    assert "kustomization" in capsys.readouterr().err


@pytest.mark.parametrize(("wanted", "exit_code"), [("", 0), ("required", 1)])
def test_without_a_renderer_nothing_is_claimed(
    wanted: str, exit_code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "find_renderer", lambda: None)
    monkeypatch.setenv("DEPLOY_RENDER", wanted)
    assert check.main([]) == exit_code
    captured = capsys.readouterr()
    assert "NOT CHECKED" in captured.err and "no faults" not in captured.out
