"""Keyword arguments of other libraries, checked by name and type before anything is loaded."""

from collections.abc import Mapping
from typing import Any, get_type_hints

from minerkit.errors import suggestion

__all__ = ["checked", "hints"]


def hints(function: Any) -> dict[str, Any]:
    """Read the type hints of a class or function.

    Args:
        function: A dataclass, or a function.

    Returns:
        Hint by name; empty where they name types that cannot be found from outside its module.
    """
    try:
        return get_type_hints(function)
    except NameError:
        return {}


def checked(
    given: Mapping[str, Any], known: Mapping[str, Any], where: str
) -> tuple[dict[str, Any], list[str]]:
    """Check values by name and type.

    Args:
        given: Values by name, as read from YAML.
        known: Type hints by name; `Any` where there is none.
        where: The section of the recipe they stand in.

    Returns:
        The values that are right, converted (YAML reads 5e-4 as text), and a line for each fault.
    """
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

    values, faults = {}, []
    for name, value in given.items():
        if name not in known:
            faults.append(f"{where}.{name}: no such argument{suggestion(name, list(known))}")
            continue
        try:
            adapter = TypeAdapter(known[name], config={"arbitrary_types_allowed": True})
            values[name] = adapter.validate_python(value)
        except (PydanticUserError, PydanticUndefinedAnnotation):  # a type that pydantic knows nothing of
            values[name] = value
        except ValidationError as error:
            message = error.errors()[0]["msg"]
            faults.append(f"{where}.{name}: {message[0].lower()}{message[1:]}, not {value!r}")
    return values, faults
