# Two commands: `make demo` walks the whole story, `make test` proves it.  Each does its own set-up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q
DATA   ?= .did-agent
PORT   ?= 8400
WORKERS ?= 2
SCREENSHOTS ?= screenshots

.PHONY: demo up test nightly bench revision baseline screenshots lint types contracts lock clean help

help:
	@echo "make demo   walk the story on loopback and end"
	@echo "make up     run issuer, bridge, ledger and the demo MCP server until Ctrl-C (DATA=$(DATA) PORT=$(PORT))"
	@echo "make test   static checks and all tests"
	@echo "make nightly  fuzzers for a minute each, 100,000 random documents"
	@echo "make revision  write the next step of a schema: PARTY=issuer MESSAGE=\"agents have a colour\""
	@echo "make baseline  write the first steps anew, before their release: PARTY=issuer, or all"
	@echo "make screenshots  pictures of every page for people, in $(SCREENSHOTS)"
	@echo "make bench  speed and memory, side by side with peers"

demo: $(VENV)/.run
	@$(BIN)/did-agent demo

up: $(VENV)/.run
	@$(BIN)/did-agent up --data $(DATA) --port $(PORT)

test: $(VENV)/.dev
	@sh .ci/system-packages
	@$(MAKE) --no-print-directory lint types contracts
	@$(BIN)/python tests/with_postgres.py $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

nightly: $(VENV)/.dev
	@DID_AGENT_NIGHTLY=1 $(BIN)/python tests/with_postgres.py $(BIN)/python -m pytest tests/fuzz tests/property tests/e2e/test_issuer_kills.py tests/e2e/test_ledger_kills.py tests/e2e/test_ten_thousand_lives.py $(ARGS)

bench: $(VENV)/.dev
	@$(BIN)/python benchmarks/credential_verify.py $(ARGS)
	@$(BIN)/python benchmarks/import_and_memory.py
	@$(BIN)/python benchmarks/token_endpoint.py
	@$(BIN)/python benchmarks/guard.py
	@$(BIN)/python benchmarks/idle_connections.py
	@$(BIN)/python benchmarks/issuer_growth.py
	@$(BIN)/python benchmarks/ledger_log.py

revision: $(VENV)/.dev
	@$(BIN)/python tests/packaging/revisions.py $(PARTY) "$(MESSAGE)"

baseline: $(VENV)/.dev
	@$(BIN)/python tests/packaging/revisions.py $(or $(PARTY),all)

screenshots: $(VENV)/.dev
	@DID_AGENT_SCREENSHOTS=$(SCREENSHOTS) $(BIN)/python -m pytest -q tests/browser/test_screenshots.py tests/browser/test_console_data.py $(ARGS)
	@echo "the pictures are in $(SCREENSHOTS)"

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.dev
	@$(BIN)/mypy

contracts: $(VENV)/.dev
	@$(BIN)/lint-imports

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "did-agent needs Python 3.11 or newer; set PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "cannot make a virtual environment: install your system's python3-venv package" >&2; exit 1; }

$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing (hash-locked) ..."
	@begun=$$(date +%s); $(PIP) install --require-hashes -r requirements/run.txt \
	  && $(PIP) install --no-deps --no-build-isolation -e . \
	  && echo "installed in $$(( $$(date +%s) - begun )) s"
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/.run
	@echo "installing what the tests need (hash-locked) ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

# Pins and hashes without addresses.  Needs `uv` on the PATH.
lock:
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra server --extra postgres --extra mcp --extra policy requirements/build.in pyproject.toml -o requirements/run.txt
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --all-extras -c requirements/run.txt requirements/build.in pyproject.toml -o requirements/dev.txt

clean:
	rm -rf $(VENV) build dist *.egg-info
