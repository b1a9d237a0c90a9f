# Needs make and Python >= 3.11, nothing else: no compiler, nothing installed beforehand.
#   make test PYTHON=python3.12     picks the interpreter (remove .venv when changing it)
#   make test JOBS=8                picks the number of test processes
#   AIRLIFT_TESTS=all make test     runs the slow tests, too, and measures coverage (an hour)
#   make bench BENCH=full           measures from 0.1 to 8 GB as well (hours, 52 GB of disk)

PYTHON ?= python3
JOBS   ?= 2
BENCH  ?= pairs
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/installed
CODE   := airlift tests $(wildcard examples)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help venv demo test lint format bench fuzz crash steps session man wheels lock clean

help:
	@echo "make demo    the story from low to high and back, on the example stack"
	@echo "make test    lint, then all tests but the slow ones; AIRLIFT_TESTS=all for every test with branch coverage (an hour)"
	@echo "make lint    ruff, mypy --strict, import rules, warnings of the kernel's C"
	@echo "make format  rewrite the code as ruff formats it"
	@echo "make bench   sizes and seconds beside those of peers, into docs/benchmarks"
	@echo "make fuzz    property tests and fuzz targets with many more examples"
	@echo "make crash   kill, fail and cut the power at every single step (one to two hours)"
	@echo "make steps   40,000 random steps of enclaves and a depot, each held against the rules (an hour)"
	@echo "make session the picture in the README, from commands that are really run"
	@echo "make man     man pages in build/man; they are installed by: cp -r build/man ~/.local/share/"
	@echo "make venv    the environment that all of these use, from requirements.lock"
	@echo "make wheels  a folder to install the high side from, without a network"
	@echo "make lock    resolve the dependencies anew (needs network)"
	@echo "make clean   remove what the targets made, .venv included"

venv: $(STAMP)

# Everything comes from the lock, digest by digest; the build back end too, hence no build isolation.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than Python 3.11" >&2; \
	    echo "hint: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --only-binary :all: -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index -e .
	touch $@

demo: $(STAMP)
	$(BIN)/python examples/demo.py

test: lint
ifeq ($(AIRLIFT_TESTS),all)
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest -n $(JOBS) --cov --cov-report=term
else
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow"
endif

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.support.kernel_warnings

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(STAMP)
	$(BIN)/python -m tests.bench $(BENCH)

fuzz: $(STAMP)
	FUZZ_SECONDS=$${FUZZ_SECONDS:-600} $(BIN)/python -m pytest -n $(JOBS) -rA --timeout=0 --hypothesis-profile=fuzz tests/fuzz tests/property

crash: $(STAMP)
	AIRLIFT_CRASH=full $(BIN)/python -m pytest -n $(JOBS) --timeout=0 tests/crash

steps: $(STAMP)
	AIRLIFT_STEPS=full $(BIN)/python -m pytest -n $(JOBS) -rA --timeout=0 tests/steps tests/stateful

man: $(STAMP)
	$(BIN)/python -m airlift.cli.manual build/man/man1

session: $(STAMP)
	$(BIN)/python -m tests.recorded > session.svg.new
	mv session.svg.new docs/session.svg

# The versions of dev, low and hsm for every platform and Python that airlift supports, without any address:
# where they are downloaded from is the business of whoever installs.
lock:
	test -x .venv-lock/bin/uv || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv; }
	.venv-lock/bin/uv --no-config pip compile pyproject.toml --output-file requirements.lock $(LOCK) \
	  --universal --python-version 3.11 --extra dev --extra low --extra hsm --generate-hashes \
	  --no-header --no-annotate --quiet
	.venv-lock/bin/uv --no-config pip compile pyproject.toml --output-file requirements-high.lock $(LOCK) \
	  --universal --python-version 3.11 --constraint requirements.lock --generate-hashes \
	  --no-header --no-annotate --quiet

# What a high side of this platform installs without a network: airlift and what it needs at run time, as wheels.
wheels: $(STAMP)
	rm -rf wheels
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels .
	$(BIN)/python -m pip download --quiet --no-deps --require-hashes --only-binary :all: --dest wheels \
	  -r requirements-high.lock

clean:
	rm -rf $(VENV) .venv-lock build dist wheels airlift.egg-info htmlcov .coverage .coverage.* \
	  .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find airlift tests manifests examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
