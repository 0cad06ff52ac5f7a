"""Whether a push can be made at all: names, token and rights, asked before hours are spent."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import minerkit
from minerkit.errors import HubError
from minerkit.hub.retry import patiently
from minerkit.runtime import Reporter

__all__ = ["check_access", "check_name", "existing", "hub_api", "hub_token"]


def check_access(repos: Iterable[tuple[str, str]], private: bool, reporter: Reporter) -> None:
    """See whether repositories can be written to.

    Args:
        repos: The kind of each (dataset or model), and its name as user/name.
        private: Whether they are to be private.
        reporter: Where waiting for the Hub is told.

    Raises:
        HubError: A name is bad, there is no token, it may not write there, or the Hub cannot be reached.
    """
    wanted = list(repos)
    for _, repo in wanted:
        check_name(repo)
    token = hub_token()
    api = hub_api(token)

    def ask(call: Callable[[], Any]) -> Any:
        return patiently(call, wanted[0][1], token, reporter.say, first=True)

    owner = ask(api.whoami)
    if owner.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise HubError("the token can only read; make one that writes, and log in again with `hf auth login`")
    names = [owner["name"], *(org["name"] for org in owner.get("orgs", ()))]
    for kind, repo in wanted:
        if repo.split("/")[0].lower() not in {name.lower() for name in names}:
            raise HubError(f"{repo}: the token is that of {names[0]}; it may write to {', '.join(names)}")
        ask(partial(existing, api, repo, kind, private))


def existing(api: Any, repo: str, kind: str, private: bool) -> Any | None:
    """Find a repository.

    Args:
        api: The Hub's client.
        repo: Its name, as user/name.
        kind: dataset or model.
        private: Whether it is to be private.

    Returns:
        What the Hub says of it; None where there is none.

    Raises:
        HubError: It is to be private, and is public.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        found = api.repo_info(repo, repo_type=kind)
    except RepositoryNotFoundError:
        return None
    if private and not found.private:
        raise HubError(f"{repo} is public already; make it private in its settings, or take another name")
    return found


def check_name(name: str) -> None:
    """Check a repository's name.

    Args:
        name: The name.

    Raises:
        HubError: It is not of the form user/name.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise HubError(f"{name!r} is no name for a repository: {error}") from error
    if "/" not in name:
        raise HubError(f"{name!r} lacks the user or organisation it belongs to: write user/{name}")


def hub_token() -> str:
    """Find the user's token.

    Returns:
        HF_TOKEN, or that of the last login.

    Raises:
        HubError: There is none.
    """
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise HubError("there is no token for the Hub; log in with `hf auth login`, or set HF_TOKEN")
    return str(token)


def hub_api(token: str) -> Any:
    """Make the Hub's client.

    Args:
        token: The user's token.

    Returns:
        An HfApi.
    """
    from huggingface_hub import HfApi

    return HfApi(token=token, library_name="minerkit", library_version=minerkit.__version__)
