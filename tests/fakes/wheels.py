"""The project's wheel, and a machine on which nothing but it and its core dependencies is installed."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
# Whoever opens a connection on that machine, or looks up a name, fails.
NO_NETWORK = """
import socket

def refused(*_args, **_named):
    raise OSError("there is no network here")

socket.socket.connect = socket.socket.connect_ex = refused
socket.getaddrinfo = socket.create_connection = refused
"""


def build_wheel(folder: Path) -> Path:
    """Build the wheel of what git tracks or would track, so that local leftovers cannot hide or add a root."""
    copy = folder / "source"
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(copy)]
    subprocess.run(build, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def bare_machine(folder: Path, wheel: Path) -> Path:
    """Make an environment of the wheel and its core dependencies, without a network; return its Python."""
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    site = next(folder.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as content:
        content.extractall(site)
    installed = Distribution.at(next(site.glob("did_agent-*.dist-info")))
    for found in _core(installed, {}).values():
        for top in {Path(str(file)).parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            source = Path(str(found.locate_file(top)))
            if source.exists() and not (site / top).exists():
                (site / top).symlink_to(source)
    (site / "sitecustomize.py").write_text(NO_NETWORK)
    return python


def _core(wanted: Distribution, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """Return what a distribution needs, and what that needs, without any extra."""
    for text in wanted.requires or ():
        need = Requirement(text)
        if need.name in found or (need.marker is not None and not need.marker.evaluate({"extra": ""})):
            continue
        try:
            found[need.name] = distribution(need.name)
        except PackageNotFoundError:
            continue  # of another platform
        _core(found[need.name], found)
    return found
