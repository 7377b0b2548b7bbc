# `make train` and `make test` work as the first command on a machine with Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help train test check format clean

help:
	@echo "make train   train the tutorial's network (sets up $(VENV) first)"
	@echo "make test    run the tests"
	@echo "make check   ruff and mypy"
	@echo "make format  let ruff format and fix the code"
	@echo "make clean   remove $(VENV) and caches"

train: $(READY)
	$(BIN)/cnnmnist train $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest -n auto -m "not long" $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
