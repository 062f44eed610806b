"""Trust lists: only anchors sign them, they never go back, they end, and nobody is trusted beyond a line."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from did_agent.adapters.did_web import DIDWebResolver
from did_agent.adapters.trust_list import PulledTrust
from did_agent.credential.capability import parse_bare_capability
from did_agent.credential.chain import verify_chain
from did_agent.credential.issuance import build_capability_credential, issue, new_id
from did_agent.credential.status import StatusEntry
from did_agent.did.key import did_key, verification_method
from did_agent.errors import (
    BadJOSE,
    BadSignature,
    DidAgentError,
    Expired,
    InvalidParameter,
    NotYetValid,
    PeerUnavailable,
    Replayed,
    UntrustedIssuer,
    WrongIssuer,
    WrongKey,
    WrongType,
)
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.multikey import encode_multikey
from did_agent.presentation.present import present_jwt
from did_agent.proof.cryptosuite import default_suite
from did_agent.proof.data_integrity import add_proof
from did_agent.proof.jwt import sign_jwt, unverified_jws
from did_agent.tokens.trust_list import (
    LIFE,
    MEDIA_TYPE,
    PATH,
    TYPE,
    TrustEntry,
    TrustList,
    require_entry,
    sign_trust_list,
    verify_trust_list,
)
from tests.fakes.forms_world import FormsWorld
from tests.fakes.guard_world import AGENT, AGENT_KEY, ISSUER, ISSUER_KEY, NOW, RESOURCE, call
from verifier.composition import _end
from verifier.http import bearer_alone
from verifier.streams import OpenStreams, StreamCut

PARTNER_KEY = SigningKey.from_seed(b"p" * 32)
PARTNER, ANCHORS = did_key(PARTNER_KEY.public), frozenset({ISSUER})
HOME, WEB = "https://issuer.partner.example", "did:web:partner.example"
SMITH = "https://people.example/smith"
LIST = f"{HOME}/status-lists/revocation/1"


def entry(issuer: str = PARTNER, **changes: Any) -> TrustEntry:
    said: dict[str, Any] = {
        "id": "1",
        "url": HOME,
        "resources": frozenset({RESOURCE}),
        "tools": frozenset({"list_menu"}),
    }
    return TrustEntry(issuer=issuer, **(said | changes))


def listing(*entries: TrustEntry, version: int = 1, **changes: Any) -> TrustList:
    said: dict[str, Any] = {"issuer": ISSUER, "issued": NOW, "expires": NOW + LIFE}
    return TrustList(version=version, entries=entries, **(said | changes))


def signed(*entries: TrustEntry, version: int = 1, **changes: Any) -> str:
    return sign_trust_list(listing(*entries, version=version, **changes), key=ISSUER_KEY)


def granted(tool: str = "list_menu", **changes: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "id": new_id(),
        "issuer": PARTNER,
        "subject": AGENT,
        "valid_from": NOW - timedelta(minutes=1),
        "valid_until": NOW + timedelta(minutes=30),
        "capabilities": [parse_bare_capability({"resource": [RESOURCE], "tools": {tool: {}}})],
        "max_depth": 0,
    }
    key = changes.pop("key", PARTNER_KEY)
    method = changes.pop("method", None)
    document = build_capability_credential(**(said | changes))
    if method is None:
        return issue(document, key, now=NOW)
    return add_proof(
        dict(document),
        key,
        purpose="assertionMethod",
        created=NOW,
        verification_method=method,
        cryptosuite=default_suite(key.public),
    )


class There:
    """Whoever answers with trust lists, and the trust that is pulled from it."""

    def __init__(self, folder: Path, fetcher: Any = None) -> None:
        self.text: str | None = None
        self.now, self.folder, self.fetcher = NOW, folder, fetcher
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=Starlette(routes=[Route(PATH, self.answer)])))
        self.lost: list[frozenset[str]] = []
        self.trust = self.again()

    def again(self) -> PulledTrust:
        """Return the trust of a process that starts anew on the same folder."""
        resolver = DIDWebResolver(self.fetcher, clock=lambda: self.now)
        pulled = PulledTrust(
            "https://issuer.example",
            anchors=ANCHORS,
            file=self.folder / "list.jwt",
            resolver=resolver,
            clock=lambda: self.now,
        )
        pulled.watch(self.hear)
        return pulled

    async def hear(self, lost: frozenset[str]) -> None:
        self.lost.append(lost)

    async def answer(self, _request: Request) -> Response:
        return Response(status_code=500) if self.text is None else Response(self.text, media_type=MEDIA_TYPE)

    async def pull(self, text: str | None) -> None:
        self.text = text
        await self.trust.ask(self.http)
        await self.trust.tell()

    def takes(self, document: Mapping[str, object]) -> str:
        """Return why a chain is refused, empty when it is taken."""
        trusted = self.trust.current(self.now)
        try:
            verify_chain([document], holder=AGENT, now=self.now, trusted=trusted, max_depth=0)
        except DidAgentError as error:
            return error.code
        return ""


@pytest.mark.req("VCX-05")
def test_only_an_anchor_signs_a_list() -> None:
    honest = signed(entry())
    found = verify_trust_list(honest, anchors=ANCHORS, after=None, now=NOW)
    assert (found.entries, found.version) == ((entry(),), 1)
    claims = dict(unverified_jws(honest)[1])

    def forged(key: SigningKey, typ: str = TYPE, signer: str | None = None, **changes: Any) -> str:
        return sign_jwt(claims | changes, typ=typ, key=key, kid=verification_method(signer or did_key(key.public)))

    for text, refusal in (
        (forged(PARTNER_KEY, iss=PARTNER, own=[PARTNER]), UntrustedIssuer),  # a list that names itself as anchor
        (forged(PARTNER_KEY), UntrustedIssuer),  # in the anchor's name, by another key
        (forged(PARTNER_KEY, signer=ISSUER), BadSignature),
        (forged(ISSUER_KEY, iss=PARTNER), WrongIssuer),
        (forged(ISSUER_KEY, typ="tool-pins+jwt"), WrongType),
        (forged(ISSUER_KEY, anchors=[PARTNER]), BadJOSE),  # closed claims
        (forged(ISSUER_KEY, version=-1), BadJOSE),
        (forged(ISSUER_KEY, own=["did:web:partner.example"]), BadJOSE),
        (forged(ISSUER_KEY, entries=[{**claims["entries"][0], "roles": []}]), BadJOSE),  # type: ignore[index]
        (forged(ISSUER_KEY, entries=[{**claims["entries"][0], "resources": ["https://*"]}]), BadJOSE),  # type: ignore[index]
        (forged(ISSUER_KEY, entries=claims["entries"] * 257), BadJOSE),  # type: ignore[operator]
    ):
        with pytest.raises(refusal):
            verify_trust_list(text, anchors=ANCHORS, after=None, now=NOW)
    with pytest.raises(WrongIssuer):
        sign_trust_list(listing(), key=PARTNER_KEY)


@pytest.mark.req("VCX-05")
async def test_whom_a_list_names_signs_none(tmp_path: Path) -> None:
    there = There(tmp_path)
    await there.pull(signed(entry(), own=(PARTNER,)))
    assert there.takes(granted()) == ""
    takeover = replace(listing(version=2), issuer=PARTNER)
    with pytest.raises(UntrustedIssuer):
        await there.pull(sign_trust_list(takeover, key=PARTNER_KEY))


@pytest.mark.req("VCX-05", "REV-02")
async def test_a_list_never_goes_back_not_even_over_a_restart(tmp_path: Path) -> None:
    there = There(tmp_path)
    await there.pull(signed(entry(), version=3))
    assert there.takes(granted()) == ""
    await there.pull(signed(version=4))
    assert (there.takes(granted()), there.lost) == ("issuer_not_trusted", [frozenset({PARTNER})])
    for text in (
        signed(entry(), version=3),
        signed(entry(), version=4, issued=NOW - timedelta(seconds=1), expires=NOW + timedelta(minutes=1)),
    ):
        with pytest.raises(Replayed):
            await there.pull(text)
    there.trust = there.again()
    with pytest.raises(Replayed):
        await there.pull(signed(entry(), version=3))
    assert (there.trust.version, there.takes(granted())) == (4, "issuer_not_trusted")


@pytest.mark.req("REV-02", "VCX-05")
async def test_a_list_is_believed_for_a_minute_and_the_anchors_for_ever(tmp_path: Path) -> None:
    there = There(tmp_path)
    anchored = granted(issuer=ISSUER, key=ISSUER_KEY)
    await there.pull(signed(entry()))
    there.now = NOW + timedelta(seconds=59)
    assert there.again().current(there.now).is_foreign(PARTNER)  # a restart keeps what is fresh enough
    assert (there.takes(granted()), there.takes(anchored)) == ("", "")
    there.now = NOW + timedelta(seconds=60)
    assert (there.takes(granted()), there.takes(anchored)) == ("issuer_not_trusted", "")
    with pytest.raises(PeerUnavailable):
        await there.pull(None)
    await there.trust.tell()
    assert there.lost == [frozenset({PARTNER})]
    await there.pull(signed(entry(), issued=there.now, expires=there.now + LIFE))
    assert there.takes(granted()) == ""
    for text, refusal in (
        (signed(issued=NOW - timedelta(minutes=5), expires=NOW, version=9), Expired),
        (signed(issued=there.now, expires=there.now + timedelta(hours=1), version=9), Expired),
        (signed(issued=there.now + timedelta(minutes=1), expires=there.now + LIFE, version=9), NotYetValid),
    ):
        with pytest.raises(refusal):
            await there.pull(text)


@pytest.mark.req("VCX-05", "VCX-10", "DEL-11")
async def test_nobody_is_trusted_beyond_a_line(tmp_path: Path) -> None:
    there = There(tmp_path)
    await there.pull(signed(entry()))
    here = StatusEntry(list_url=LIST, index=7, purpose="revocation")
    elsewhere = replace(here, list_url="https://issuer.partner.example.evil.example/status-lists/revocation/1")
    other = parse_bare_capability({"resource": [RESOURCE, "https://other.example/mcp"], "tools": {"list_menu": {}}})
    for document, refused in (
        (granted(), ""),
        (granted(statuses=(here,)), ""),
        (granted("delete_order"), "issuer_not_trusted"),
        (granted(capabilities=[other]), "issuer_not_trusted"),
        (granted(statuses=(elsewhere,)), "issuer_not_trusted"),
        (granted(on_behalf_of=SMITH), "issuer_not_trusted"),
    ):
        assert there.takes(document) == refused
    trusted = there.trust.current(NOW)
    trusted.require_status(PARTNER, LIST)
    with pytest.raises(UntrustedIssuer):
        trusted.require_status(PARTNER, elsewhere.list_url)
    await there.pull(signed(entry(kinds=frozenset({"status"})), version=2))
    assert there.takes(granted()) == "issuer_not_trusted"
    await there.pull(signed(entry(kinds=frozenset({"capability", "identity"})), version=3))
    assert (there.takes(granted(on_behalf_of=SMITH)), there.takes(granted(statuses=(here,)))) == (
        "",
        "issuer_not_trusted",
    )
    # A line about our own issuer takes nothing from it and gives nobody its name.
    await there.pull(signed(entry(ISSUER), version=4))
    assert not there.trust.current(NOW).foreign


@pytest.mark.req("VCX-05")
async def test_a_line_holds_in_its_time(tmp_path: Path) -> None:
    there = There(tmp_path)
    await there.pull(signed(entry(valid_from=NOW + timedelta(seconds=10), valid_until=NOW + timedelta(seconds=20))))
    for seconds, refused in ((0, "issuer_not_trusted"), (10, ""), (19, ""), (20, "issuer_not_trusted")):
        there.now = NOW + timedelta(seconds=seconds)
        assert there.takes(granted()) == refused
        await there.trust.tell()
    assert there.lost == [frozenset({PARTNER})]


@pytest.mark.req("VCX-05")
@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "did:example:partner"},
        {"issuer": "did:web:127.0.0.1"},
        {"issuer": "did:web:partner.example%2fevil"},
        {"resources": frozenset()},
        {"resources": frozenset({"https://mcp.example/*"})},
        {"tools": frozenset()},
        {"tools": frozenset({"*"})},
        {"kinds": frozenset()},
        {"url": "http://issuer.partner.example"},
        {"url": "https://issuer.partner.example/"},
        {"url": "https://issuer.example@partner.example"},
        {"keys": frozenset({PARTNER})},
        {"valid_from": NOW, "valid_until": NOW},
    ],
)
def test_what_is_no_line(changes: dict[str, Any]) -> None:
    require_entry(entry())
    with pytest.raises(InvalidParameter):
        require_entry(entry(**changes))


@pytest.mark.req("VCX-05", "REV-01")
async def test_a_caller_that_was_known_is_refused_as_soon_as_the_list_changed(tmp_path: Path) -> None:
    there = There(tmp_path)
    guard = FormsWorld(data=tmp_path, trusted=there.trust)
    often = present_jwt([granted()], key=AGENT_KEY, audience=RESOURCE, now=NOW, bound=True, lifetime=300)

    async def sent() -> int:
        answer = await guard.send(often, call("list_menu"), scheme="DPoP", headers=[guard.proof(often)])
        return answer.status_code

    assert await sent() == 401
    await there.pull(signed(entry()))
    assert (await sent(), await sent()) == (200, 200)
    await there.pull(signed(version=2))
    assert (await sent(), guard.events[-1].reason) == (401, "issuer_not_trusted")


@pytest.mark.req("REV-01")
async def test_an_answer_under_way_is_cut_with_the_line_of_whoever_vouched(tmp_path: Path) -> None:
    there = There(tmp_path)
    guard = FormsWorld(data=tmp_path, trusted=there.trust)
    await there.pull(signed(entry()))
    shown = bearer_alone(present_jwt([granted()], key=AGENT_KEY, audience=RESOURCE, now=NOW))
    streams, cut = OpenStreams(), 0
    there.trust.watch(partial(_end, streams, guard.presentations))
    entered = await guard.presentations.admit(shown, None, NOW)
    try:
        with streams.open(entered.admission, until=None, now=NOW):
            await there.pull(signed(version=2))
            await asyncio.sleep(5)
    except StreamCut:
        cut += 1
    assert (cut, len(guard.presentations.known._found)) == (1, 0)


class Host:
    """The web server of a did:web, whoever runs it."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys, self.is_away = keys, False

    async def get_document(self, url: str, *, max_bytes: int) -> tuple[Mapping[str, object], str]:
        assert url == "https://partner.example/.well-known/did.json"
        if self.is_away:
            raise PeerUnavailable("away, or at an address that is not public")
        methods = [
            {
                "id": f"{WEB}#{number}",
                "type": "Multikey",
                "controller": WEB,
                "publicKeyMultibase": encode_multikey(key.public),
            }
            for number, key in enumerate(self.keys)
        ]
        known = [did_key(key.public) for key in self.keys]
        ids = [one["id"] for one in methods]
        return {"id": WEB, "alsoKnownAs": known, "verificationMethod": methods, "assertionMethod": ids}, "max-age=30"


@pytest.mark.req("VCX-13", "NET-03", "NET-08")
async def test_a_did_web_counts_with_the_keys_its_document_lists_and_only_those_that_were_pinned(
    tmp_path: Path,
) -> None:
    thief = SigningKey.from_seed(b"t" * 32)
    host = Host(PARTNER_KEY)
    there = There(tmp_path, fetcher=host)
    await there.pull(signed(entry(WEB, url=None)))
    stolen = granted(issuer=did_key(thief.public), key=thief)
    assert (there.takes(granted()), there.takes(stolen)) == ("", "issuer_not_trusted")
    assert there.takes(granted(issuer=WEB, method=f"{WEB}#0")) == ""

    pinned = There(tmp_path / "pinned", fetcher=host)
    await pinned.pull(signed(entry(WEB, url=None, keys=frozenset({PARTNER}))))
    host.keys = (thief, PARTNER_KEY)  # who took the host over
    for one, refused in ((there, ""), (pinned, "issuer_not_trusted")):
        one.now = NOW + timedelta(seconds=31)
        await one.pull(signed(*one.trust._list.entries, issued=one.now, expires=one.now + LIFE))  # type: ignore[union-attr]
        assert (one.takes(granted()), one.takes(stolen)) == ("", refused)
    with pytest.raises(WrongKey):
        forged = granted(issuer=WEB, key=thief, method=f"{WEB}#0")
        verify_chain([forged], holder=AGENT, now=pinned.now, trusted=pinned.trust.current(pinned.now), max_depth=0)

    host.is_away = True  # NET-03: an address that is not public is not asked, so there is no document
    pinned.now = NOW + timedelta(seconds=70)
    await pinned.pull(signed(*pinned.trust._list.entries, issued=pinned.now, expires=pinned.now + LIFE))  # type: ignore[union-attr]
    assert pinned.takes(granted()) == "issuer_not_trusted"
    assert pinned.lost[-1] == frozenset({WEB, PARTNER})
