"""Upload a run to the Hub: one commit per repository, or none if nothing has changed."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import minerkit
from minerkit.errors import RunError
from minerkit.hub.access import find_repository, hub_api, hub_token
from minerkit.hub.bundle import README, Bundle, dataset_bundle, model_bundle
from minerkit.hub.dataset_files import merge_card
from minerkit.hub.retry import call_with_retries
from minerkit.runtime import Reporter
from minerkit.storage import MARKERS, Run, sha256

__all__ = ["upload_run"]


def upload_run(
    run: Run,
    repo: str,
    model_repo: str | None = None,
    *,
    private: bool = False,
    revision: str | None = None,
    dry_run: bool = False,
    reporter: Reporter | None = None,
) -> list[dict[str, Any]]:
    """Upload a run: its tables as configs of a data set, its card, and its model.

    Each repository gets one commit, so that nobody reads a partial upload, or none if nothing has changed.
    After an interruption, the same call resumes: it does not send uploaded files again.

    Args:
        run: A finished run, locked.
        repo: The repository of the data set, as user/name; it is created if it does not exist.
        model_repo: The repository of `model/`, as user/name; None: the model is not uploaded.
        private: Create private repositories.
        revision: The branch, default main; it is created if it does not exist.
        dry_run: Only list the files; needs no network and no token.
        reporter: Receives progress.

    Returns:
        For each repository `kind`, `repo` and `files` (path, rows, bytes); except for a dry run also `url`,
        `changed` (the paths that were added, replaced or removed) and `commit` (None if nothing changed).

    Raises:
        HubError: There is no token, or the Hub cannot be reached or refuses.
    """
    reporter = reporter or Reporter(quiet=True)
    token = "" if dry_run else hub_token()
    with _staging_folder(run) as staging, _silence_clients():
        bundles = [dataset_bundle(run, repo, staging, reporter, model_repo)]
        if model_repo:
            bundles.append(model_bundle(run, model_repo, staging))
        if dry_run:
            return [bundle.describe() for bundle in bundles]
        return [
            bundle.describe() | _upload_bundle(bundle, token, private, revision, staging, reporter)
            for bundle in bundles
        ]


def _upload_bundle(
    bundle: Bundle, token: str, private: bool, revision: str | None, staging: Path, reporter: Reporter
) -> dict[str, Any]:
    """Upload a bundle to its repository, with retries."""
    api = hub_api(token)
    call = partial(call_with_retries, subject=bundle.repo, token=token, notify=reporter.say)
    repo = call(partial(_open_repository, api, bundle, private, revision), connected=False)
    changed: list[str] = []
    commit = call(partial(_commit_changes, api, repo, bundle, revision, staging, reporter, changed))
    prefix = "datasets/" if bundle.repo_type == "dataset" else ""
    return {"url": f"{api.endpoint}/{prefix}{repo}", "changed": changed, "commit": commit}


def _open_repository(api: Any, bundle: Bundle, private: bool, revision: str | None) -> str:
    """Find or create the repository and the branch; return the repository's name, which may have changed."""
    repo, repo_type = bundle.repo, bundle.repo_type
    info = find_repository(api, repo, repo_type, private)
    if info is None:
        api.create_repo(repo, repo_type=repo_type, private=private or None, exist_ok=True)
    else:
        repo = info.id
    if revision and not revision.startswith("refs/"):
        api.create_branch(repo, branch=revision, repo_type=repo_type, exist_ok=True)
    return str(repo)


def _commit_changes(
    api: Any,
    repo: str,
    bundle: Bundle,
    revision: str | None,
    staging: Path,
    reporter: Reporter,
    changed: list[str],
) -> str | None:
    """Commit the difference between the bundle and the head of the branch, with that head as parent.

    The changed paths are stored in `changed`, also if the commit fails.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    target = {"repo_id": repo, "repo_type": bundle.repo_type}
    head = api.repo_info(**target, revision=revision, files_metadata=True)
    hub_files = {file.rfilename: file for file in head.siblings or []}
    contents: dict[str, Path | bytes] = dict(bundle.files)
    if bundle.card and README in hub_files:
        hub_card = api.hf_hub_download(**target, filename=README, revision=head.sha, cache_dir=staging)
        contents[README] = merge_card(bundle.card, bundle.configs, Path(hub_card).read_text()).encode()
    new = [path for path, content in contents.items() if not _is_equal(content, hub_files.get(path))]
    folders = {config.name for config in bundle.configs}
    stale = [
        path
        for path in hub_files
        if path.split("/")[0] in folders and path.endswith(".parquet") and path not in contents
    ]
    if not new and not stale:
        # After an earlier attempt this means that its commit succeeded and only the response was lost.
        return head.sha if changed else None
    changed[:] = new + stale
    adds = [CommitOperationAdd(path, contents[path]) for path in new]
    with reporter.bar(f"Uploading to {repo}", len(adds)) as advance:
        for add in adds:
            api.preupload_lfs_files(**target, additions=[add], revision=revision, free_memory=False)
            advance(1)
    commit = api.create_commit(
        **target,
        operations=[*adds, *(CommitOperationDelete(path) for path in stale)],
        commit_message=f"Upload with minerkit {minerkit.__version__}",
        revision=revision,
        parent_commit=head.sha,
    )
    return str(commit.oid)


def _is_equal(content: Path | bytes, hub_file: Any) -> bool:
    """Compare a file with one on the Hub, by SHA-256 if it is stored in LFS, else by git's SHA-1."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if hub_file is None or size != hub_file.size:
        return False
    if hub_file.lfs is not None and isinstance(content, Path):
        return bool(sha256(content) == hub_file.lfs.sha256)
    data = content if isinstance(content, bytes) else content.read_bytes()
    return bool(hashlib.sha1(b"blob %d\0" % size + data).hexdigest() == hub_file.blob_id)


@contextmanager
def _staging_folder(run: Run) -> Iterator[Path]:
    """Provide an empty folder on the run's disk, without the files of an earlier push that was killed."""
    folder = run.folder / MARKERS / "push"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder
    except OSError as error:
        raise RunError(f"{folder}: cannot write ({error.strerror or error}); free some space") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _silence_clients() -> Iterator[None]:
    """Turn off the progress bars and warnings of the Hub's clients."""
    import datasets
    import huggingface_hub.utils as hub

    bars, data_bars = not hub.are_progress_bars_disabled(), datasets.is_progress_bar_enabled()
    verbosity = hub.logging.get_verbosity()
    hub.disable_progress_bars()
    datasets.disable_progress_bars()
    hub.logging.set_verbosity_error()
    try:
        yield
    finally:
        hub.logging.set_verbosity(verbosity)
        if data_bars:
            datasets.enable_progress_bars()
        if bars:
            hub.enable_progress_bars()
