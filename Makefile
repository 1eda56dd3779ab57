VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.PHONY: demo setup check test bench

demo: setup ## index the sample corpus, ask one question, serve
	$(PY) -m unirag demo

setup: $(STAMP) ## virtual environment, dependencies and the models of profile mini
	$(PY) -m unirag models pull

check: $(STAMP) ## what a change must pass before it is tested
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

test: setup check ## every test that needs no GPU
	$(PY) -m pytest

bench: setup ## every benchmark that needs no GPU; results go to benchmarks/results/
	$(PY) -m benchmarks

$(STAMP): pyproject.toml
	test -x $(PY) || python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet --editable ".[dev]"
	touch $@
