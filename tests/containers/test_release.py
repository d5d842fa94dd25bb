"""The release workflow: what is published was tried, and whoever may publish runs no code of the project."""

from typing import Any

import yaml

from tests.conftest import REPOSITORY

JOBS: dict[str, Any] = yaml.safe_load((REPOSITORY / ".github/workflows/release.yml").read_text())["jobs"]


def test_only_a_job_without_the_projects_code_may_write() -> None:
    may_write = {name for name, job in JOBS.items() if "write" in job["permissions"].values()}
    assert may_write == {"publish"}
    steps = JOBS["publish"]["steps"]
    assert not [step for step in steps if "checkout" in step.get("uses", "") or "make " in step.get("run", "")]
    assert set(JOBS["publish"]["needs"]) == set(JOBS) - {"publish"}


def test_the_images_that_are_tried_are_those_that_are_published() -> None:
    steps = JOBS["images"]["steps"]
    tried = next(step for step in steps if step.get("run") == "make docker-smoke")
    assert tried["env"] == {"DOCKER_BUILD": "0", "DOCKER_TAG": "${{ github.ref_name }}"}
    assert JOBS["images"]["env"]["GTM_IMAGE_TAG"] == tried["env"]["DOCKER_TAG"]
    assert [step for step in steps if "merge-base --is-ancestor" in step.get("run", "")]
