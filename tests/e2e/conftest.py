"""One deployment for all end-to-end tests that do not break it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def _load(name: str) -> Any:
    # The end-to-end tests share these two modules; the import mode of the suite has no test packages.
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


processes = _load("processes")
documents = _load("documents")


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started = processes.Up(tmp_path_factory.mktemp("deployment") / "data").start()
    yield started
    started.stop()
