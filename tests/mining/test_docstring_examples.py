import doctest

import pytest

import minerkit


@pytest.mark.parametrize(
    "name",
    ["SplitQueries", "filter_false_negatives", "format_examples", "retrieve", "sample_negatives"],
)
def test_the_example_in_the_docstring_of_a_public_name_runs(name):
    tests = doctest.DocTestFinder().find(getattr(minerkit, name), name)
    assert sum(len(test.examples) for test in tests) > 0
    for test in tests:
        assert doctest.DocTestRunner().run(test).failed == 0
