"""`did-agent doctor`: looks at everything a deployment needs and says what to do about what is wrong."""

from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import click
import httpx2

from did_agent.adapters.http import peer_client
from did_agent.adapters.keystore import is_plain, load_key
from did_agent.cli.deployment import OPERATOR, PARTIES, Deployment
from did_agent.cli.output import OK, REFUSED, emit, grid, json_option
from did_agent.clock import system_clock
from did_agent.errors import DidAgentError, Misconfigured

MAX_SKEW: Final = 30  # s between this clock and a party's
_OLDEST: Final = (3, 11)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    says: str


@click.command()
@json_option
@click.pass_obj
def doctor(at: Deployment, as_json: bool) -> None:
    """Check the set-up of this machine and the parties it talks to."""
    findings = [*_machine(), *_folder(at), *asyncio.run(_parties(at))]
    rows = [{"what": one.what, "ok": one.ok, "says": one.says} for one in findings]
    text = grid([("ok " if one.ok else "NO ", one.what, one.says) for one in findings])
    emit({"findings": rows}, as_json=as_json, text=text)
    sys.exit(OK if all(one.ok for one in findings) else REFUSED)


def _machine() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(what="Python", ok=sys.version_info >= _OLDEST, says=version)


def _folder(at: Deployment) -> Iterator[Finding]:
    if not at.data.exists():
        yield Finding(what="data folder", ok=False, says=f"{at.data} is missing: run `did-agent init`")
        return
    others = at.data.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    says = f"{at.data} is open to others; run: chmod 700 {at.data}" if others else "open to its owner alone"
    yield Finding(what="data folder", ok=not others, says=says)
    try:
        trust = at.trust
        says = f"{len(trust.issuers)} issuers, {len(trust.operators)} operators, {len(trust.parties)} parties"
        yield Finding(what="trust.json", ok=bool(trust.issuers and trust.operators), says=says)
    except Misconfigured as error:
        yield Finding(what="trust.json", ok=False, says=error.detail)
    keys = at.data / "keys"
    for name in sorted({OPERATOR, *PARTIES, *(path.stem for path in keys.glob("*.jwk"))}):
        path = keys / f"{name}.jwk"
        try:
            load_key(path)
            says = "readable by its owner alone" if is_plain(path) else "sealed, and readable by its owner alone"
            yield Finding(what=f"key {name}", ok=True, says=says)
        except DidAgentError as error:
            yield Finding(what=f"key {name}", ok=False, says=error.detail)


async def _parties(at: Deployment) -> list[Finding]:
    urls = (at.urls.bridge_url, at.urls.issuer_url, at.urls.ledger_url)
    async with peer_client() as http:
        found = [await _party(http, url) for url in urls]
        found.append(await _demo(http, at.urls.demo_url))
    try:
        await at.issuer.agents(state="active")
        found.append(Finding(what="operator", ok=True, says="the issuer knows this operator"))
    except DidAgentError as error:
        found.append(Finding(what="operator", ok=False, says=error.detail))
    return found


async def _party(http: httpx2.AsyncClient, url: str) -> Finding:
    try:
        lives = await http.get(f"{url}/livez")
        ready = await http.get(f"{url}/readyz")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return Finding(what=url, ok=False, says=f"cannot be reached ({type(error).__name__}): run `did-agent up`")
    if not lives.is_success:
        return Finding(what=url, ok=False, says=f"something else answers there ({lives.status_code}): check the port")
    if not ready.is_success:
        return Finding(what=url, ok=False, says=f"alive but not ready ({ready.status_code}): look at its log")
    skew = _skew(ready)
    if skew is None or skew > MAX_SKEW:
        says = "does not say its time" if skew is None else f"its clock differs by {skew:.0f} s: set the clocks"
        return Finding(what=url, ok=False, says=says)
    return Finding(what=url, ok=True, says="alive, ready, clocks agree")


async def _demo(http: httpx2.AsyncClient, url: str) -> Finding:
    try:
        status = (await http.get(url)).status_code
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return Finding(what=url, ok=False, says=f"cannot be reached ({type(error).__name__}): run `did-agent up`")
    guarded = status == httpx2.codes.UNAUTHORIZED
    says = "asks for credentials" if guarded else f"answers {status} without credentials; no guard there"
    return Finding(what=url, ok=guarded, says=says)


def _skew(response: httpx2.Response) -> float | None:
    try:
        told = parsedate_to_datetime(response.headers.get("date", "")).astimezone(UTC)
    except ValueError:
        return None
    return abs((told - system_clock()).total_seconds())
