"""Peers: installed into a cache folder outside the repository, started once each, asked round by round."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

SOURCE: Final = Path(__file__).parent / "peers"
CACHE: Final = Path(os.environ.get("DID_AGENT_BENCH_CACHE", Path.home() / ".cache" / "did-agent-bench"))
INSTALL_SECONDS: Final = 900

# A folder each, so that one that cannot be installed leaves the others alone; versions are those of package.json.
RUNTIME: Final = ("node",)
ON_NODE: Final = {  # name to packages
    "digitalbazaar": (
        "@digitalbazaar/data-integrity",
        "@digitalbazaar/did-method-key",
        "@digitalbazaar/ed25519-multikey",
        "@digitalbazaar/eddsa-jcs-2022-cryptosuite",
        "@digitalbazaar/eddsa-rdfc-2022-cryptosuite",
        "@digitalbazaar/vc",
        "jsonld-signatures",
    ),
    "did_jwt_vc": ("did-jwt", "did-jwt-vc", "did-resolver"),
    "credo": ("@credo-ts/core", "reflect-metadata", "rxjs"),
}
ON_PYTHON: Final = {  # name to requirement
    "aip": "agent-identity-protocol",
    "didkit": "didkit",
    "vouch": "vouch-protocol",
}

Times = Mapping[str, Mapping[str, float]]


class NotInstallableError(Exception):
    """The reason why a peer is not part of this run."""


class Peer:
    """A running peer."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._line()

    def ask(self, rounds: int) -> Times:
        """Return microseconds by measure.

        Raises: NotInstallableError when the peer has ended.
        """
        if self._process.stdin is None:
            raise NotInstallableError("ended")
        self._process.stdin.write(f"{rounds}\n")
        self._process.stdin.flush()
        times: Times = self._line()
        return times

    def end(self) -> None:
        """Stop the process."""
        self._process.kill()
        self._process.communicate()

    def _line(self) -> Any:
        if self._process.stdout is None:
            raise NotInstallableError("ended")
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate()
            said = [text for text in errors.strip().splitlines() if text.strip()]
            raise NotInstallableError(f"does not run: {(said or ['no word'])[-1][:300]}")
        return json.loads(line)


@contextmanager
def peers(material: str, *, wanted: bool) -> Iterator[tuple[dict[str, Peer], dict[str, str]]]:
    """Install and start all peers; yield those that run, and the reasons of the others.

    Where none is `wanted`, nothing is installed.
    """
    if not wanted:
        yield {}, {}
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    given = CACHE / "material.json"
    given.write_text(material, "utf-8")
    running: dict[str, Peer] = {}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        for name in (*ON_NODE, *ON_PYTHON):
            try:
                folder, program = _node(name) if name in ON_NODE else _python(name)
                running[name] = Peer([*program, str(given)], folder)
            except NotInstallableError as error:
                missing[name] = str(error)
            else:
                stack.callback(running[name].end)
        yield running, missing


def node_server(name: str, *packages: str) -> tuple[Path, str]:
    """Install packages and Node; return the folder they are in, with our scripts, and the program.

    Raises: NotInstallableError.
    """
    runtime, folder = CACHE / "node", CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    _npm(runtime, RUNTIME)
    _npm(folder, packages)
    for source in SOURCE.glob("*.mjs"):
        shutil.copy(source, folder)
    return folder, str(runtime / "node_modules" / ".bin" / "node")


def python_server(name: str, *packages: str) -> tuple[Path, str]:
    """Install packages into an environment of their own; return its folder, with our scripts, and its Python.

    Raises: NotInstallableError.
    """
    folder = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    _environment(folder, packages)
    return folder, str(folder / "bin" / "python")


def _node(name: str) -> tuple[Path, Sequence[str]]:
    """Install one peer, and Node itself, once for each state of their versions."""
    runtime, folder = CACHE / "node", CACHE / name
    _npm(runtime, RUNTIME)
    _npm(folder, ON_NODE[name])
    for source in SOURCE.glob("*.mjs"):
        shutil.copy(source, folder)
    return folder, (str(runtime / "node_modules" / ".bin" / "node"), f"{name}.mjs")


def _npm(folder: Path, packages: Sequence[str]) -> None:
    given = json.loads((SOURCE / "package.json").read_text("utf-8"))
    given["dependencies"] = {name: given["dependencies"][name] for name in packages}
    wanted, done = json.dumps(given), folder / ".installed"
    if done.exists() and done.read_text("utf-8") == wanted:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstallableError("npm is missing")
    folder.mkdir(exist_ok=True)
    (folder / "package.json").write_text(wanted, "utf-8")
    _run([npm, "install", "--no-audit", "--no-fund", "--no-package-lock"], folder)
    done.write_text(wanted, "utf-8")


def _python(name: str) -> tuple[Path, Sequence[str]]:
    """Install one peer into an environment of its own."""
    folder = CACHE / name
    _environment(folder, (ON_PYTHON[name],))
    return folder, (str(folder / "bin" / "python"), f"peer_{name}.py")


def _environment(folder: Path, packages: Sequence[str]) -> None:
    python, done = folder / "bin" / "python", folder / ".installed"
    listed = (SOURCE / "requirements.txt").read_text().splitlines()
    wanted = [line for line in listed if line.partition("==")[0] in packages]
    if not done.exists() or done.read_text() != "\n".join(wanted):
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], CACHE)
        _run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted], CACHE)
        done.write_text("\n".join(wanted))
    for source in (*SOURCE.glob("*.py"), SOURCE.parent / "timing.py"):
        shutil.copy(source, folder)


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).splitlines()
        said = [line for line in lines if "error" in line.lower() and " code " not in line]
        raise NotInstallableError((said or ["the installation failed"])[0][:300]) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstallableError(str(error)[:300]) from error
