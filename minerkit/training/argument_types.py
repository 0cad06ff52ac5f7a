"""Check keyword arguments for other libraries by name and type, before anything is loaded."""

from collections.abc import Mapping
from typing import Any, get_type_hints

from minerkit.errors import suggestion

__all__ = ["check_arguments", "type_hints"]


def type_hints(function: Any) -> dict[str, Any]:
    """Read the type hints of a class or function.

    Args:
        function: A dataclass or a function.

    Returns:
        Type hint by name; empty if a hint names a type that is not defined in the function's module.
    """
    try:
        return get_type_hints(function)
    except NameError:
        return {}


def check_arguments(
    arguments: Mapping[str, Any], types: Mapping[str, Any], section: str
) -> tuple[dict[str, Any], list[str]]:
    """Check arguments by name and type.

    Args:
        arguments: Values by name, as read from YAML.
        types: Type hint of each known argument by name; `Any` for an argument without one.
        section: The section of the recipe that holds the arguments, for the messages.

    Returns:
        The valid arguments, converted to their types (YAML reads 5e-4 as text), and one line for each fault.
    """
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

    values, faults = {}, []
    for name, value in arguments.items():
        if name not in types:
            faults.append(f"{section}.{name}: no such argument{suggestion(name, list(types))}")
            continue
        try:
            adapter = TypeAdapter(types[name], config={"arbitrary_types_allowed": True})
            values[name] = adapter.validate_python(value)
        except (PydanticUserError, PydanticUndefinedAnnotation):  # pydantic cannot check this type
            values[name] = value
        except ValidationError as error:
            message = error.errors()[0]["msg"]
            faults.append(f"{section}.{name}: {message[0].lower()}{message[1:]}, not {value!r}")
    return values, faults
