"""The holder of the VC-API: presents with a key of its own, and derives what a credential lets it leave out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from did_agent.clock import Clock
from did_agent.credential import vcdm
from did_agent.did.key import did_key, verification_method
from did_agent.encoding.jsonld import dataset
from did_agent.errors import HolderMismatch, InvalidParameter
from did_agent.keys.public import SigningKey
from did_agent.proof.data_integrity import DEFAULT_SUITE, add_proof

MAX_POINTERS: Final = 64  # of `selectivePointers`


class Holder:
    """Holds one key, made for this profile."""

    def __init__(self, key: SigningKey, *, clock: Clock) -> None:
        self._key, self._clock = key, clock
        self.did: Final = did_key(key.public)

    def present(self, presentation: object, options: Mapping[str, object]) -> dict[str, object]:
        """Return a presentation signed by the holder's key, for the challenge and domain of the request.

        Raises: InvalidParameter, HolderMismatch, BadPresentation, BadProof, UnknownContext, DataLoss.
        """
        if not isinstance(presentation, dict):
            raise InvalidParameter("presentation is not an object")
        document = {name: value for name, value in presentation.items() if name != "proof"}
        document.setdefault("holder", self.did)
        if vcdm.holder_of(document) != self.did:
            raise HolderMismatch("holder is not the DID of this service")
        vcdm.require_presentation(document)
        dataset(document)
        return add_proof(
            document,
            self._key,
            purpose="authentication",
            created=self._clock(),
            verification_method=verification_method(self.did),
            cryptosuite=_text(options, "cryptosuite") or DEFAULT_SUITE,
            challenge=_text(options, "challenge"),
            domain=_text(options, "domain"),
        )

    def derive(self, secured: object, options: Mapping[str, object]) -> dict[str, object]:
        """Return a credential that shows its mandatory members and the ones chosen (VC-DI-ECDSA 1.0, 3.6.6).

        Raises: InvalidParameter, BadProof.
        """
        from did_agent.proof.selective import derive

        pointers = options.get("selectivePointers", [])
        if not isinstance(secured, dict):
            raise InvalidParameter("verifiableCredential is not an object")
        if (
            not isinstance(pointers, list)
            or len(pointers) > MAX_POINTERS
            or not all(isinstance(pointer, str) for pointer in pointers)
        ):
            raise InvalidParameter("selectivePointers is not a list of JSON pointers")
        return dict(derive(secured, cast("Sequence[str]", pointers)))


def _text(options: Mapping[str, object], name: str) -> str | None:
    value = options.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidParameter(f"{name} is not a string")
    return value
