"""Our term tables say what the published contexts say, byte for byte of meaning; the originals are only read here."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from did_agent.credential.context import CAPABILITY_CONTEXT
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.jsonld.table import context_document, pinned
from did_agent.errors import UnknownContext

SHARED = Path(os.environ.get("DID_AGENT_SHARED", Path(__file__).parents[3] / "shared"))
FOLDER = SHARED / "contexts"
# Not carried: a context that needs another one which is not published with it, and an old one nobody here needs.
LEFT_OUT = {"https://www.w3.org/2018/credentials/examples/v1", "https://w3id.org/security/v2"}

needs_originals = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no official contexts at {FOLDER}; set DID_AGENT_SHARED to the folder that holds them"
)


def originals() -> list[dict[str, Any]]:
    return json.loads((FOLDER / "index.json").read_text())["contexts"] if FOLDER.is_dir() else []


def plain(context: Any) -> Any:
    """A context without what does not change its meaning: `@version`, and the two spellings of a bare definition."""
    if context is None:
        return None
    found: dict[str, Any] = {}
    for name, definition in context.items():
        if name != "@version":
            found[name] = bare(definition) if isinstance(definition, dict) else definition
    return found


def bare(definition: dict[str, Any]) -> Any:
    made = {**definition, "@context": plain(definition["@context"])} if "@context" in definition else definition
    return made["@id"] if set(made) == {"@id"} else made


@needs_originals
@pytest.mark.req("VCX-07")
@pytest.mark.parametrize("entry", originals(), ids=lambda entry: entry["file"])
def test_a_table_is_its_original(entry: dict[str, Any]) -> None:
    if entry["url"] in LEFT_OUT:
        with pytest.raises(UnknownContext):
            context_document(entry["url"])
        return
    raw = (FOLDER / entry["file"]).read_bytes()
    assert hashlib.sha256(raw).hexdigest() == entry["sha256"] == pinned()[entry["url"]][1]
    published = json.loads(raw)["@context"]
    published = published[0] if isinstance(published, list) else published
    assert context_document(entry["url"])["@context"] == plain(published)


def test_our_own_table_is_what_its_digest_says() -> None:
    served = canonicalize(context_document(CAPABILITY_CONTEXT))
    assert hashlib.sha256(served).hexdigest() == pinned()[CAPABILITY_CONTEXT][1]


@needs_originals
def test_every_table_has_an_original() -> None:
    assert set(pinned()) - {CAPABILITY_CONTEXT} == {entry["url"] for entry in originals()} - LEFT_OUT
