"""A Hub in a process of its own, and clients of it in theirs, as the tests see them."""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

TOKEN = "hf_TokenOfUser"
#: Runs lines of Python, each a JSON string; answers with what they leave in `result`, or the error.
LOOP = """
import json, sys
names = {}
for line in sys.stdin:
    names["result"] = None
    try:
        exec(json.loads(line), names)
        print(json.dumps({"result": names["result"]}), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
"""


class Hub:
    """Starts tests/support/hub_server.py; asks it what it holds, and makes it fail."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, "0"
        self.start()

    def start(self) -> None:
        command = [
            sys.executable,
            str(Path(__file__).with_name("hub_server.py")),
            str(self.folder),
            self.port,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        self.port = self.url.rpartition(":")[2]

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()

    def environment(self, home: Path, token: str | None = TOKEN, xet: bool = False) -> dict[str, str]:
        """The environment of a client: huggingface_hub reads HF_ENDPOINT when it is imported."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        named = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "0" if xet else "1"}
        return {**kept, **named, **({"HF_TOKEN": token} if token else {})}

    def fail(self, request: str, action: int | float | str, times: int = 1, skip: int = 0) -> None:
        """Answer matching requests, but for the first few, with a status, late (a float: seconds), or not.

        `drop` cuts the connection before anything is done, `lose` after it is done; `html` answers as a
        proxy does; `overtake` answers when the same request of another client was served. One fault at a
        time.
        """
        fault = {"request": request, "action": action, "times": times, "skip": skip}
        self._ask("faults", json.dumps([fault]).encode())

    def heal(self) -> list[dict]:
        """Take the faults back; give those that never happened."""
        return self._ask("faults", b"[]")

    def requests(self, pattern: str = "", since: int = 0) -> list[str]:
        """The requests so far, from a number on, that match."""
        return [request for request in self._ask("log")[since:] if re.search(pattern, request)]

    def commits(self, name: str, kind: str = "datasets") -> list[str]:
        """The titles of the commits of main, the latest first."""
        repo = self._ask(f"repo?kind={kind}&name={name}")
        oid, titles = repo["branches"]["main"], []
        while oid:
            titles.append(repo["commits"][oid]["title"])
            oid = repo["commits"][oid]["parent"]
        return titles

    def files(self, name: str, kind: str = "datasets", branch: str = "main") -> dict[str, str]:
        """Path to SHA-256 of the content, but for .gitattributes."""
        repo = self._ask(f"repo?kind={kind}&name={name}")
        files = repo["commits"][repo["branches"][branch]]["files"]
        return {path: file["sha256"] for path, file in files.items() if path != ".gitattributes"}

    def _ask(self, what: str, body: bytes | None = None):
        with urllib.request.urlopen(f"{self.url}/_test/{what}", body) as answer:
            return json.load(answer)


class Client:
    """A Python process with the environment of a client, to do many things with one start."""

    def __init__(self, environment: dict[str, str]):
        command = [sys.executable, "-c", LOOP]
        self.stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.stderr}
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)

    def __call__(self, code: str):
        """Run code and give what it leaves in `result`; an error of it as a string in a RuntimeError."""
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def written(self) -> str:
        """What it has written to stderr."""
        self.stderr.seek(0)
        return self.stderr.read()

    def stop(self) -> None:
        self.process.communicate()
        self.stderr.close()
