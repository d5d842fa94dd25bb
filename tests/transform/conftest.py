"""The build that most tests look at, and a project where much is wrong."""

import shutil
from pathlib import Path

import pytest

from tests.transform.builds import REPOSITORY, BuiltTwice, House, build_twice, copy_of


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltTwice:
    return build_twice(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def broken(built: BuiltTwice, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A copy of the warehouse, and a project with a failing and an endless test, a wrong column, a broken contract."""
    folder = tmp_path_factory.mktemp("broken")
    house = copy_of(built.house, folder / "var")
    house.project_dir = folder / "dbt_transform"
    shutil.copytree(REPOSITORY / "dbt_transform", house.project_dir)
    marts = house.project_dir / "models" / "marts"
    _replace(marts / "revenue" / "fct_touchpoints.sql", "    channel,", "    chanel,")
    _replace(
        marts / "scoring" / "fct_account_score_factors.sql", "    points,", "    cast(points as integer) as points,"
    )
    (house.project_dir / "tests" / "singular" / "assert_no_gmail.sql").write_text(
        "select contact_id, email, 7 as rows_seen from {{ ref('stg_hubspot__contacts') }} where email like '%gmail%'"
    )
    (house.project_dir / "tests" / "singular" / "assert_endless.sql").write_text(
        "select range as n from range(1000000000000000) where range < 0"
    )
    return house


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
