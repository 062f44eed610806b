"""Collects every secret that travels through a deployment, and finds those that stayed where none belongs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from did_agent.adapters.keystore import load_any_key

MARK = "canary"
SHORTEST = 12  # characters; shorter ones would be found by chance
HEADERS = ("authorization", "dpop", "cookie", "x-api-key", "proxy-authorization")
FIELDS = frozenset(
    {
        "access_token", "refresh_token", "subject_token", "actor_token", "id_token", "assertion", "client_assertion",
        "code", "code_verifier", "password", "client_secret", "secret", "token", "csrf_token", "proofValue", "vp",
        "registration_access_token", "private_key", "passphrase", "possession", "attestation",
    }
)  # fmt: skip


@dataclass(slots=True)
class Canaries:
    """Secrets by the class they are of, and the answers that refused something."""

    secrets: dict[str, set[str]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)

    def add(self, kind: str, *values: object) -> None:
        for value in values:
            if isinstance(value, str) and len(value) >= SHORTEST:
                self.secrets.setdefault(kind, set()).add(value)

    def marked(self, kind: str) -> str:
        """Return a new secret that can be told from anything else."""
        made = f"{MARK}-{kind}-7f3a9c51e8d2"
        self.add(kind, made)
        return made

    def add_keys(self, folder: Path) -> None:
        for path in folder.rglob("*.jwk"):
            key: Any = load_any_key(path)
            seed = key.seed()
            self.add("key", seed.hex(), base64.urlsafe_b64encode(seed).rstrip(b"=").decode())
            self.add("key", base64.b64encode(seed).decode())

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """Look into every request that any program of this process sends."""
        real = httpx2.AsyncHTTPTransport.handle_async_request

        async def looked(transport: Any, request: httpx2.Request) -> httpx2.Response:
            await request.aread()
            self._sent(request)
            answer = await real(transport, request)
            if "text/event-stream" in answer.headers.get("content-type", ""):
                return answer
            body = await answer.aread()
            self._came(answer, body)
            headers = [pair for pair in answer.headers.raw if pair[0].lower() != b"transfer-encoding"]
            return httpx2.Response(answer.status_code, headers=headers, stream=httpx2.ByteStream(body))

        patch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", looked)

    def _sent(self, request: httpx2.Request) -> None:
        for name in HEADERS:
            for value in request.headers.get_list(name):
                self.add(name, value.rpartition(" ")[2], *(pair.partition("=")[2] for pair in value.split("; ")))
        for name, value in (*parse_qsl(urlsplit(str(request.url)).query), *_form(request)):
            if name in FIELDS:
                self.add(name, value)
        self._members(_json(request.content))

    def _came(self, answer: httpx2.Response, body: bytes) -> None:
        for cookie in answer.headers.get_list("set-cookie"):
            self.add("cookie", cookie.partition("=")[2].partition(";")[0])
        for name, value in parse_qsl(urlsplit(answer.headers.get("location", "")).query):
            if name in FIELDS:
                self.add(name, value)
        # The token of a form is for whoever is shown the form.
        text = re.sub(r'name="csrf_token" value="[^"]*"', "", body.decode("utf-8", errors="replace"))
        if answer.status_code >= 400:
            self.refusals.append(text + str(answer.headers))
        elif "text/html" in answer.headers.get("content-type", ""):
            self.pages.append(text)
        else:
            self._members(_json(body), came=True)

    def _members(self, value: object, *, came: bool = False) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                # What an issuer signs is no secret; what a holder signs to show it opens a door once.
                is_proof = name == "proofValue" and (came or value.get("proofPurpose") != "authentication")
                if name in FIELDS and not is_proof:
                    self.add(name, inner)
                self._members(inner, came=came)
        elif isinstance(value, list):
            for inner in value:
                self._members(inner, came=came)

    def found_in(self, where: str, content: bytes | str) -> Iterator[tuple[str, str, str]]:
        """Yield each secret that is in some content: where, of which class, and how it begins."""
        text = content if isinstance(content, str) else content.decode("latin-1")
        for kind, values in self.secrets.items():
            for value in values:
                # Of a signed token the signature alone makes it worth anything.
                parts = [value, *(value.split(".")[2:] if value.count(".") == 2 else ())]
                if any(len(part) >= SHORTEST and part in text for part in parts):
                    yield where, kind, value[:24]


def _form(request: httpx2.Request) -> Iterable[tuple[str, str]]:
    if "form-urlencoded" not in request.headers.get("content-type", ""):
        return ()
    return parse_qsl(request.content.decode())


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None
