"""What a caller sends can't make an answer long, nor its service busy with looking through it."""

import json

import httpx
import pytest

from shared.operations.database import OperationsDatabase
from tests.http.small_api import SmallApi


def test_a_problem_quotes_no_more_than_people_read(
    operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    with SmallApi() as api:
        for body in ({"a." * 400_000: 1}, {f"{number}.{'-eyJ' * 10}": 1 for number in range(10_000)}):
            refused = httpx.post(
                f"{api.url}/v1/builds", content=json.dumps(body), headers={"Content-Type": "application/json"}
            )
            assert refused.status_code == 422 and len(refused.content) < 20_000
            problem = refused.json()
            assert 1 <= len(problem["errors"]) <= 20 and len(problem["detail"]) < 5_000
        assert "and 9980 more" in problem["detail"]
