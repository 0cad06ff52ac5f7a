"""Check names, token and write access of repositories before a run that ends with a push."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import minerkit
from minerkit.errors import HubError
from minerkit.hub.retry import call_with_retries
from minerkit.runtime import Reporter

__all__ = ["check_access", "check_repo_name", "find_repository", "hub_api", "hub_token"]


def check_access(repos: Iterable[tuple[str, str]], private: bool, reporter: Reporter) -> None:
    """Check that the user can write to repositories.

    Args:
        repos: Type (dataset or model) and name (user/name) of each repository.
        private: Whether the repositories must be private.
        reporter: Receives a note for each retry.

    Raises:
        HubError: A name is invalid, there is no token, it has no write access, or the Hub cannot be reached.
    """
    repos = list(repos)
    for _, repo in repos:
        check_repo_name(repo)
    token = hub_token()
    api = hub_api(token)

    def request(call: Callable[[], Any]) -> Any:
        return call_with_retries(call, repos[0][1], token, reporter.say, connected=False)

    user = request(api.whoami)
    if user.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise HubError("the token can only read; make one that writes, and log in again with `hf auth login`")
    names = [user["name"], *(org["name"] for org in user.get("orgs", ()))]
    for repo_type, repo in repos:
        if repo.split("/")[0].lower() not in {name.lower() for name in names}:
            raise HubError(f"{repo}: the token is that of {names[0]}; it may write to {', '.join(names)}")
        request(partial(find_repository, api, repo, repo_type, private))


def find_repository(api: Any, repo: str, repo_type: str, private: bool) -> Any | None:
    """Look up a repository on the Hub.

    Args:
        api: The Hub's client.
        repo: Name of the repository, as user/name.
        repo_type: dataset or model.
        private: Whether the repository must be private.

    Returns:
        The client's description of the repository; None if it does not exist.

    Raises:
        HubError: The repository must be private and is public.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.repo_info(repo, repo_type=repo_type)
    except RepositoryNotFoundError:
        return None
    if private and not info.private:
        raise HubError(f"{repo} is public already; make it private in its settings, or take another name")
    return info


def check_repo_name(name: str) -> None:
    """Check the name of a repository.

    Args:
        name: The name.

    Raises:
        HubError: The name is not of the form user/name.
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
    """Return the user's token.

    Returns:
        HF_TOKEN, or the token of the last login.

    Raises:
        HubError: There is no token.
    """
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise HubError("there is no token for the Hub; log in with `hf auth login`, or set HF_TOKEN")
    return str(token)


def hub_api(token: str) -> Any:
    """Build the client of the Hub.

    Args:
        token: The user's token.

    Returns:
        An HfApi.
    """
    from huggingface_hub import HfApi

    return HfApi(token=token, library_name="minerkit", library_version=minerkit.__version__)
