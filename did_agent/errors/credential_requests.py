"""What a credential issuer may tell a wallet (OpenID for Verifiable Credential Issuance 1.0, 8.3.1, 9.3, 11.3)."""

from __future__ import annotations

from did_agent.errors.families import Denied, Malformed, VerificationError


class BadCredentialRequest(Malformed):
    code = "invalid_credential_request"
    public = "The credential request is malformed, or asks for what is not offered."


class UnknownConfiguration(BadCredentialRequest):
    code = "unknown_credential_configuration"
    public = "The credential configuration is not known, or not in the offer."


class UnknownCredentialIdentifier(BadCredentialRequest):
    code = "unknown_credential_identifier"
    public = "The credential identifier is not one that was given with the token."


class NoResponseEncryption(BadCredentialRequest):
    code = "invalid_encryption_parameters"
    public = "Answers are not encrypted here beyond TLS."


class BadNotification(Malformed):
    code = "invalid_notification_request"
    public = "The notification is malformed."


class BadKeyProof(VerificationError):
    code = "invalid_proof"
    public = "The key proof was not accepted."


class BadProofNonce(BadKeyProof):
    code = "invalid_nonce"
    public = "The key proof carries no nonce of ours that is fresh and unused; get a new one."


class CredentialRequestDenied(Denied):
    code = "credential_request_denied"
    public = "The credential is not issued."


class UnknownTransaction(Denied):
    code = "invalid_transaction_id"
    public = "The transaction is not known, over, or another's."


class UnknownNotification(Denied):
    code = "invalid_notification_id"
    public = "The notification is not known, or another's."
