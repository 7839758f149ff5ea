# One command each. `demo`, `test`, `bench` and `lint` install first by themselves; the stamp makes the second time instant.
PYTHON ?= python3
VENV ?= .venv
STAMP := $(VENV)/.proxy3d-installed
BIN := $(VENV)/bin

.PHONY: install demo test bench lint clean

install: $(STAMP)

$(STAMP): pyproject.toml setup.py $(wildcard training/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "$(PYTHON) is older than Python 3.10; name a newer one: make $(firstword $(MAKECMDGOALS) install) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -e '.[dds,viz,sim,models,train,dev]' -e training
	@touch $@

demo: $(STAMP)
	$(BIN)/python -m proxy3d_ros.demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

bench: $(STAMP)
	$(BIN)/proxy3d bench $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf build dist out *.egg-info training/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
