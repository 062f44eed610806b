"""What a DID resolver answers: documents, methods, and errors in both spellings (DID Resolution 1.0; did:key).

Pure: documents of did:web come in as evidence.  A did:key with a version part is well formed for its method and still
`invalidDid` here: `did:key:1:z…` would be a second text for one key (VCX-12).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from did_agent.did import jwk, key, web
from did_agent.did.document import MAX_DID, RELATIONSHIPS, require_did
from did_agent.did.formats import EXPERIMENTAL_FORMATS, FORMATS, PublicKeyFormat, in_format
from did_agent.did.resolve import NO_DOCUMENTS, Documents, resolve
from did_agent.errors import BadDID, BadKey, KeysUnavailable
from did_agent.keys.multikey import UNSUPPORTED_TYPE, WRONG_LENGTH

ErrorCode = Literal[
    "invalidDid",
    "invalidDidUrl",
    "invalidOptions",
    "invalidDidDocument",
    "invalidPublicKey",
    "invalidPublicKeyLength",
    "invalidPublicKeyType",
    "unsupportedPublicKeyType",
    "methodNotSupported",
    "featureNotSupported",
    "notFound",
    "internalError",
]
# Legacy code: type of the RFC 9457 object and HTTP status.  did:key's own codes have no type of their own there.
PROBLEMS: Final[Mapping[ErrorCode, tuple[str, int, str]]] = {
    "invalidDid": ("INVALID_DID", 400, "The DID is not valid."),
    "invalidDidUrl": ("INVALID_DID_URL", 400, "The DID URL is not valid."),
    "invalidOptions": ("INVALID_OPTIONS", 400, "An option has a value that is not allowed."),
    "invalidDidDocument": ("INVALID_DID_DOCUMENT", 500, "The DID document is not valid."),
    "invalidPublicKey": ("INVALID_DID", 400, "The key of the DID is not a valid public key."),
    "invalidPublicKeyLength": ("INVALID_DID", 400, "The key of the DID has the wrong length."),
    "invalidPublicKeyType": ("INVALID_OPTIONS", 400, "The key cannot be written in this public key format."),
    "unsupportedPublicKeyType": ("FEATURE_NOT_SUPPORTED", 501, "The key type or public key format is not supported."),
    "methodNotSupported": ("METHOD_NOT_SUPPORTED", 501, "The DID method is not supported."),
    "featureNotSupported": ("FEATURE_NOT_SUPPORTED", 501, "This way of resolving is not supported."),
    "notFound": ("NOT_FOUND", 404, "There is no such thing here."),
    "internalError": ("INTERNAL_ERROR", 500, "The DID could not be resolved."),
}
NAMESPACE: Final = "https://www.w3.org/ns/did#"
CONTEXT: Final = "https://w3id.org/did-resolution/v1"
GONE: Final = 410
OK: Final = 200

# path-abempty, query and fragment of RFC 3986, each of its own characters alone.
_PCHAR: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_URL: Final = re.compile(
    rf"(?P<did>[^/?#]+)(?P<path>(?:/{_PCHAR}*)*)(?:\?(?P<query>(?:{_PCHAR}|[/?])*))?(?:#(?P<fragment>(?:{_PCHAR}|[/?])*))?"
)
_MAX_URL: Final = 2 * MAX_DID  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionResult:
    """The answer to one question; `error` alone says that there is none."""

    content: Mapping[str, object] | None  # a DID document, or the method or service a DID URL names
    is_url: bool  # a DID URL was dereferenced
    error: ErrorCode | None = None
    document_metadata: Mapping[str, object] = field(default_factory=dict)

    @property
    def http_status(self) -> int:
        """Status of the answer over HTTP."""
        if self.error is not None:
            return PROBLEMS[self.error][1]
        return GONE if self.document_metadata.get("deactivated") is True else OK

    def problem(self) -> dict[str, object] | None:
        """Return the error as an RFC 9457 object."""
        if self.error is None:
            return None
        name, status, title = PROBLEMS[self.error]
        return {"type": NAMESPACE + name, "title": title, "status": status}

    def legacy(self) -> dict[str, object]:
        """Return the result object for `application/ld+json;profile="https://w3id.org/did-resolution"`.

        The error is a plain string, the thing a DID URL names stands in `didDocument`, and nothing is `{}`.
        """
        metadata = {"contentType": self._content_type} if self.error is None else {"error": self.error}
        return {
            "@context": CONTEXT,
            "didDocument": {} if self.content is None else dict(self.content),
            "didDereferencingMetadata" if self.is_url else "didResolutionMetadata": metadata,
            "didDocumentMetadata": dict(self.document_metadata),
        }

    def resolution(self) -> dict[str, object]:
        """Return the result object for `application/did-resolution`."""
        return {
            "@context": CONTEXT,
            "didDocument": self.content,
            "didResolutionMetadata": self._metadata(),
            "didDocumentMetadata": dict(self.document_metadata),
        }

    def dereferencing(self) -> dict[str, object]:
        """Return the result object for `application/did-url-dereferencing`."""
        return {
            "contentStream": self.content,
            "dereferencingMetadata": self._metadata(),
            "contentMetadata": dict(self.document_metadata),
        }

    @property
    def _content_type(self) -> str:
        return "application/json" if self.is_url else "application/did"

    def _metadata(self) -> dict[str, object]:
        return {"contentType": self._content_type} if self.error is None else {"error": self.problem()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionOptions:
    """How the document of a did:key is expanded; documents of other methods come as they are."""

    key_agreement: bool = False
    key_format: PublicKeyFormat = "Multikey"


def resolution_result(
    did_or_url: object,
    *,
    documents: Documents = NO_DOCUMENTS,
    options: Mapping[str, object] | None = None,
) -> ResolutionResult:
    """Return the document of a DID, or the method or service that a DID URL names; never raises for what was asked.

    `options` are those of the request: `enableEncryptionKeyDerivation`, `enableExperimentalPublicKeyTypes` and
    `publicKeyFormat`; a query string's "true" and "false" count as the values they name.
    """
    is_url = isinstance(did_or_url, str) and any(mark in did_or_url for mark in "/?#")
    found = _dereference(str(did_or_url), documents, options or {}) if is_url else None
    if found is None:
        found = _document(did_or_url, documents, options or {})
    if isinstance(found, str):
        return ResolutionResult(content=None, is_url=is_url, error=found)
    return ResolutionResult(content=found, is_url=is_url)


def parse_options(options: Mapping[str, object]) -> ResolutionOptions | ErrorCode:
    """Return the options of a request, or the error they make."""
    if "versionId" in options or "versionTime" in options:
        # Answering with the present document would pass it off as the one of another time.
        return "featureNotSupported"
    flags = [_flag(options.get(name, False)) for name in (_DERIVE, _EXPERIMENTAL)]
    if None in flags:
        return "invalidOptions"
    chosen = options.get("publicKeyFormat", "Multikey")
    if not isinstance(chosen, str):
        return "invalidOptions"
    if chosen in EXPERIMENTAL_FORMATS and not flags[1]:
        return "invalidPublicKeyType"
    if chosen not in FORMATS:
        return "unsupportedPublicKeyType"
    return ResolutionOptions(key_agreement=flags[0] is True, key_format=FORMATS[chosen])


_DERIVE: Final = "enableEncryptionKeyDerivation"
_EXPERIMENTAL: Final = "enableExperimentalPublicKeyTypes"
_FLAGS: Final[Mapping[object, bool]] = {"true": True, "false": False}


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else _FLAGS.get(value) if isinstance(value, str) else None


def _dereference(url: str, documents: Documents, options: Mapping[str, object]) -> Mapping[str, object] | ErrorCode:
    parts = _URL.fullmatch(url) if len(url) <= _MAX_URL else None
    if parts is None:
        return "invalidDidUrl"
    try:
        did = require_did(parts["did"])
    except BadDID:
        return "invalidDidUrl"
    document = _document(did, documents, options)
    if isinstance(document, str):
        return document
    if parts["path"] or parts["query"] is not None:
        return "featureNotSupported"
    if not parts["fragment"]:
        return "invalidDidUrl"
    named = [entry for entry in _named(document, did) if entry["id"] == url]
    if not named:
        return "notFound"
    return named[0] if len(named) == 1 else "invalidDidDocument"


def _named(document: Mapping[str, object], did: str) -> Iterator[dict[str, object]]:
    """Yield what a document gives a fragment, with the identifiers of that made absolute."""
    for member in ("verificationMethod", *RELATIONSHIPS, "service"):
        listed = document.get(member)
        for entry in listed if isinstance(listed, list) else []:
            if isinstance(entry, dict):
                known = {name: entry[name] for name in ("id", "controller") if isinstance(entry.get(name), str)}
                if "id" in known:
                    yield {**entry, **{name: did + at if at.startswith("#") else at for name, at in known.items()}}


def _document(did: object, documents: Documents, options: Mapping[str, object]) -> Mapping[str, object] | ErrorCode:
    try:
        text = require_did(did)
        if not text.startswith((key.PREFIX, jwk.PREFIX, web.PREFIX)):
            return "methodNotSupported"
        asked = parse_options(options)
        if isinstance(asked, str):
            return asked
        if text.startswith(key.PREFIX):
            return _expanded(text, asked)
        # A copy: the document is kept for others to verify with.
        return deepcopy(dict(resolve(text, documents).source))
    except BadKey as error:
        return _KEY_ERRORS.get(error.detail, "invalidPublicKey")
    except BadDID:
        return "invalidDid"
    except KeysUnavailable:
        return "notFound"


def _expanded(did: str, asked: ResolutionOptions) -> Mapping[str, object] | ErrorCode:
    document: dict[str, Any] = key.expand_did_key(did, key_agreement=asked.key_agreement)
    written = in_format(document["@context"], document["verificationMethod"], asked.key_format)
    if written is None:
        return "invalidPublicKeyType"
    return {**document, "@context": written[0], "verificationMethod": written[1]}


_KEY_ERRORS: Final[Mapping[str, ErrorCode]] = {
    UNSUPPORTED_TYPE: "unsupportedPublicKeyType",
    WRONG_LENGTH: "invalidPublicKeyLength",
}
