"""Upload a run to the Hub: one commit on top of what is there, or none when all of it is there already."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import minerkit
from minerkit.errors import RunError
from minerkit.hub.access import existing, hub_api, hub_token
from minerkit.hub.bundle import README, Bundle, data_bundle, model_bundle
from minerkit.hub.dataset_files import merged_card
from minerkit.hub.retry import patiently
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
    """Upload a run: its subsets as configs, its card, its model.

    Each repository gets one commit, so that nobody reads half an upload; when nothing is new, it gets none.
    After a cut, the same call goes on: what is uploaded is not sent again.

    Args:
        run: A finished run, locked.
        repo: The data set, as user/name; it is created where it does not exist.
        model_repo: Where `model/` goes, as user/name; None: it is not uploaded.
        private: Create private repositories.
        revision: The branch, default main; it is created where it does not exist.
        dry_run: Only list what would go; no network, no token.
        reporter: Where progress goes.

    Returns:
        For each repository `kind`, `repo` and `files` (path, rows, bytes); but for a dry run also `url`,
        `changed` (the paths that were added, replaced or removed) and `commit` (None where nothing was).

    Raises:
        HubError: There is no token, or the Hub cannot be reached or refuses.
    """
    reporter = reporter or Reporter(quiet=True)
    token = "" if dry_run else hub_token()
    with _staging(run) as staging, _clients_silenced():
        bundles = [data_bundle(run, repo, staging, reporter, model_repo)]
        if model_repo:
            bundles.append(model_bundle(run, model_repo, staging))
        if dry_run:
            return [bundle.listed() for bundle in bundles]
        return [
            bundle.listed() | _deliver(bundle, token, private, revision, staging, reporter)
            for bundle in bundles
        ]


def _deliver(
    bundle: Bundle, token: str, private: bool, revision: str | None, staging: Path, reporter: Reporter
) -> dict[str, Any]:
    """Bring a repository to hold the bundle, whatever comes between."""
    api = hub_api(token)
    insist = partial(patiently, what=bundle.repo, token=token, say=reporter.say)
    repo = insist(partial(_opened, api, bundle, private, revision), first=True)
    tried: list[str] = []
    commit = insist(partial(_commit, api, repo, bundle, revision, staging, reporter, tried))
    prefix = "datasets/" if bundle.kind == "dataset" else ""
    return {"url": f"{api.endpoint}/{prefix}{repo}", "changed": tried, "commit": commit}


def _opened(api: Any, bundle: Bundle, private: bool, revision: str | None) -> str:
    """Find the repository and the branch, or create them; give the name it has by now."""
    repo, kind = bundle.repo, bundle.kind
    found = existing(api, repo, kind, private)
    if found is None:
        api.create_repo(repo, repo_type=kind, private=private or None, exist_ok=True)
    else:
        repo = found.id
    if revision and not revision.startswith("refs/"):
        api.create_branch(repo, branch=revision, repo_type=kind, exist_ok=True)
    return str(repo)


def _commit(
    api: Any,
    repo: str,
    bundle: Bundle,
    revision: str | None,
    staging: Path,
    reporter: Reporter,
    tried: list[str],
) -> str | None:
    """Commit what the head of the branch lacks, on that head and no other; note the paths in `tried`."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    place = {"repo_id": repo, "repo_type": bundle.kind}
    head = api.repo_info(**place, revision=revision, files_metadata=True)
    there = {file.rfilename: file for file in head.siblings or []}
    contents: dict[str, Path | bytes] = dict(bundle.files)
    if bundle.card and README in there:
        old = api.hf_hub_download(**place, filename=README, revision=head.sha, cache_dir=staging)
        contents[README] = merged_card(bundle.card, bundle.configs, Path(old).read_text()).encode()
    new = [path for path, content in contents.items() if not _same(content, there.get(path))]
    folders = {config.name for config in bundle.configs}
    stale = [
        path
        for path in there
        if path.split("/")[0] in folders and path.endswith(".parquet") and path not in contents
    ]
    if not new and not stale:  # where a commit was tried before, it landed and only its answer was lost
        return head.sha if tried else None
    tried[:] = new + stale
    adds = [CommitOperationAdd(path, contents[path]) for path in new]
    with reporter.bar(f"Uploading to {repo}", len(adds)) as advance:
        for add in adds:
            api.preupload_lfs_files(**place, additions=[add], revision=revision, free_memory=False)
            advance(1)
    landed = api.create_commit(
        **place,
        operations=[*adds, *(CommitOperationDelete(path) for path in stale)],
        commit_message=f"Upload with minerkit {minerkit.__version__}",
        revision=revision,
        parent_commit=head.sha,
    )
    return str(landed.oid)


def _same(content: Path | bytes, there: Any) -> bool:
    """Compare with a file on the Hub, which knows large ones by SHA-256 and the others by git's SHA-1."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if there is None or size != there.size:
        return False
    if there.lfs is not None and isinstance(content, Path):
        return bool(sha256(content) == there.lfs.sha256)
    plain = content if isinstance(content, bytes) else content.read_bytes()
    return bool(hashlib.sha1(b"blob %d\0" % size + plain).hexdigest() == there.blob_id)


@contextmanager
def _staging(run: Run) -> Iterator[Path]:
    """Give an empty folder on the run's disk; what a killed push left there goes first."""
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
def _clients_silenced() -> Iterator[None]:
    """Keep the bars and warnings of the clients off stderr."""
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
