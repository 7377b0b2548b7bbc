# `make train` and `make test` work as the first command on a machine with Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help train test test-cluster test-lowest check docs bench format clean

help:
	@echo "make train   train the tutorial's network (sets up $(VENV) first)"
	@echo "make test    run the tests"
	@echo "make test-cluster  run the tests that start Slurm or Ray, where they are installed"
	@echo "make test-lowest  run them with the lowest versions that pyproject.toml allows (needs python3.11)"
	@echo "make check   ruff, mypy and the directions of imports"
	@echo "make docs    build the documentation as a site, build/site/index.html"
	@echo "make bench   compare the speed with that of other programs (sets up theirs first)"
	@echo "make format  let ruff format and fix the code"
	@echo "make clean   remove $(VENV) and caches"

train: $(READY)
	$(BIN)/cnnmnist train $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadgroup -m "not long and not cluster" $(ARGS)

test-cluster: $(READY)
	$(BIN)/python -m pytest -n 0 -m cluster -rs $(ARGS)

# The lowest versions have wheels for the lowest Python alone.
test-lowest: .venv-lowest/.ready
	.venv-lowest/bin/python -m pytest -n auto --dist loadgroup -m "not long and not cluster" $(ARGS)

.venv-lowest/.ready: pyproject.toml
	python3.11 -m venv --clear .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest --resolution lowest-direct --editable '.[dev]'
	@touch $@

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env -c docs . build/site
	cp build/site/README.html build/site/index.html

# A peer that cannot be set up is named in the table instead of ending the benchmark.
bench: $(READY)
	-$(MAKE) .venv-bench-torch/.ready
	-$(MAKE) .venv-bench-jax/.ready
	$(BIN)/python benchmarks/throughput.py $(ARGS)

.venv-bench-%/.ready: benchmarks/contenders/requirements-%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .venv-bench-* .venv-lowest .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
