"""Ask, fetch, judge for the VC-API: the one place where documents, lists and schemas of strangers are fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from did_agent.clock import Clock
from did_agent.credential import verification as credentials
from did_agent.credential.envelope import Secured
from did_agent.credential.verification import CredentialVerdict, Evidence, Policy
from did_agent.did.document import DIDDocument
from did_agent.errors import DidAgentError, WrongChallenge
from did_agent.ports import FetchJSON
from did_agent.presentation import verification as presentations
from did_agent.presentation.verification import ExpectedPresentation, ProvenPresentation
from verifier.vc_api.challenges import Challenges

MAX_FETCHES: Final = 4  # of one verification


class Resolver(Protocol):
    """Brings the documents of DIDs that do not say everything themselves."""

    async def documents(self, dids: Iterable[str]) -> Mapping[str, DIDDocument]:
        """Return the documents that could be had.

        Raises: KeysUnavailable.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentationVerdict:
    """What was found out about a presentation and each of its credentials."""

    presentation: ProvenPresentation | None
    error: DidAgentError | None
    credentials: tuple[CredentialVerdict, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether the presentation and every credential in it verify (VCX-02)."""
        return self.error is None and all(verdict.verified for verdict in self.credentials)


class VCVerifier:
    """Verifies credentials and presentations of anybody."""

    def __init__(self, resolver: Resolver, fetcher: FetchJSON, *, clock: Clock) -> None:
        self._resolver, self._fetcher, self._clock = resolver, fetcher, clock
        self.challenges = Challenges()

    def create_challenge(self) -> str:
        """Return a challenge that one presentation may answer."""
        return self.challenges.create(self._clock())

    async def verify_credential(self, secured: Secured, *, policy: Policy) -> CredentialVerdict:
        """Return everything that was found out about a credential."""
        now = self._clock()
        try:
            documents = await self._resolver.documents(credentials.unresolved(secured))
            asked = credentials.ask(secured, now=now, documents=documents, policy=policy)
        except DidAgentError as error:
            return credentials.refused(error, secured if isinstance(secured, Mapping) else None)
        # Only now: nothing is fetched for a document that nobody signed (NET-10).
        lists = await self._fetch(asked.status_urls)
        dids = frozenset(did for found in lists.values() for did in _unresolved(found))
        evidence = Evidence(
            status_lists=lists,
            schemas=await self._fetch(asked.schema_urls),
            documents=await self._resolver.documents(dids) if dids else {},
        )
        return credentials.judge(asked, evidence)

    async def verify_presentation(
        self, secured: Secured, *, challenge: str | None, domains: frozenset[str] | None, policy: Policy
    ) -> PresentationVerdict:
        """Return everything that was found out; a challenge of ours is spent by a valid answer and never before."""
        now = self._clock()
        try:
            documents = await self._resolver.documents(presentations.unresolved(secured))
            expected = ExpectedPresentation(challenge=challenge, domains=domains, now=now)
            proven = presentations.prove(secured, expected, documents=documents)
            ours = challenge is not None and self.challenges.knows(challenge)
            if ours and not self.challenges.spend(str(challenge), now):
                raise WrongChallenge("the challenge is over")
        except DidAgentError as error:
            return PresentationVerdict(presentation=None, error=error)
        verdicts = [await self.verify_credential(item, policy=policy) for item in proven.credentials]
        return PresentationVerdict(presentation=proven, error=None, credentials=tuple(verdicts))

    async def _fetch(self, urls: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        for url in list(urls)[:MAX_FETCHES]:
            try:
                found[url] = await self._fetcher.get_json(url)
            except DidAgentError:
                continue  # what is missing is judged as missing
        return found


def _unresolved(secured: Secured) -> frozenset[str]:
    try:
        return credentials.unresolved(secured)
    except DidAgentError:
        return frozenset()
