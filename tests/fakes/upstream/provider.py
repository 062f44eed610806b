"""A real OpenID provider to sign in at: npm's `oidc-provider` on loopback, with two people and a `groups` claim.

In a conftest or a test module:

    from tests.fakes.upstream.provider import Upstream, upstream_provider

    @pytest.fixture(scope="session")
    def upstream() -> Iterator[Upstream]:
        with upstream_provider(redirect_uris=("http://127.0.0.1:8400/login/upstream/callback",)) as started:
            yield started

`upstream.issuer`, `.client_id` and `.client_secret` are what the relying party is configured with; the discovery
document is at `{issuer}/.well-known/openid-configuration`.  It demands PKCE (S256) and offers code and refresh grants,
the scopes openid, profile, email, groups and offline_access, and RS256 ID tokens that carry all claims themselves.  It
sends `iss` with its authorization responses.  `authorize` sends a browser to a page with the fields `#username` and
`#password`, a button "Sign in" and a button "Cancel" (which answers `access_denied`); no consent page follows.  The
people are `ALICE` and `BOB`.  Its state is in memory: a session ends with the process.
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.fakes.node_packages import environment, installed, node

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamPerson:
    """Somebody who can sign in at the provider."""

    username: str
    password: str
    subject: str
    name: str
    groups: tuple[str, ...]


ALICE: Final = UpstreamPerson(
    username="alice",
    password="alice upstream",
    subject="upstream|alice",
    name="Alice Upstream",
    groups=("kitchen", "managers"),
)
BOB: Final = UpstreamPerson(
    username="bob", password="bob upstream", subject="upstream|bob", name="Bob Upstream", groups=("couriers",)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A running provider, and the one client registered there."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    port: int


@contextmanager
def upstream_provider(
    *,
    redirect_uris: Sequence[str],
    post_logout_redirect_uris: Sequence[str] = (),
    client_id: str = "did-agent-bridge",
    token_endpoint_auth_method: str = "client_secret_basic",
) -> Iterator[Upstream]:
    """Run the provider while the block runs; its one client may be sent back to `redirect_uris`."""
    folder = installed("upstream", HERE / "package.json")
    shutil.copy(HERE / "provider.mjs", folder)
    given = {
        "port": _free_port(),
        "client_id": client_id,
        "client_secret": secrets.token_urlsafe(32),
        "redirect_uris": list(redirect_uris),
        "post_logout_redirect_uris": list(post_logout_redirect_uris),
        "token_endpoint_auth_method": token_endpoint_auth_method,
    }
    with (folder / f"provider-{given['port']}.log").open("w+") as log:
        process = subprocess.Popen(
            [node(), "provider.mjs", json.dumps(given)],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (folder / f"provider-{given['port']}.log").read_text()
            yield Upstream(
                issuer=json.loads(line)["issuer"],
                client_id=client_id,
                client_secret=str(given["client_secret"]),
                port=int(str(given["port"])),
            )
        finally:
            process.kill()
            process.communicate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
