"""The build that most tests look at."""

import pytest

from tests.transform.builds import BuiltTwice, build_twice


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltTwice:
    return build_twice(tmp_path_factory.getbasetemp())
