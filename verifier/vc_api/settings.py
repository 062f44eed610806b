"""Settings of the VC-API of verifier and holder, from `DID_AGENT_*`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict


class VCSettings(BaseSettings):
    """Where it lives, what it keeps its key in, and how it says no."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    data: Path = Path(".did-agent")
    vc_api_url: str = "http://127.0.0.1:8406"
    verify_failure_status: Literal[200, 400] = 400  # of a verification that fails; 200 is VCALM's way
