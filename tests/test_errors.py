import re

from minerkit import errors


def tree_in_docstring() -> dict[str, str]:
    """Class name to parent name, as the tree in the module's docstring draws it."""
    found, open_at = {}, {}
    for line in errors.__doc__.splitlines():
        match = re.match(r"([│├└─ ]*)(\w+Error)\b", line)
        if match:
            depth = len(match[1])
            open_at[depth] = match[2]
            above = [level for level in open_at if level < depth]
            found[match[2]] = open_at[max(above)] if above else "Exception"
    return found


def classes() -> dict[str, type]:
    exported = {name: getattr(errors, name) for name in errors.__all__}
    return {name: value for name, value in exported.items() if isinstance(value, type)}


def test_docstring_draws_the_class_tree():
    assert tree_in_docstring() == {name: kind.__base__.__name__ for name, kind in classes().items()}


def test_all_lists_every_class():
    every = {
        name for name, value in vars(errors).items() if getattr(value, "__module__", "") == errors.__name__
    }
    assert set(errors.__all__) == every


def test_close_words_are_suggested():
    assert errors.suggestion("negative", ["negatives", "keep"]) == "; did you mean 'negatives'?"
    assert errors.suggestion("xyz", ["negatives", "keep"]) == ""


def test_every_error_is_caught_as_one_the_user_can_mend():
    assert all(issubclass(kind, errors.MinerkitError) for kind in classes().values())


def test_every_error_says_when_it_is_raised():
    assert all(kind.__doc__ for kind in classes().values())
