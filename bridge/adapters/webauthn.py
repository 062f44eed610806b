"""Passkey signatures judged by py_webauthn: the one door for that library (WebAuthn Level 3, 7.1 and 7.2)."""

from __future__ import annotations

from typing import Final

from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import AttestationFormat

from bridge.model.passkeys import Passkey, PasskeyAnswer, RelyingParty
from bridge.ports.passkeys import NewKey
from did_agent.errors import BadSignature

# Kinds of keys, the preferred first; `-257` is what Windows Hello has.
ALGORITHMS: Final = (-8, -7, -257)
# We ask for no attestation; what a device says about itself unasked may only be signed by the new key.
_FORMATS: Final = (AttestationFormat.NONE, AttestationFormat.PACKED)
# What the library lets through from bytes it did not expect.
_UNREADABLE: Final = (WebAuthnException, ValueError, TypeError, KeyError, IndexError, AttributeError)


class WebAuthn:
    """Implements `bridge.ports.passkeys.Authenticator`."""

    def __init__(self, party: RelyingParty) -> None:
        self._party = party

    def registered(self, answer: PasskeyAnswer) -> NewKey:
        """Return the key that a device made for our challenge, after its person proved to be there.

        Raises: BadSignature.
        """
        try:
            found = verify_registration_response(
                credential=answer.members,
                expected_challenge=answer.challenge,
                expected_rp_id=self._party.id,
                expected_origin=self._party.origin,
                require_user_verification=True,
                supported_pub_key_algs=[COSEAlgorithmIdentifier(one) for one in ALGORITHMS],
            )
        except _UNREADABLE as error:
            raise BadSignature(f"the passkey was not accepted: {error}"[:300]) from error
        if found.fmt not in _FORMATS:
            raise BadSignature("an attestation that nobody asked for")
        return NewKey(
            bytes_to_base64url(found.credential_id),
            bytes_to_base64url(found.credential_public_key),
            found.sign_count,
        )

    def signed_in(self, answer: PasskeyAnswer, passkey: Passkey) -> int:
        """Return the signature count of an answer that `passkey` signed, after its person proved to be there.

        Raises: BadSignature, also when the count did not go on: then somebody has a copy.
        """
        try:
            found = verify_authentication_response(
                credential=answer.members,
                expected_challenge=answer.challenge,
                expected_rp_id=self._party.id,
                expected_origin=self._party.origin,
                credential_public_key=base64url_to_bytes(passkey.public_key),
                credential_current_sign_count=passkey.signatures,
                require_user_verification=True,
            )
        except _UNREADABLE as error:
            raise BadSignature(f"the passkey was not accepted: {error}"[:300]) from error
        return found.new_sign_count
