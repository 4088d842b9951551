# Each target is complete by itself on a machine with Python >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
LANGUAGE_SERVER := node_modules/installed
WORKERS ?= 3
SOAKED := $(addprefix tests/apply/test_,kill.py switches.py weather.py storm.py)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test laws stores soak lint schemas snapshots format browser clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(INSTALLED) ## the whole job on real purchases against a local Batch
	$(BIN)/batchctl demo

test: $(INSTALLED) $(LANGUAGE_SERVER) browser lint ## everything CI runs
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

laws: $(INSTALLED) ## the laws of membership over many random worlds; HYPOTHESIS_PROFILE=ci makes it short
	HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-deep} $(BIN)/pytest -n $(WORKERS) tests/laws

stores: $(INSTALLED) $(LANGUAGE_SERVER) ## kill -9 at every point of an apply whose state is in a bucket
	BATCHCTL_EVERY_POINT=1 $(BIN)/pytest -n $(WORKERS) tests/stores

soak: $(INSTALLED) ## an hour of it: every switch, every point to kill at, many random worlds and faults; ends with a count
	@rm -f .soak
	BATCHCTL_SOAK=$(CURDIR)/.soak $(BIN)/pytest -n $(WORKERS) $(SOAKED); code=$$?; $(BIN)/python -m tests.apply.soak .soak; exit $$code

lint: $(INSTALLED) ## style, types, generated files, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/batchctl schema --check
	$(BIN)/lint-imports

format: $(INSTALLED) ## rewrites the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: $(INSTALLED) ## rewrites schemas/ from the models
	$(BIN)/batchctl schema

snapshots: $(INSTALLED) ## rewrites the expected outputs; read the diff before you commit it
	$(BIN)/pytest -n $(WORKERS) --snapshot-update

browser: ## a headless browser for the dashboard tests, where we may install one
	@if [ -n "$$CI" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v chromium >/dev/null; then \
		(apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium) >/dev/null \
		|| echo "chromium could not be installed: the tests that need it are skipped"; fi

clean: ## forgets what make installed
	rm -rf .venv node_modules .demo

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "batchctl needs Python 3.11 or newer: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling editables
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

$(LANGUAGE_SERVER): package.json
	@if command -v npm >/dev/null; then npm install --no-package-lock --no-audit --no-fund --silent; \
	else echo "npm is missing: the tests of schemas/ in yaml-language-server and of state in Azure are skipped"; fi
	@mkdir -p $(@D) && touch $@
