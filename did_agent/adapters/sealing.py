"""Files of private keys sealed with age (https://age-encryption.org/v1), and the identity that opens them (KEY-01).

The identity is a file of mode 0600: `keystore.age-identity` beside the keys, or wherever
`DID_AGENT_KEYSTORE_IDENTITY_FILE` says.  It may be sealed itself, by a passphrase that the operator gives at every
start in `DID_AGENT_KEYSTORE_PASSPHRASE`, or in the file that `DID_AGENT_KEYSTORE_PASSPHRASE_FILE` names; never as an
argument, which every process of the machine can read.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from did_agent.adapters.files import write_private
from did_agent.errors import KeysUnavailable, Misconfigured

if TYPE_CHECKING:
    import pyrage

FILE: Final = "keystore.age-identity"
PASSPHRASE: Final = "DID_AGENT_KEYSTORE_PASSPHRASE"
IDENTITY: Final = "DID_AGENT_KEYSTORE_IDENTITY_FILE"
DEMAND: Final = "DID_AGENT_KEY_FILES"  # `sealed`: a plain key file stops the start
MAX_FILE: Final = 8_192  # bytes
_MARK: Final = b"age-encryption.org/v1"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def is_sealed(content: bytes) -> bool:
    """Tell whether a file is sealed."""
    return content.startswith(_MARK)


def are_sealed_ones_demanded() -> bool:
    """Tell whether plain key files stop the start.

    Raises: Misconfigured.
    """
    said = os.environ.get(DEMAND, "any")
    if said not in ("any", "sealed"):
        raise Misconfigured(f"{DEMAND} is `any` or `sealed`")
    return said == "sealed"


def passphrase_given() -> str | None:
    """Return the passphrase of the identity, from the environment or the file that it names.

    Raises: Misconfigured for both at once, for an empty one, and for a file that cannot be read.
    """
    given, file = os.environ.get(PASSPHRASE), os.environ.get(f"{PASSPHRASE}_FILE")
    if given is not None and file is not None:
        raise Misconfigured(f"{PASSPHRASE} and {PASSPHRASE}_FILE are both set")
    if file is not None:
        given = passphrase_in(Path(file))
    if given is not None and not given:
        raise Misconfigured(f"{PASSPHRASE} is empty")
    return given


def passphrase_in(file: Path) -> str:
    """Return the passphrase that a file holds.

    Raises: Misconfigured.
    """
    try:
        found = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the file of the passphrase, {file}, cannot be read") from error
    if not found:
        raise Misconfigured(f"the file of the passphrase, {file}, is empty")
    return found


def identity_file(folder: Path) -> Path:
    """Return where the identity is that opens the keys of a folder."""
    named = os.environ.get(IDENTITY)
    return folder / FILE if named is None else Path(named)


@dataclass(frozen=True, slots=True)
class Vault:
    """Seals for one identity, and opens what was sealed for it."""

    _identity: pyrage.x25519.Identity = field(repr=False)

    def seal(self, secret: bytes) -> bytes:
        """Return the sealed form of a secret."""
        import pyrage

        return bytes(pyrage.encrypt(secret, [self._identity.to_public()]))

    def open(self, sealed: bytes) -> bytes:
        """Return a secret.

        Raises: KeysUnavailable when it was sealed for another identity, or changed since.
        """
        import pyrage

        try:
            return bytes(pyrage.decrypt(sealed, [self._identity]))
        except pyrage.DecryptError as error:
            raise KeysUnavailable("a key was sealed for another identity, or changed since") from error


def open_vault(path: Path, *, passphrase: str | None, create: bool = False) -> Vault:
    """Return the vault of an identity file, which is made on demand, sealed where there is a passphrase.

    Raises: Misconfigured for a file that is missing, that others can read, or whose passphrase is wrong or missing.
    """
    _require_age()
    if create and not path.exists():
        _make(path, passphrase)
    content = read_own(path)
    if (passphrase is not None) != is_sealed(content):
        state = (
            "has no passphrase yet: run `did-agent key seal`, or seal it with `age -p`"
            if passphrase
            else "is sealed: its passphrase is needed"
        )
        raise Misconfigured(f"{path} {state}")
    return _unlocked(path, content, passphrase)


def vault_of(folder: Path, *, create: bool = False) -> Vault:
    """Return the vault of a folder of keys, unlocked as the environment says.

    Raises: Misconfigured.
    """
    return open_vault(identity_file(folder), passphrase=passphrase_given(), create=create)


def seal_identity(path: Path, passphrase: str) -> None:
    """Seal an identity file that is plain, in place.

    Raises: Misconfigured.
    """
    _require_age()
    import pyrage

    content = read_own(path)
    if is_sealed(content):
        return
    open_vault(path, passphrase=None)  # what is no identity is not sealed
    rewrite(path, bytes(pyrage.passphrase.encrypt(content, passphrase)))


def rewrite(path: Path, content: bytes) -> None:
    """Replace a file at once: after a crash it is as before or as after.

    Raises: Misconfigured.
    """
    try:
        write_private(path.resolve(), content)  # behind a link, so that the link stays
    except OSError as error:
        raise Misconfigured(f"cannot write {path}: {error.strerror}") from error


def read_own(path: Path) -> bytes:
    """Return the content of a file that nobody else can read.

    Raises: Misconfigured.
    """
    try:
        # Looked at through the descriptor: what is judged is what is read.
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise Misconfigured(f"cannot read the key {path}: {error.strerror}") from error
    if mode & _OTHERS:
        raise Misconfigured(f"{path} is readable by others; run: chmod 600 {path}")
    if len(content) > MAX_FILE:
        raise Misconfigured(f"{path} is too large for a key")
    return content


@lru_cache(maxsize=16)  # the passphrase is stretched for about a second, once for all keys of a process
def _unlocked(path: Path, content: bytes, passphrase: str | None) -> Vault:
    import pyrage

    try:
        opened = content if passphrase is None else pyrage.passphrase.decrypt(content, passphrase)
        lines = [line for line in opened.decode("ascii").splitlines() if line and not line.startswith("#")]
        return Vault(pyrage.x25519.Identity.from_str("".join(lines).strip()))
    except (pyrage.DecryptError, pyrage.IdentityError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} cannot be opened: wrong passphrase, or not an age identity") from error


def _make(path: Path, passphrase: str | None) -> None:
    import pyrage

    content = str(pyrage.x25519.Identity.generate()).encode() + b"\n"
    try:
        sealed = content if passphrase is None else bytes(pyrage.passphrase.encrypt(content, passphrase))
        write_private(path, sealed, replace=False)
    except FileExistsError:
        return  # another process was first
    except OSError as error:
        raise Misconfigured(f"cannot write {path}: {error.strerror}") from error


def _require_age() -> None:
    try:
        import pyrage  # noqa: F401
    except ImportError as error:
        raise Misconfigured("sealed keys need more: pip install 'did-agent[server]'") from error
