"""Seeds: what travels as a compact token."""

from __future__ import annotations

import os
import zlib
from datetime import timedelta

from did_agent.credential import bitstring
from did_agent.credential.sd_jwt_vc import issue_sd_jwt_vc
from did_agent.credential.token_status import TokenStatusReference, encode_statuses, issue_status_list_token
from did_agent.did.key import did_key, verification_method
from did_agent.proof.jwt import sign_jwt
from did_agent.proof.vc_jose import secure as secure_jose
from tests.fakes import sd_jwts
from tests.fakes.credentials import ISSUER, ISSUER_DID, REVOCATION_URL, root_document
from tests.fuzz.oracle import NOW, P256
from tests.fuzz.seed_tables import HEAVIEST, MADE, SECONDS, deep, makes, text


@makes(MADE, "compact_jws")
def _() -> list[bytes]:
    claims = {"iss": ISSUER_DID, "aud": "a", "iat": SECONDS, "exp": SECONDS + 60, "jti": "j"}
    token = sign_jwt(claims, typ="at+jwt", key=ISSUER, kid="k")
    document = root_document()
    joses = [secure_jose(document, key, envelope="vc+jwt", verification_method=verification_method(did_key(key.public)))
             for key in (ISSUER, P256)]  # fmt: skip
    header = {"alg": "EdDSA", "kid": verification_method(ISSUER_DID)}
    return [
        *(one.encode() for one in (token, *joses)),
        b"\n".join(map(text, ({"alg": "EdDSA", "typ": "at+jwt"}, claims))),
        b"\n".join(map(text, (header | {"typ": "vc+jwt", "cty": "vc"}, document | {"iat": SECONDS, "nbf": SECONDS}))),
        b"\n".join(map(text, (header | {"typ": "JWT"}, claims | {"vc": document, "jti": document["id"]}))),
    ]


@makes(HEAVIEST, "compact_jws")
def _() -> list[bytes]:
    head = text({"alg": "EdDSA", "typ": "vc+jwt", "kid": verification_method(ISSUER_DID)})
    return [b"." * 262_144, b"a" * 262_144, b"a" * 8_000 + b"." + b"a" * 250_000 + b".a", head + b"\n" + deep(190_000)]


@makes(MADE, "sd_jwt")
def _() -> list[bytes]:
    held = issue_sd_jwt_vc(
        {"name": "x", "tools": ["a", "b"]}, vct="https://types.example/1", key=ISSUER, verification_method=verification_method(ISSUER_DID),
        holder=sd_jwts.HOLDER.public, issued_at=NOW, expires=NOW + timedelta(hours=8), disclosable=["/name", "/tools/0"],
        status=TokenStatusReference(index=1, uri=REVOCATION_URL),
    )  # fmt: skip
    claims = {"iss": ISSUER_DID, "vct": "https://types.example/1", "cnf": sd_jwts.CNF, "iat": SECONDS, "exp": SECONDS + 90_000,
              "_sd": ["$1"], "_sd_alg": "sha-256", "tools": [{"...": "$2"}, "x"]}  # fmt: skip
    disclosed = [["s", "name", {"_sd": ["$3"]}], ["s", "order"], ["s", "inner", 1]]
    binding = {"iat": sd_jwts.SECONDS, "aud": sd_jwts.AUDIENCE, "nonce": sd_jwts.NONCE, "sd_hash": "$hash"}
    kid = {"kid": verification_method(ISSUER_DID)}
    return [
        sd_jwts.HONEST.encode(), sd_jwts.SHOWN.encode(), held.encode(),
        *(b"\n".join([*map(text, ({"alg": "EdDSA", "typ": typ} | more, claims, *disclosed)), b"!" + text(binding)])
          for typ, more in ((sd_jwts.TYPE, {}), ("dc+sd-jwt", kid))),
    ]  # fmt: skip


@makes(HEAVIEST, "sd_jwt")
def _() -> list[bytes]:
    many = sd_jwts.issued({"_sd": [sd_jwts.digest(sd_jwts.disclosure("s", f"n{n}", n)) for n in range(250)], "cnf": sd_jwts.CNF},
                          *(sd_jwts.disclosure("s", f"n{n}", n) for n in range(250)))  # fmt: skip
    nested, place = [], sd_jwts.disclosure("s", "x")
    for _number in range(250):
        nested.append(place)
        place = sd_jwts.disclosure("s", [{"...": sd_jwts.digest(place)}])
    deep = sd_jwts.issued({"a": [{"...": sd_jwts.digest(nested[-1])}], "cnf": sd_jwts.CNF}, *nested)
    return [many.encode(), deep.encode(), b"~" * 65_536, b"a" * 65_536, b"W10~" * 250]


@makes(MADE, "token_status_list")
def _() -> list[bytes]:
    token = issue_status_list_token(uri=REVOCATION_URL, statuses=bytes(64), bits=2, key=ISSUER, issued_at=NOW,
                                    expires=NOW + timedelta(hours=1), ttl=60)  # fmt: skip
    claims = {
        "sub": REVOCATION_URL,
        "iat": SECONDS,
        "exp": SECONDS + 4_000,
        "ttl": 60,
        "status_list": {"bits": 2, "lst": encode_statuses(bytes(64))},
    }
    return [token.encode(), text({"alg": "EdDSA", "typ": "statuslist+jwt"}) + b"\n" + text(claims), encode_statuses(b"\1" * 64).encode(),
            zlib.compress(bytes(64)), text({"status": {"status_list": {"idx": 1, "uri": REVOCATION_URL}}})]  # fmt: skip


@makes(HEAVIEST, "token_status_list")
def _() -> list[bytes]:
    bomb = zlib.compress(bytes(bitstring.MAX_LIST_BYTES), 9)
    claims = {
        "sub": REVOCATION_URL,
        "iat": SECONDS,
        "status_list": {"bits": 1, "lst": encode_statuses(bytes(bitstring.MAX_LIST_BYTES))},
    }
    return [bomb, zlib.compress(bytes(4 * bitstring.MAX_LIST_BYTES), 9), os.urandom(40_000),
            text({"alg": "EdDSA", "typ": "statuslist+jwt"}) + b"\n" + text(claims)]  # fmt: skip
