"""Published policies: numbered without gaps, never changed, and who approved what needed approval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

BUNDLE_LIFE: Final = timedelta(hours=1)  # after it a verifier that heard nothing denies (FCL)
BUNDLE_RENEWED: Final = timedelta(minutes=5)  # within it every replica signs the very same bundle
APPROVERS_NEEDED: Final = 2  # different operators, for `union`


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRecord:
    """What is known of a published version."""

    version: int  # the first is 1; a rollback is a new version too
    digest: str
    published: datetime
    by: str  # DID of the operator
    note: str
    restores: int | None = None  # the version a rollback brought back
    approvers: tuple[str, ...] = ()  # operators who approved its unions


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """A published version with its content, as it was written."""

    record: PolicyRecord
    document: Mapping[str, object]
    cases: tuple[object, ...]  # the saved decisions it was published with
