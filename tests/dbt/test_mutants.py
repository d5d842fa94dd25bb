"""The list of mutants fits the project as it is; `make mutants` runs them."""

from collections import Counter

from tests.dbt.mutant_list import read_mutants
from tests.transform.builds import REPOSITORY


def test_every_mutant_breaks_one_line_that_is_there() -> None:
    mutants = read_mutants()
    places = {
        mutant.name: len(mutant.pattern.findall((REPOSITORY / "dbt_transform" / mutant.file).read_text()))
        for mutant in mutants
    }
    assert {name: count for name, count in places.items() if count != 1} == {}
    assert [name for name, count in Counter(mutant.name for mutant in mutants).items() if count > 1] == []
    assert len(mutants) >= 80 and not [mutant.name for mutant in mutants if mutant.old == mutant.new]
