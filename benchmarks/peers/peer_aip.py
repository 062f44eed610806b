"""AIP: a chained token of as many signatures as our delegation chain, read from text and verified to the end."""

from __future__ import annotations

from itertools import pairwise

from aip_core.crypto import KeyPair
from aip_token.chained import ChainedToken
from aip_token.error import TokenError
from protocol import MATERIAL, serve

ROOT = KeyPair.generate()
TOOLS = ["read_file", "search", "list_menu"]


def _token() -> str:
    names = [f"aip:key:ed25519:{number}" for number in range(MATERIAL["hops"])]
    token = ChainedToken.create_authority(names[0], TOOLS, 100, MATERIAL["hops"], 3_600, ROOT)
    for delegator, delegate in pairwise(names):
        token = token.delegate(delegator, delegate, TOOLS, 100, "benchmark")
    return token.to_base64()


TEXT, KEY = _token(), ROOT.public_key_bytes()


def verify() -> None:
    """Verify, again where a busy machine made it exceed its own limit of time, a millisecond of policy evaluation."""
    for _ in range(20):
        try:
            return ChainedToken.from_base64(TEXT, KEY).authorize("search", KEY)
        except TokenError as error:
            if "execution limits" not in str(error):
                raise
    raise ValueError("the machine is too busy")


serve({"chain": verify})
