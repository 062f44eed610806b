"""Signing keys in a hardware security module: SoftHSM speaks PKCS #11 as a module of metal does."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from did_agent.errors import KeysUnavailable, Misconfigured, StateConflict, WrongKey
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import parse_public_jwk, public_jwk
from did_agent.proof.jose import parse_compact, verify_signature
from tests.fakes.bridge_world import RESOURCE, TOOLS, cheap_passwords, world

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
PIN, LABEL = "8462", "did-agent"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The path of SoftHSM's library, with one empty token."""
    found = next((path for path in MODULES if Path(path).exists()), None)
    if found is None or shutil.which("softhsm2-util") is None:
        if os.environ.get("CI"):
            pytest.fail("SoftHSM is not installed")
        pytest.skip("SoftHSM is not installed")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    command = ["softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "7531"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    yield found
    os.environ.pop("SOFTHSM2_CONF")
    if before is not None:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.mark.req("KEY-01")
@pytest.mark.parametrize("wrong", [{"token": "other"}, {"pin": "0000"}, {"module": "/nowhere.so"}], ids=str)
def test_a_wrong_module_token_or_pin_stops_the_start(module: str, wrong: dict[str, str]) -> None:
    from bridge.adapters.pkcs11_keys import PKCS11Keys  # before any session: a process logs in once

    with pytest.raises(Misconfigured):
        PKCS11Keys(**{"module": module, "token": LABEL, "pin": PIN, **wrong})


@pytest.mark.req("KEY-01")
@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
def test_a_key_is_made_signs_and_is_found_again_in_the_module(module: str, algorithm: str) -> None:
    from bridge.adapters.pkcs11_keys import PKCS11Keys

    keys = PKCS11Keys(module=module, token=LABEL, pin=PIN)
    made, label = keys.create(algorithm)  # type: ignore[arg-type]  # each of the three
    again = PKCS11Keys(module=module, token=LABEL, pin=PIN).open(label, public_jwk(made.public))
    made.public.verify(b"message", again.sign(b"message"))
    assert "secret" not in repr(made)
    with pytest.raises(WrongKey):
        keys.open(label, public_jwk(keys.create(algorithm)[0].public))  # type: ignore[arg-type]


@pytest.mark.req("KEY-01", "KEY-05")
def test_the_module_takes_no_key_from_outside_and_its_absence_is_an_outage(module: str) -> None:
    from bridge.adapters.pkcs11_keys import PKCS11Keys

    keys = PKCS11Keys(module=module, token=LABEL, pin=PIN)
    with pytest.raises(StateConflict):
        keys.seal(SigningKey.generate())
    with pytest.raises(KeysUnavailable):
        keys.open("no such label", {})


@pytest.mark.req("KEY-01", "KEY-05")
async def test_a_bridge_signs_with_the_module_alone(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_passwords(monkeypatch)
    async with world(tmp_path, pkcs11_module=module, pkcs11_token=LABEL, pkcs11_pin=SecretStr(PIN)) as w:
        headers = await w.admin_headers()
        body = {"resource": RESOURCE, "name": "Urban Bites", "tools": dict.fromkeys(TOOLS, "may")}
        assert (await w.http.put("/resources", json={**body, "signing_alg": "ES256"}, headers=headers)).is_success
        answer = await w.client_credentials(w.agent("stock", "list_menu").key, resource=RESOURCE)
        jws = parse_compact(answer.json()["access_token"])
        jwks = (await w.http.get("/.well-known/jwks.json")).json()["keys"]
        verify_signature(jws, parse_public_jwk(next(jwk for jwk in jwks if jwk["kid"] == jws.header["kid"])))
        listed = (await w.http.get("/signing-keys", headers=headers)).json()["signing_keys"]
        assert {row["provider"] for row in listed} == {"pkcs11"}
        assert {row["algorithm"] for row in listed} == {"EdDSA", "ES256"}

        from bridge.adapters import pkcs11_keys

        def away(*_arguments: object) -> bytes:
            raise pkcs11_keys.pkcs11.DeviceRemoved

        monkeypatch.setattr(pkcs11_keys, "_sign", away)
        refused = await w.client_credentials(w.agent("other", "list_menu").key, resource=RESOURCE)
        assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")
        assert refused.headers["retry-after"]
        assert (await w.http.get("/resources", headers=headers)).status_code == 200  # believing goes on
