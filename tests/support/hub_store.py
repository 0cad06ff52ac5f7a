"""What the Hub of the tests keeps, in a folder: repositories as JSON files, contents as blobs."""

import base64
import hashlib
import json
import struct
import threading
from pathlib import Path
from urllib.parse import unquote


class Refusal(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, code: str = "", message: str = "", **body: object):
        self.status, self.body = status, {"error": message or code, **body}
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        self.headers = {name: value for name, value in headers.items() if value}


class Store:
    """Repositories with branches and commits; a commit holds the whole list of its files."""

    def __init__(self, folder: Path):
        self.folder, self.lock = folder, threading.RLock()
        self.xet = f"local://{folder / 'xet'}"

    def _home(self, kind: str, name: str) -> Path:
        return self.folder / kind / name

    def load(self, kind: str, name: str) -> dict:
        if not (self._home(kind, name) / "repo.json").is_file():
            raise Refusal(404, "RepoNotFound", "Repository not found")
        return json.loads((self._home(kind, name) / "repo.json").read_text())

    def _save(self, kind: str, name: str, repo: dict) -> None:
        part = self._home(kind, name) / "repo.part"
        part.write_text(json.dumps(repo, indent=1))
        part.replace(part.with_suffix(".json"))

    def create(self, kind: str, name: str, private: bool) -> None:
        with self.lock:
            if self._home(kind, name).is_dir():
                raise Refusal(409, message="You already created this repo")
            (self._home(kind, name) / "blobs").mkdir(parents=True)
            repo: dict = {"private": private, "branches": {}, "commits": {}}
            first = self._regular(kind, name, b"*.parquet filter=lfs\n")
            _append(repo, "main", "initial commit", {".gitattributes": first})
            self._save(kind, name, repo)

    def branch(self, kind: str, name: str, branch: str) -> None:
        with self.lock:
            repo = self.load(kind, name)
            if branch in repo["branches"]:
                raise Refusal(409, message="Reference already exists")
            repo["branches"][branch] = repo["branches"]["main"]
            self._save(kind, name, repo)

    def commit(self, kind: str, name: str, branch: str, lines: list[dict]) -> str:
        """Apply the lines of a commit request to the head of a branch, if it is the parent they name."""
        header, xet = lines[0]["value"], self._xet_hashes()
        with self.lock:
            repo = self.load(kind, name)
            head, files = at(repo, branch)
            if header.get("parentCommit", head) != head:
                raise Refusal(412, message="A commit has happened since. Please refresh and try again.")
            for line in lines[1:]:
                path = line["value"]["path"]
                if line["key"] == "file":
                    files[path] = self._regular(kind, name, base64.b64decode(line["value"]["content"]))
                elif line["key"] == "lfsFile":
                    files[path] = self._large(kind, name, line["value"]["oid"], line["value"]["size"], xet)
                else:  # deletedFile, deletedFolder
                    gone = [known for known in files if f"{known}/".startswith(path.rstrip("/") + "/")]
                    if not gone:
                        raise Refusal(404, "EntryNotFound", "A file with this name doesn't exist")
                    files = {known: file for known, file in files.items() if known not in gone}
            oid = _append(repo, branch, header["summary"], dict(sorted(files.items())))
            self._save(kind, name, repo)
        return oid

    def has(self, kind: str, name: str, sha: str) -> bool:
        return (self._home(kind, name) / "blobs" / sha).is_file()

    def put(self, kind: str, name: str, content: bytes) -> str:
        sha = hashlib.sha256(content).hexdigest()
        part = self._home(kind, name) / "blobs" / f"{sha}.{threading.get_ident()}"
        part.write_bytes(content)
        part.replace(part.with_suffix(""))
        return sha

    def content(self, kind: str, name: str, file: dict) -> bytes:
        blob = self._home(kind, name) / "blobs" / file["sha256"]
        with self.lock:
            if not blob.is_file():  # it came by Xet
                import hf_xet

                part = blob.with_suffix(".part")
                with hf_xet.XetSession().new_file_download_group(endpoint=self.xet) as group:
                    group.start_download_file(hf_xet.XetFileInfo(file["xet"], file["size"]), str(part))
                part.replace(blob)
        return blob.read_bytes()

    def _regular(self, kind: str, name: str, content: bytes) -> dict:
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return {"oid": oid, "size": len(content), "sha256": self.put(kind, name, content)}

    def _large(self, kind: str, name: str, sha: str, size: int, xet: dict[str, str]) -> dict:
        if sha not in xet and not self.has(kind, name, sha):
            raise Refusal(400, message=f"object {sha} was never uploaded")
        pointer = hashlib.sha1(sha.encode()).hexdigest()
        return {"oid": pointer, "size": size, "sha256": sha, "lfs": True, "xet": xet.get(sha)}

    def _xet_hashes(self) -> dict[str, str]:
        """SHA-256 to Xet hash of everything uploaded, from the file sections of the shards."""
        found = {}
        for shard in (self.folder / "xet").rglob("shards/*.mdb"):
            data, place = shard.read_bytes(), 48
            while (name := data[place : place + 32]) != b"\xff" * 32:
                flags, entries = struct.unpack_from("<II", data, place + 32)
                place += 48 * (
                    1 + entries + entries * (flags >> 31 & 1)
                )  # the header, segments, verification
                if flags >> 30 & 1:
                    found[_hex(data[place : place + 32])] = _hex(name)
                    place += 48
        return found


def _hex(digest: bytes) -> str:
    """A hash as Xet writes it: four little-endian words."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", digest))


def _append(repo: dict, branch: str, title: str, files: dict) -> str:
    parent = repo["branches"].get(branch)
    oid = hashlib.sha1(json.dumps([parent, title, files, len(repo["commits"])]).encode()).hexdigest()
    repo["commits"][oid] = {"parent": parent, "title": title, "files": files}
    repo["branches"][branch] = oid
    return oid


def at(repo: dict, revision: str) -> tuple[str, dict]:
    """The commit that a branch or an id names, and its files."""
    oid = repo["branches"].get(unquote(revision), unquote(revision))
    if oid not in repo["commits"]:
        raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return oid, dict(repo["commits"][oid]["files"])
