"""`did-agent key …` and `did-agent did …`: make keys, show what they are, resolve DIDs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import click

from did_agent.adapters.keystore import load_any_key, write_private
from did_agent.cli.output import emit, grid, json_option
from did_agent.cli.sealing import seal, unseal
from did_agent.did.jwk import did_jwk
from did_agent.did.key import did_key, verification_method
from did_agent.errors import Misconfigured
from did_agent.keys.jwk import private_jwk, public_jwk, thumbprint
from did_agent.keys.multikey import encode_multikey, generate_key
from did_agent.keys.public import KeyKind, PublicKey

KINDS: Final[tuple[KeyKind, ...]] = ("Ed25519", "P-256", "P-384")


@click.group()
def key() -> None:
    """Make keys, show their public halves, seal private ones on the disk."""


key.add_command(seal)
key.add_command(unseal)


@key.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--kind", type=click.Choice(KINDS), default="Ed25519", show_default=True)
@json_option
def create(file: Path, kind: KeyKind, as_json: bool) -> None:
    """Make a private key in FILE, as a JWK that only you can read; an existing file stays."""
    made = generate_key(kind)
    try:
        write_private(file, json.dumps(private_jwk(made)).encode(), replace=False)
    except FileExistsError as error:
        raise Misconfigured(f"{file} exists; keys are never overwritten") from error
    _show(made.public, as_json=as_json)


@key.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def show(file: Path, as_json: bool) -> None:
    """Show the public half of the key in FILE in every form it is written."""
    _show(load_any_key(file).public, as_json=as_json)


def _show(public: PublicKey, *, as_json: bool) -> None:
    did = did_key(public)
    found: dict[str, Any] = {
        "kind": public.kind,
        "did": did,
        "verificationMethod": verification_method(did),
        "publicKeyMultibase": encode_multikey(public),
        "publicKeyJwk": public_jwk(public),
        "thumbprint": thumbprint(public),
        "did_jwk": did_jwk(public),
    }
    rows = [(f"{name}:", value if isinstance(value, str) else json.dumps(value)) for name, value in found.items()]
    emit(found, as_json=as_json, text=grid(rows))


@click.group()
def did() -> None:
    """Look into decentralized identifiers."""


@did.command()
@click.argument("identifier")
@click.option("--allow-loopback", is_flag=True, help="Let a did:web name this machine, over http.")
@json_option
def resolve(identifier: str, allow_loopback: bool, as_json: bool) -> None:
    """Print the document of a DID, or the method that a DID URL names; did:web is fetched."""
    found = asyncio.run(_resolve(identifier, allow_loopback=allow_loopback))
    emit(found, as_json=as_json, text=json.dumps(found, indent=2))


async def _resolve(identifier: str, *, allow_loopback: bool) -> Any:
    from did_agent.adapters.did_web import DIDWebResolver
    from did_agent.adapters.http import GuardedFetcher
    from did_agent.clock import system_clock
    from did_agent.did.document import require_did
    from did_agent.did.resolve import resolve as resolve_did
    from did_agent.did.web import PREFIX

    identifier, _, fragment = identifier.partition("#")
    require_did(identifier)
    fetcher = GuardedFetcher(allow_loopback=allow_loopback)
    try:
        resolver = DIDWebResolver(fetcher, clock=system_clock, allow_loopback=allow_loopback)
        documents = await resolver.documents([identifier] if identifier.startswith(PREFIX) else [])
        document = resolve_did(identifier, documents).source
    finally:
        await fetcher.aclose()
    if not fragment:
        return document
    methods: Any = document.get("verificationMethod", [])
    wanted = (f"{identifier}#{fragment}", f"#{fragment}")
    for method in methods:
        if isinstance(method, dict) and method.get("id") in wanted:
            return method
    raise Misconfigured(f"{identifier} has no verification method #{fragment}")
