"""The peers of a test session, one process each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.peers import CONTEXTS, Peer, install, missing


@pytest.fixture(scope="session")
def peers() -> Path:
    """The folder with everything installed; without Node only a developer's machine may go on."""
    reason = missing()
    if reason is not None and os.environ.get("CI"):
        pytest.fail(reason)
    if reason is not None:
        pytest.skip(reason)
    return install()


@pytest.fixture(scope="session")
def data_integrity(peers: Path) -> Iterator[Peer]:
    """@digitalbazaar/vc, which needs the contexts."""
    if not CONTEXTS.is_dir():
        pytest.skip(f"no contexts at {CONTEXTS}; set DID_AGENT_SHARED to the folder that holds them")
    yield from _running(peers, "data_integrity.mjs")


@pytest.fixture(scope="session")
def jose(peers: Path) -> Iterator[Peer]:
    """Jose and did-jwt-vc."""
    yield from _running(peers, "jose.mjs")


@pytest.fixture(scope="session")
def sd_jwt(peers: Path) -> Iterator[Peer]:
    """@sd-jwt/sd-jwt-vc."""
    yield from _running(peers, "sd_jwt.mjs")


def _running(folder: Path, script: str) -> Iterator[Peer]:
    peer = Peer(folder, script)
    yield peer
    peer.end()
