# Everything runs in .venv; VENV=... chooses another.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: setup app test check audit format

setup: $(BIN)/.dev

$(BIN)/.dev: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -r requirements-dev.txt
	touch $@

app: setup
	$(BIN)/python -m app

test: setup
	$(BIN)/python -m pytest -n 2

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2
	$(BIN)/python deploy/audit.py

audit: setup
	$(BIN)/python deploy/audit.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
