"""A small Hugging Face Hub: enough of its protocol for the real huggingface_hub and datasets.

`python tests/support/hub_server.py FOLDER [PORT]` serves what FOLDER holds and prints its address. Large
files come by LFS, or by Xet where the client chooses so (into hf-xet's own `local://` store). Under /_test,
tests look inside and inject faults.
"""

import json
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from hub_store import Refusal, Store, at

#: Token to namespaces its owner may write in: the owner's, and those of organisations.
TOKENS = {"hf_TokenOfUser": ["user", "sentence-transformers"], "hf_TokenOfOther": ["other"]}
TOKENS["hf_TokenToRead"] = ["user"]
LARGE = re.compile(r"\.(parquet|safetensors|bin)$")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store
    faults: list[dict] = []  # noqa: RUF012
    log: list[str] = []  # noqa: RUF012
    served: list[str] = []  # noqa: RUF012

    def answer(self) -> None:
        url = urlsplit(self.path)
        self.query, self.base = parse_qs(url.query), f"http://{self.headers['Host']}"
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"".join(self.chunks())
        self.token = token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.names = TOKENS.get(token, [])
        request = f"{self.command} {url.path}"
        try:
            if url.path.startswith("/_test/"):
                return self.reply(getattr(self, f"test_{url.path[7:]}")())
            self.log.append(request)
            fault = self.fault(request)
            if fault == "drop":
                return self.cut()
            if fault == "html":  # as a proxy in front of the Hub answers
                return self.reply(b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}, 502)
            if isinstance(fault, int):
                raise Refusal(fault, message=f"injected {fault}")
            if isinstance(fault, float):
                time.sleep(fault)
            if fault == "overtake":
                self.wait_for_another(request)
            if token and not self.names:
                raise Refusal(401, message="Invalid credentials in Authorization header")
            answered = self.serve(url.path)
            self.served.append(request)
            if fault == "lose":  # done, but the client never hears of it
                return self.cut()
            self.reply(*answered) if isinstance(answered, tuple) else self.reply(answered)
        except Refusal as refusal:
            self.reply(refusal.body, refusal.headers, refusal.status)

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def serve(self, path: str) -> object:
        for methods, pattern, function in ROUTES:
            if self.command in methods and (found := re.fullmatch(pattern, path)):
                return function(self, **found.groupdict())
        raise Refusal(404, "EntryNotFound", f"no route {self.command} {path}")

    def reply(self, body: object, headers: dict | None = None, status: int = 200) -> None:
        content, headers = body if isinstance(body, bytes) else json.dumps(body).encode(), dict(headers or {})
        total, asked = len(content), re.match(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if content and asked:
            start = int(asked[1]) if asked[1] else max(0, total - int(asked[2]))
            content = content[start : int(asked[2]) + 1 if asked[1] and asked[2] else None]
            status, headers["Content-Range"] = 206, f"bytes {start}-{start + len(content) - 1}/{total}"
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def chunks(self):
        while "chunked" in self.headers.get("Transfer-Encoding", "") and (
            n := int(self.rfile.readline(), 16)
        ):
            yield self.rfile.read(n)
            self.rfile.readline()

    def cut(self) -> None:
        self.close_connection = True
        self.connection.close()

    def fault(self, request: str) -> object:
        with self.store.lock:
            for fault in self.faults:
                if fault["times"] and re.search(fault["request"], request):
                    if fault["skip"]:
                        fault["skip"] -= 1
                        continue
                    fault["times"] -= 1
                    return fault["action"]
        return None

    def wait_for_another(self, request: str) -> None:
        """Wait until the same request of another client has been served."""
        before, until = self.served.count(request), time.monotonic() + 300
        while self.served.count(request) == before and time.monotonic() < until:
            time.sleep(0.01)

    def repo(self, kind: str, name: str, write: bool = False) -> dict:
        """A repository, if the user of this request may see it, or write to it."""
        repo, own = self.store.load(kind, name), name.split("/")[0] in self.names
        if repo["private"] and not own:
            raise Refusal(404 if self.names else 401, "RepoNotFound", "Repository not found")
        if write and not own:
            raise Refusal(403 if self.names else 401, message="You have no write access")
        return repo

    def log_message(self, *_: object) -> None:
        pass

    def test_faults(self) -> object:
        left = [fault for fault in self.faults if fault["times"]]
        self.faults[:] = json.loads(self.body)
        return left

    def test_log(self) -> object:
        return self.log

    def test_repo(self) -> object:
        return self.store.load(self.query["kind"][0], self.query["name"][0])


def create(hub: Handler) -> object:
    asked = json.loads(hub.body)
    owner, kind = asked["organization"] or hub.names[0], f"{asked.get('type', 'model')}s"
    name = f"{owner}/{asked['name']}"
    url = {"url": f"{hub.base}/{'datasets/' if kind == 'datasets' else ''}{name}"}
    if owner not in hub.names:
        refused = "You don't have the rights to create a repository under this namespace"
        raise Refusal(403 if hub.names else 401, message=refused)
    try:
        hub.store.create(kind, name, asked.get("visibility") == "private")
    except Refusal as refusal:
        refusal.body |= url
        raise
    return url


def info(hub: Handler, kind: str, name: str, rev: str = "main") -> object:
    repo = hub.repo(kind, name)
    oid, files = at(repo, rev)
    siblings = [
        {"rfilename": path, "blobId": file["oid"], **described(path, file)} for path, file in files.items()
    ]
    return {"id": name, "sha": oid, "siblings": siblings, "private": repo["private"], "tags": []}


def described(path: str, file: dict) -> dict:
    """A file as trees and path queries list it."""
    sha, size = file["sha256"], file["size"]
    large = {"lfs": {"oid": sha, "sha256": sha, "size": size, "pointerSize": 134}} if "lfs" in file else {}
    xet = {"xetHash": file["xet"]} if file.get("xet") else {}
    return {"type": "file", "path": path, "size": size, "oid": file["oid"], **large, **xet}


def tree(hub: Handler, kind: str, name: str, rev: str, sub: str = "") -> object:
    _, files = at(hub.repo(kind, name), rev)
    head = f"{unquote(sub)}/" if sub else ""
    inside = {path: file for path, file in files.items() if path.startswith(head)}
    if sub and not inside:
        raise Refusal(404, "EntryNotFound", f"{sub} does not exist")
    folders = {path[: slash.start()] for path in inside for slash in re.finditer("/", path)}
    found = [
        {"type": "directory", "path": path, "size": 0, "oid": "0" * 40}
        for path in sorted(folders)
        if path.startswith(head)
    ]
    found += [described(path, file) for path, file in inside.items()]
    deep = hub.query.get("recursive", ["false"])[0].lower() in ("true", "1")
    return [entry for entry in found if deep or "/" not in entry["path"][len(head) :]]


def paths_info(hub: Handler, kind: str, name: str, rev: str) -> object:
    _, files = at(hub.repo(kind, name), rev)
    form = parse_qs(hub.body.decode())
    wanted = form["paths"] if form else json.loads(hub.body)["paths"]
    return [described(path, files[path]) for path in wanted if path in files]


def resolve(hub: Handler, name: str, rev: str, path: str, kind: str | None = None) -> object:
    kind = "datasets" if kind else "models"
    oid, files = at(hub.repo(kind, name), rev)
    file = files.get(unquote(path))
    if file is None:
        raise Refusal(404, "EntryNotFound", "Entry not found")
    etag = f'"{file["sha256"] if "lfs" in file else file["oid"]}"'
    headers = {"X-Repo-Commit": oid, "ETag": etag, "Accept-Ranges": "bytes"}
    if "lfs" in file:
        headers |= {"X-Linked-Size": file["size"], "X-Linked-ETag": etag}
    if file.get("xet"):
        route = f"{hub.base}/api/{kind}/{name}/xet-read-token/{oid}"
        headers |= {"X-Xet-Hash": file["xet"], "X-Xet-Refresh-Route": route}
    if hub.command == "HEAD":
        return b"", headers | {"Content-Length": file["size"]}
    return hub.store.content(kind, name, file), headers


def preupload(hub: Handler, kind: str, name: str, rev: str) -> object:
    _, files = at(hub.repo(kind, name, write=True), rev)
    answers = []
    for asked in json.loads(hub.body)["files"]:
        known = files.get(asked["path"])
        answers.append(
            {
                "path": asked["path"],
                "uploadMode": "lfs" if LARGE.search(asked["path"]) or asked["size"] > 10**7 else "regular",
                "shouldIgnore": False,
                **({"oid": known["sha256" if "lfs" in known else "oid"]} if known else {}),
            }
        )
    return {"files": answers}


def batch(hub: Handler, name: str, kind: str | None = None) -> object:
    kind = "datasets" if kind else "models"
    hub.repo(kind, name, write=True)
    objects = json.loads(hub.body)["objects"]
    for asked in objects:
        if not hub.store.has(kind, name, asked["oid"]):
            place = f"{hub.base}/_lfs/{kind}/{name}"
            hrefs = {"upload": f"{place}/{asked['oid']}", "verify": f"{place}/verify"}
            asked["actions"] = {action: {"href": href} for action, href in hrefs.items()}
    return {"transfer": "basic", "objects": objects}


def upload(hub: Handler, kind: str, name: str, oid: str) -> object:
    if hub.store.put(kind, name, hub.body) != oid:
        raise Refusal(400, message="the content does not match its hash")
    return {}


def verify(hub: Handler, kind: str, name: str) -> object:
    if not hub.store.has(kind, name, json.loads(hub.body)["oid"]):
        raise Refusal(400, message="the object is missing")
    return {}


def xet_token(hub: Handler, kind: str, name: str, mode: str, rev: str) -> object:
    hub.repo(kind, name, write=mode == "write")
    url, until = hub.store.xet, int(time.time()) + 3600
    names = {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": until}
    return {"casUrl": url, "accessToken": "xet", "exp": until}, names


def commit(hub: Handler, kind: str, name: str, rev: str) -> object:
    hub.repo(kind, name, write=True)
    oid = hub.store.commit(kind, name, unquote(rev), [json.loads(line) for line in hub.body.splitlines()])
    return {"success": True, "commitOid": oid, "commitUrl": f"{hub.base}/{kind}/{name}/commit/{oid}"}


def branch(hub: Handler, kind: str, name: str, rev: str) -> object:
    hub.repo(kind, name, write=True)
    hub.store.branch(kind, name, unquote(rev))
    return {}


def refs(hub: Handler, kind: str, name: str) -> object:
    heads = hub.repo(kind, name)["branches"].items()
    known = [{"name": key, "ref": f"refs/heads/{key}", "targetCommit": oid} for key, oid in heads]
    return {"branches": known, "tags": [], "converts": []}


def whoami(hub: Handler) -> object:
    if not hub.names:
        raise Refusal(401, message="Invalid username or password.")
    role = "read" if hub.token == "hf_TokenToRead" else "write"
    auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": role}}
    orgs = [{"name": name} for name in hub.names[1:]]
    return {"type": "user", "name": hub.names[0], "orgs": orgs, "auth": auth}


def validate_yaml(hub: Handler) -> object:
    head = re.match(r"---\n(.*?)\n---\s", json.loads(hub.body)["content"], re.DOTALL)
    try:
        faults = [] if head and isinstance(yaml.safe_load(head[1]), dict) else ["no metadata"]
    except yaml.YAMLError as error:
        faults = [str(error)]
    if faults:
        raise Refusal(400, errors=[{"message": fault} for fault in faults], warnings=[])
    return {"errors": [], "warnings": []}


NAME = r"/(?P<kind>datasets|models)/(?P<name>[^/]+/[^/]+)"
API = "/api" + NAME
FILES = r"/(?P<kind>datasets/)?(?P<name>[^/]+/[^/]+)"
REV = r"/(?P<rev>[^/]+)"
ROUTES = [
    ({"POST"}, r"/api/repos/create", create),
    ({"GET"}, API, info),
    ({"GET"}, API + "/revision" + REV, info),
    ({"GET"}, API + "/tree" + REV, tree),
    ({"GET"}, API + "/tree" + REV + "/(?P<sub>.+)", tree),
    ({"POST"}, API + "/paths-info" + REV, paths_info),
    ({"GET", "HEAD"}, FILES + "/resolve" + REV + "/(?P<path>.+)", resolve),
    ({"POST"}, API + "/preupload" + REV, preupload),
    ({"POST"}, FILES + r"\.git/info/lfs/objects/batch", batch),
    ({"PUT"}, f"/_lfs{NAME}/(?P<oid>[0-9a-f]{{64}})", upload),
    ({"POST"}, f"/_lfs{NAME}/verify", verify),
    ({"GET"}, API + "/xet-(?P<mode>read|write)-token" + REV, xet_token),
    ({"POST"}, API + "/commit" + REV, commit),
    ({"POST"}, API + "/branch" + REV, branch),
    ({"GET"}, API + "/refs", refs),
    ({"GET"}, r"/api/whoami-v2", whoami),
    ({"POST"}, r"/api/validate-yaml", validate_yaml),
]


if __name__ == "__main__":
    Handler.store = Store(Path(sys.argv[1]).resolve())
    server = ThreadingHTTPServer(("127.0.0.1", int((sys.argv[2:] or ["0"])[0])), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
