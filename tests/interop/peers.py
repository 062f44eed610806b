"""Peers on Node, installed once into a cache folder outside the repository and asked line by line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from did_agent.credential.context import CAPABILITY_CONTEXT, capability_context_document

HERE: Final = Path(__file__).parent
CONTEXTS: Final = Path(os.environ.get("DID_AGENT_SHARED", HERE.parents[2] / "shared")) / "contexts"
CACHE: Final = Path(os.environ.get("DID_AGENT_NPM_CACHE", Path.home() / ".cache" / "did-agent-interop"))
INSTALL_SECONDS: Final = 600


class PeerRefusedError(Exception):
    """The peer did not do what it was asked."""


class Peer:
    """One script in a process of its own."""

    def __init__(self, folder: Path, script: str) -> None:
        own = folder / "node_modules" / ".bin" / "node"
        node = str(own) if own.exists() else shutil.which("node")
        self._errors = (folder / f"{script}.log").open("w+")
        self._process = subprocess.Popen(
            [str(node), script, "world.json"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def ask(self, op: str, **request: Any) -> Any:
        """Return the peer's answer.

        Raises: PeerRefusedError.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"op": op, **request}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise AssertionError(f"the peer has ended: {self._errors.read()[-2_000:]}")
        reply = json.loads(line)
        if "error" in reply:
            raise PeerRefusedError(reply["error"])
        return reply["value"]

    def end(self) -> None:
        """Stop the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


def missing() -> str | None:
    """Return why no peer can run here, or None."""
    absent = [program for program in ("node", "npm") if shutil.which(program) is None]
    return f"{' and '.join(absent)} not installed" if absent else None


def install() -> Path:
    """Install the peers unless these very versions are there, and return their folder."""
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "package.json").read_text("utf-8")
    done = CACHE / ".installed"
    if not done.exists() or done.read_text("utf-8") != wanted:
        (CACHE / "package.json").write_text(wanted, "utf-8")
        npm = str(shutil.which("npm"))
        made = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--no-package-lock"],
            cwd=CACHE,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        assert made.returncode == 0, made.stderr[-2_000:]
        done.write_text(wanted, "utf-8")
    for script in HERE.joinpath("node").glob("*.mjs"):
        shutil.copy(script, CACHE)
    world = {"contexts": contexts() if CONTEXTS.is_dir() else {}}
    (CACHE / "world.json").write_text(json.dumps(world), "utf-8")
    return CACHE


def contexts() -> dict[str, Any]:
    """Return the contexts by address: the published ones, and ours."""
    found: dict[str, Any] = {CAPABILITY_CONTEXT: capability_context_document()}
    for entry in json.loads((CONTEXTS / "index.json").read_text("utf-8"))["contexts"]:
        found[entry["url"]] = json.loads((CONTEXTS / entry["file"]).read_text("utf-8"))
    return found
