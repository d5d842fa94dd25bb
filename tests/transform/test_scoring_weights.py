"""config/scoring_weights.yml: what is wrong with it is said, each field by its name, before dbt starts."""

import hashlib
import re
from pathlib import Path

import pytest

from services.transform.adapters.weights_file import read_scoring_weights
from shared.errors import TerminalError
from tests.transform.builds import REPOSITORY

SHIPPED = REPOSITORY / "config" / "scoring_weights.yml"


def _changed(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = SHIPPED.read_text()
    for old, new in changes:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    path = tmp_path / "scoring_weights.yml"
    path.write_text(text)
    return path


def test_the_version_is_the_hash_of_the_file(tmp_path: Path) -> None:
    weights, version = read_scoring_weights(SHIPPED)
    assert version == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    other, changed = read_scoring_weights(_changed(tmp_path, ("logistics: 15", "logistics: 14")))
    assert changed != version and other != weights


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([("logistics: 15", "logistic: 15")], "fit.industry.words.logistic"),
        ([("logistics: 15", "logistics: 15\n      logistics: 4")], "'logistics' occurs twice"),
        ([("half_life_days: 14", "half_life_days: .inf")], "engagement.recency.half_life_days"),
        ([("{from: 10, points: 13}", "{from: 10, points: many}")], "fit.fleet_size.bands[3].points"),
        ([("{from: 10, points: 13}", "{from: 10}")], "fit.fleet_size.bands[3].points: Field required"),
        ([("{from: 10, points: 13}", "{from: 10, points: 13, label: x}")], "fit.fleet_size.bands[3].label"),
        ([("{from: 10, points: 13}", "{from: 200, points: 13}")], "fit.fleet_size: bands must ascend"),
        ([("fit:   ", "fits:   ")], "fit: Field required"),
        ([("fit:   ", "fit: [")], "is not YAML"),
    ],
    ids=["word", "twice", "infinite", "no-number", "missing", "extra", "order", "component", "yaml"],
)
def test_a_broken_file_names_the_field(tmp_path: Path, changes: list[tuple[str, str]], told: str) -> None:
    with pytest.raises(TerminalError) as refused:
        read_scoring_weights(_changed(tmp_path, *changes))
    assert refused.value.code == "scoring-weights-invalid"
    assert "scoring_weights.yml" in refused.value.detail and told in refused.value.detail


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = _changed(tmp_path, ("logistics: 15", "logistics: 150"), ("half_life_days: 14", "half_life_days: 0"))
    with pytest.raises(TerminalError, match="fit.industry.words.logistics: .*; engagement.recency.half_life_days: "):
        read_scoring_weights(path)


def test_an_empty_and_a_missing_file_say_so(tmp_path: Path) -> None:
    (tmp_path / "empty.yml").write_text("")
    with pytest.raises(TerminalError, match="the file: Input should be a valid dictionary"):
        read_scoring_weights(tmp_path / "empty.yml")
    with pytest.raises(TerminalError, match="can't be read .*GTM_SCORING_WEIGHTS"):
        read_scoring_weights(tmp_path / "none.yml")


def test_one_of_something_is_no_plural() -> None:
    weights, _ = read_scoring_weights(SHIPPED)
    of_one = [
        row["explanation"].replace("{value}", "1")
        for row in weights.to_rows()
        if row["from_value"] is not None
        and float(row["from_value"]) <= 1
        and (row["to_value"] is None or float(row["to_value"]) > 1)
    ]
    assert len(of_one) >= 8
    assert [words for words in of_one if re.match(r"1 \w+s\b", words)] == []
