from dataclasses import dataclass
from typing import Any, Literal

import pytest

from minerkit.training.argument_types import checked, hints

KNOWN = {"rate": float, "steps": int, "bf16": bool, "kind": Literal["dot", "cosine"], "free": Any}


def test_values_are_converted_as_yaml_reads_them():
    given = {"rate": "5e-4", "steps": 7, "bf16": True, "kind": "dot", "free": [object]}
    values, faults = checked(given, KNOWN, "train.args")
    assert values == {**given, "rate": 5e-4} and faults == []


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("rats", 1, "train.args.rats: no such argument; did you mean 'rate'?"),
        ("zzzzzz", 1, "train.args.zzzzzz: no such argument"),
        ("rate", "fast", "unable to parse string as a number, not 'fast'"),
        ("steps", 1.5, "got a number with a fractional part, not 1.5"),
        ("kind", "angle", "train.args.kind: input should be 'dot' or 'cosine', not 'angle'"),
    ],
)
def test_a_fault_is_a_line_with_place_and_value(name, value, line):
    values, (fault,) = checked({name: value}, KNOWN, "train.args")
    assert values == {} and line in fault and fault.startswith(f"train.args.{name}: ")


def test_all_faults_are_found_and_what_is_right_is_kept():
    values, faults = checked({"rate": "x", "nothing": 1, "steps": 3}, KNOWN, "train.args")
    assert values == {"steps": 3} and len(faults) == 2


def test_a_hint_that_cannot_be_checked_lets_everything_through():
    class Odd:
        """A type that nothing is known of."""

    values, faults = checked({"a": 3, "b": 4}, {"a": "Missing", "b": Odd | None}, "here")
    assert "a" in values and not any(".a:" in fault for fault in faults)


def test_hints_are_empty_where_a_type_is_not_to_be_found():
    @dataclass
    class Known:
        rate: float

    def unknown(rate: "Nowhere") -> None:  # noqa: F821
        """Names a type that is not there."""

    assert hints(Known) == {"rate": float} and hints(unknown) == {}
