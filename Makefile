# `make` alone lists the targets. Needs Python 3.11 or newer and make; everything
# else is installed into .venv from the lock files.

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PYTHON ?=
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11 python
DATA := $(or $(MCDASH_DATA_DIR),var)
RUNTIME := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev
# Where test-services finds PostgreSQL; the user must be allowed to make databases.
export MCDASH_TEST_POSTGRES_URL ?= postgresql://mcdash_test:mcdash_test@127.0.0.1:5432/mcdash_test
PYTEST := $(PY) -m pytest
# What stores and what works; the rest knows no database, or runs mcdash as processes.
ON_ENGINES := tests/test_worker.py tests/test_thread_pool.py tests/models tests/usecases \
  tests/views tests/lists tests/admin tests/commands tests/at_most_once tests/contract \
  tests/test_gateway.py
# COVERAGE=1 measures the fast tests; `make coverage` tells and judges.
COV := $(if $(COVERAGE),--cov --cov-branch --cov-append --cov-report= --cov-fail-under=0)
NEW_KEYS := import base64, secrets; \
  print("MCDASH_SECRET_KEY=" + secrets.token_urlsafe(48)); \
  print("MCDASH_FIELD_KEYS=" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 $(PY) -m pip --quiet
LOCK := $(PY) -m uv pip compile --universal --generate-hashes --no-strip-extras --no-emit-index-url \
  --python-version 3.11 --quiet --custom-compile-command "make lock"

export PYTHONUNBUFFERED := 1

.PHONY: help demo setup test screenshots test-slow test-services coverage bench bench-load check audit format lock clean keys
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1|\2/p' Makefile | \
	  while IFS='|' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

demo: $(RUNTIME) keys  ## run mcdash beside a sandbox of Marketing Cloud; Ctrl-C ends it
	@exec $(PY) manage.py demo --parent $$PPID $(DEMO)

setup: $(DEV) keys  ## install, make local keys, migrate, add the sandbox's accounts
	@$(PY) manage.py migrate --verbosity 0
	@$(PY) manage.py add_sandbox_accounts

test: $(DEV)  ## the fast tests, and the browser tests where a Chromium is found
	$(PYTEST) -n 4 -m "not slow and not exhaustive and not services" $(COV) $(PYTEST_ARGS)

screenshots: $(DEV)  ## picture every page into screenshots/
	$(PY) -m tests.browser.screenshots screenshots

test-slow: $(DEV)  ## the tests that take long
	$(PYTEST) -n 4 -m "(slow or exhaustive) and not services" $(PYTEST_ARGS)

coverage: $(DEV)  ## what the fast tests with COVERAGE=1 went through; at least 95 %
	$(PY) -m coverage report

test-services: $(DEV)  ## the tests that need nginx, or PostgreSQL on 127.0.0.1
	DATABASE_URL=$(MCDASH_TEST_POSTGRES_URL) $(PYTEST) -n 2 \
	  -m "not slow and not services" $(ON_ENGINES) $(PYTEST_ARGS)
	$(PYTEST) -n 3 --dist loadfile -m services $(PYTEST_ARGS)

bench: $(DEV)  ## measure; prints figures, judges nothing
	$(PY) -m tests.bench $(BENCH)

bench-load: $(DEV)  ## 200 open dashboards for 5 minutes: make bench-load LOAD=--dashboards=1000
	$(PY) -m tests.bench.load $(LOAD)

# The site is loaded by mypy's Django plugin and by manage.py: keys are thrown away.
check: $(DEV)  ## lint, types, layers, templates, migrations, settings
	@set -eu; data=$$(mktemp -d); trap 'rm -rf "$$data"' EXIT; \
	keys=$$($(PY) -c '$(NEW_KEYS)'); export $$keys MCDASH_DATA_DIR="$$data" \
	  DATABASE_URL="sqlite:///$$data/check.sqlite3" MCDASH_ALLOW_LOOPBACK=1; \
	run() { echo "+ $$*"; "$$@"; }; \
	run $(PY) -m ruff check .; \
	run $(PY) -m ruff format --check .; \
	run $(PY) -m mypy .; \
	run $(BIN)/lint-imports; \
	run $(PY) -m djhtml --check templates; \
	run $(PY) manage.py makemigrations --check --dry-run; \
	run $(PY) manage.py check --fail-level WARNING

audit: $(DEV)  ## ask for known holes in what mcdash runs on; needs the package index's own data
	$(PY) -m uv tool run pip-audit --strict --require-hashes --disable-pip -r requirements.txt

format: $(DEV)  ## let the tools put code and templates in order
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	$(PY) -m djhtml templates

lock: $(PY)  ## remake the lock files from pyproject.toml: make lock UPGRADE=--upgrade
	@$(PY) -m uv --version >/dev/null 2>&1 || $(PIP) install uv
	$(LOCK) $(UPGRADE) pyproject.toml -o requirements.txt
	$(LOCK) $(UPGRADE) pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

clean:  ## remove .venv and the tools' caches; keeps var/
	rm -rf $(VENV) .coverage .coverage.* htmlcov .mypy_cache .ruff_cache .pytest_cache \
	  .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Keys for local use, made once. The environment and .env win over them.
keys: $(PY)
	@set -eu; umask 077; mkdir -p "$(DATA)"; \
	if [ ! -e "$(DATA)/keys.env" ]; then \
	  { $(PY) -c '$(NEW_KEYS)'; echo MCDASH_ALLOW_LOOPBACK=1; } > "$(DATA)/keys.env.new"; \
	  mv "$(DATA)/keys.env.new" "$(DATA)/keys.env"; \
	fi

$(RUNTIME): requirements.txt | $(PY)
	@echo "Installing what mcdash runs on ..."
	@$(PIP) install --require-hashes -r requirements.txt
	@touch $@

$(DEV): requirements-dev.txt requirements.txt | $(PY)
	@echo "Installing what mcdash runs on and is tested with ..."
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@ $(RUNTIME)

$(PY):
	@for python in $(or $(PYTHON),$(PYTHONS)); do \
	  "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	    2>/dev/null || continue; \
	  "$$python" -m venv --clear $(VENV) && exit 0; \
	  rm -rf $(VENV); exit 1; \
	done; \
	echo "mcdash needs Python 3.11 or newer with its venv module; none was found among:" \
	  "$(or $(PYTHON),$(PYTHONS))." >&2; \
	echo "Install one (Debian, Ubuntu: apt-get install python3 python3-venv)" \
	  "or name it: make $(or $(MAKECMDGOALS),demo) PYTHON=/path/to/python3" >&2; \
	exit 1
