from dataclasses import dataclass
from typing import Any, Literal

import pytest

from minerkit.training.argument_types import check_arguments, type_hints

TYPES = {"rate": float, "steps": int, "bf16": bool, "kind": Literal["dot", "cosine"], "free": Any}


def test_values_are_converted_to_their_types():
    arguments = {"rate": "5e-4", "steps": 7, "bf16": True, "kind": "dot", "free": [object]}
    values, faults = check_arguments(arguments, TYPES, "train.args")
    assert values == {**arguments, "rate": 5e-4} and faults == []


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
def test_a_fault_is_one_line_with_section_name_and_value(name, value, line):
    values, (fault,) = check_arguments({name: value}, TYPES, "train.args")
    assert values == {} and line in fault and fault.startswith(f"train.args.{name}: ")


def test_all_faults_are_listed_and_valid_values_returned():
    values, faults = check_arguments({"rate": "x", "nothing": 1, "steps": 3}, TYPES, "train.args")
    assert values == {"steps": 3} and len(faults) == 2


def test_a_type_that_cannot_be_checked_accepts_every_value():
    class Unknown:
        """A type that pydantic cannot check."""

    values, faults = check_arguments({"a": 3, "b": 4}, {"a": "Missing", "b": Unknown | None}, "here")
    assert "a" in values and not any(".a:" in fault for fault in faults)


def test_hints_are_empty_if_a_type_is_not_defined():
    @dataclass
    class Known:
        rate: float

    def unknown(rate: "Nowhere") -> None:  # noqa: F821
        """Uses a type that is not defined."""

    assert type_hints(Known) == {"rate": float} and type_hints(unknown) == {}
