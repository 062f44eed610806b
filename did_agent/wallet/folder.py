"""A folder per agent, readable by its owner alone: one key, and the credentials it holds."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from did_agent.adapters.keystore import load_key, load_or_create_key, sync_folder, write_private
from did_agent.encoding.digest import sha256
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import Malformed, Misconfigured, NotFound, StateConflict
from did_agent.keys.ed25519 import SigningKey

DEFAULT: Final = Path(".did-agent") / "wallet"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY: Final = "key.jwk"
_NEXT: Final = "next-key.jwk"  # made, and not known to be the agent's yet


class Wallet:
    """Where the agents of this machine keep what is theirs."""

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = Path(path) if path is not None else Path(os.environ.get("DID_AGENT_WALLET") or _default())

    def names(self) -> list[str]:
        """Return the names of the agents whose keys are here."""
        return sorted(entry.parent.name for entry in self.path.glob(f"*/{_KEY}"))

    def create(self, name: str) -> SigningKey:
        """Make a key for a new agent.

        Raises: StateConflict when there is one, Misconfigured.
        """
        file = self._folder(name) / _KEY
        if file.exists():
            raise StateConflict(f"the wallet has a key for {name} already")
        return load_or_create_key(file)

    def key(self, name: str) -> SigningKey:
        """Return an agent's key.

        Raises: NotFound, Misconfigured.
        """
        file = self._folder(name) / _KEY
        if not file.exists():
            raise NotFound(f"the wallet {self.path} has no key for {name}")
        return load_key(file)

    def next_key(self, name: str) -> SigningKey:
        """Return the key that is to come after an agent's key, made on first use; both are kept until `promote`.

        Raises: NotFound, Misconfigured.
        """
        self.key(name)
        return load_or_create_key(self._folder(name) / _NEXT)

    def has_next_key(self, name: str) -> bool:
        """Tell whether a change of keys was begun and not ended."""
        return (self._folder(name) / _NEXT).exists()

    def promote(self, name: str) -> SigningKey:
        """Make the next key the agent's own, at once and for good, and return it.

        Raises: NotFound when there is none, Misconfigured.
        """
        folder = self._folder(name)
        try:
            (folder / _NEXT).replace(folder / _KEY)
            sync_folder(folder)
        except FileNotFoundError as error:
            raise NotFound(f"the wallet has no next key for {name}") from error
        except OSError as error:
            raise Misconfigured(f"cannot replace the key of {name}: {error.strerror}") from error
        return self.key(name)

    def credentials(self, name: str) -> list[dict[str, Any]]:
        """Return the credentials an agent holds, oldest first.

        Raises: Misconfigured when one cannot be read.
        """
        files = sorted(self._folder(name).glob("credential-*.json"), key=lambda file: (file.stat().st_mtime_ns, file))
        try:
            return [parse_object(file.read_bytes()) for file in files]
        except (OSError, Malformed) as error:
            raise Misconfigured(f"a credential of {name} cannot be read") from error

    def add_credential(self, name: str, credential: Mapping[str, Any]) -> None:
        """Keep a credential; the same one twice is kept once.

        Raises: Misconfigured, BadEncoding.
        """
        # Named by content: by its id, a credential somebody hands us could replace one of ours.
        file = self._folder(name) / f"credential-{sha256(canonicalize(credential)).hex()}.json"
        try:
            write_private(file, json.dumps(credential).encode(), replace=False)
        except FileExistsError:
            return
        except OSError as error:
            raise Misconfigured(f"cannot write {file}: {error.strerror}") from error

    def _folder(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise NotFound(f"{name!r:.80} cannot name an agent of a wallet: 1 to 64 of A-Z a-z 0-9 . _ -")
        return self.path / name


def _default() -> Path:
    data = os.environ.get("DID_AGENT_DATA")
    return DEFAULT if data is None else Path(data) / "wallet"
