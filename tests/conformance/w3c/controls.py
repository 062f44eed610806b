"""Two servers that know nothing: one says yes to everything, one says no.  What they pass, a suite does not test.

    python tests/conformance/w3c/controls.py yes --port 8491
    python tests/conformance/w3c/run.py … --control yes --issuer http://127.0.0.1:8491 --verifier http://127.0.0.1:8491

The yes server issues well-formed proofs with no signature in them and calls every document verified; the no server
answers 400.  Both name the same issuers, since without issuers there is nothing to configure.  Called with `--output`
this program is the control of the suites that test a command line: it writes its one answer there.
"""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

Answer = Literal["yes", "no"]

# Published test identifiers of the did:key method and of the ECDSA cryptosuites.
ISSUERS = {
    "Ed25519": "did:key:z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b",
    "P-256": "did:key:zDnaepBuvsQ8cpsWrVKw8fbpGpvPeNSjVPTWoq6cRqaYzBKVP",
    "P-384": "did:key:z82LkuBieyGShVBhvtE2zoiD6Kma4tJGFtkAhxR5pfkp5QPw4LutoYWhvQCnGjdVn14kujQ",
}
# The published all-zero list of Bitstring Status List 1.0.
EMPTY_LIST = "uH4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA"
MAX_BODY = 4 * 1024 * 1024  # bytes


def issued(request: dict[str, Any], base: str) -> dict[str, Any]:
    """Return whatever came in with a proof that looks like one, and a status entry."""
    credential = request.get("credential")
    credential = dict(credential) if isinstance(credential, dict) else {}
    options = request.get("options")
    cryptosuite = (options if isinstance(options, dict) else {}).get("cryptosuite", "eddsa-rdfc-2022")
    issuer = credential.get("issuer")
    did = issuer.get("id") if isinstance(issuer, dict) else issuer
    credential["credentialStatus"] = credential.get("credentialStatus") or {
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": "7",
        "statusListCredential": f"{base}/status-lists/1",
    }
    credential["proof"] = {
        "type": "DataIntegrityProof",
        "cryptosuite": cryptosuite,
        "created": "2025-01-01T00:00:00Z",
        "verificationMethod": f"{did}#{str(did).removeprefix('did:key:')}",
        "proofPurpose": "assertionMethod",
        "proofValue": "u2V0AhQ" if cryptosuite == "ecdsa-sd-2023" else "z" + "1" * 64,
    }
    return {"verifiableCredential": credential}


def status_list(address: str) -> dict[str, Any]:
    """Return a list in which nobody is revoked."""
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": address,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": ISSUERS["Ed25519"],
        "credentialSubject": {
            "id": f"{address}#list",
            "type": "BitstringStatusList",
            "statusPurpose": "revocation",
            "encodedList": EMPTY_LIST,
        },
    }


def resolved(did: str) -> dict[str, Any]:
    """Return a resolution that found something."""
    return {
        "@context": "https://w3id.org/did-resolution/v1",
        "didDocument": {"id": did, "controller": did},
        "didDocumentMetadata": {},
        "didResolutionMetadata": {},
    }


def handler(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            base = f"http://{self.headers.get('host', '')}"
            path = self.path.partition("?")[0]
            if path == "/credentials/issuers":
                self._send(200, {"issuers": [{"id": did, "keyType": kind} for kind, did in ISSUERS.items()]})
            elif answer == "no":
                self._send(400, {"verified": False})
            elif path.startswith("/status-lists/"):
                self._send(200, status_list(base + path))
            else:
                self._send(200, resolved(path.rpartition("/")[2]))

        def do_POST(self) -> None:
            body = self.rfile.read(min(int(self.headers.get("content-length") or 0), MAX_BODY))
            path = self.path.partition("?")[0]
            if answer == "no":
                self._send(400, {"verified": False})
            elif path == "/credentials/issue":
                self._send(201, issued(json.loads(body), f"http://{self.headers.get('host', '')}"))
            elif path == "/credentials/derive":
                self._send(201, json.loads(body)["verifiableCredential"])
            else:
                self._send(200, {"verified": True})

        def _send(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answer", choices=("yes", "no"))
    parser.add_argument("--port", type=int, default=8491)
    parser.add_argument("--output", type=Path, help="answer once, as a command line would, and stop")
    arguments, _ = parser.parse_known_args()
    if arguments.output:
        result = "success" if arguments.answer == "yes" else "failure"
        arguments.output.write_text(json.dumps({"result": result, "data": ""}), encoding="utf-8")
        return
    ThreadingHTTPServer(("127.0.0.1", arguments.port), handler(arguments.answer)).serve_forever()


if __name__ == "__main__":
    main()
