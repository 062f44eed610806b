"""`relatedResource`: what a credential says about documents elsewhere, and whether they are those (VCDM 2.0, 5.3)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from did_agent.credential.identifier import is_url
from did_agent.encoding import multibase
from did_agent.errors import BadCredential, BadEncoding, PeerUnavailable, RelatedResourceMismatch

MAX_RESOURCES: Final = 64  # of one credential
MAX_DIGESTS: Final = 8  # of one kind, of one resource
MAX_DIGEST_TEXT: Final = 1_024  # characters of one member

# Subresource Integrity, 3.5: algorithm, padded standard base64; options after `?` are for others.
_SRI: Final = re.compile(r"(sha256|sha384|sha512)-([A-Za-z0-9+/]{43,88}={0,2})(?:\?[\x21-\x7e]{0,64})?")
_MULTIHASHES: Final[Mapping[bytes, tuple[str, int]]] = {
    b"\x12\x20": ("sha256", 32),
    b"\x20\x30": ("sha384", 48),
    b"\x13\x40": ("sha512", 64),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """One digest that bytes must have."""

    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedResource:
    """A document elsewhere, and every digest that its bytes must have."""

    url: str
    digests: tuple[Digest, ...]
    media_type: str | None


def parse_related_resources(document: Mapping[str, object]) -> tuple[RelatedResource, ...]:
    """Return what `relatedResource` names, each URL once.

    Raises: BadCredential.
    """
    if "relatedResource" not in document:
        return ()
    value = document["relatedResource"]
    listed = value if isinstance(value, list) else [value]
    if not 0 < len(listed) <= MAX_RESOURCES:
        raise BadCredential(f"relatedResource does not hold 1 to {MAX_RESOURCES} objects")
    resources = tuple(_parse_resource(entry) for entry in listed)
    if len({resource.url for resource in resources}) != len(resources):
        raise BadCredential("relatedResource names one resource twice")
    return resources


def require_related_resource(resource: RelatedResource, evidence: Mapping[str, bytes]) -> None:
    """Return when the bytes found at the resource's URL have every digest it was given.

    Raises: PeerUnavailable, RelatedResourceMismatch.
    """
    raw = evidence.get(resource.url)
    if raw is None:
        raise PeerUnavailable(f"no bytes of {resource.url[:200]}")
    if not has_digests(raw, resource.digests):
        raise RelatedResourceMismatch(f"{resource.url[:200]} has another digest")


def parse_digests(entry: Mapping[str, object]) -> tuple[Digest, ...]:
    """Return the digests in `digestSRI` and `digestMultibase` of an object, none when it has neither.

    Raises: BadCredential.
    """
    found: list[Digest] = []
    for text in _texts(entry, "digestSRI"):
        found += [_parse_sri(item) for item in text.split()]
    found += [_parse_multibase(text) for text in _texts(entry, "digestMultibase")]
    return tuple(found)


def has_digests(raw: bytes, digests: tuple[Digest, ...]) -> bool:
    """Tell whether `raw` has each of the digests; without any, nothing is shown and the answer is no."""
    return bool(digests) and all(
        hmac.compare_digest(hashlib.new(digest.algorithm, raw).digest(), digest.value) for digest in digests
    )


def _parse_resource(value: object) -> RelatedResource:
    if not isinstance(value, dict):
        raise BadCredential("relatedResource holds something that is not an object")
    url, media_type = value.get("id"), value.get("mediaType")
    if not is_url(url):
        raise BadCredential("the id of a relatedResource is not one URL")
    if media_type is not None and (not isinstance(media_type, str) or not media_type):
        raise BadCredential("the mediaType of a relatedResource is not a string")
    digests = parse_digests(value)
    if not digests:
        raise BadCredential("a relatedResource has neither digestSRI nor digestMultibase")
    return RelatedResource(url=url, digests=digests, media_type=media_type)


def _texts(entry: Mapping[str, object], name: str) -> list[str]:
    if name not in entry:
        return []
    value = entry[name]
    listed = value if isinstance(value, list) else [value]
    texts = [text for text in listed if isinstance(text, str) and 0 < len(text) <= MAX_DIGEST_TEXT and text.strip()]
    if len(texts) != len(listed) or not 0 < len(listed) <= MAX_DIGESTS:
        raise BadCredential(f"{name} does not hold digests")
    return texts


def _parse_sri(text: str) -> Digest:
    # An algorithm that nobody here knows could be the one that matters, so it is refused, never skipped.
    found = _SRI.fullmatch(text)
    if found is None:
        raise BadCredential("digestSRI is not sha256, sha384 or sha512 with padded base64")
    try:
        value = base64.b64decode(found[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadCredential("digestSRI is not padded base64") from error
    if len(value) != hashlib.new(found[1]).digest_size or base64.b64encode(value).decode() != found[2]:
        raise BadCredential("digestSRI has not the length of its algorithm, or stray bits")
    return Digest(algorithm=found[1], value=value)


def _parse_multibase(text: str) -> Digest:
    try:
        raw = multibase.decode(text)
    except BadEncoding as error:
        raise BadCredential("digestMultibase is not multibase") from error
    algorithm, size = _MULTIHASHES.get(raw[:2], ("", 0))
    if not algorithm or len(raw) != size + 2:
        raise BadCredential("digestMultibase is not a multihash of SHA-2")
    return Digest(algorithm=algorithm, value=raw[2:])
