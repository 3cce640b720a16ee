# make run | test | check | bench      TF=2.21 (default) or TF=2.15      PYTHON=/path/to/python3
TF ?= 2.21
VENV := .venvs/tf-$(TF)
BIN := $(VENV)/bin
export PYTHON

.PHONY: help run test check bench env clean
help:
	@echo "make run    train, evaluate, export, serve and query the census model"
	@echo "make test   the tests               make check  format, lint, types, import rules"
	@echo "make bench  the measured figures    make env    only the virtual environment"
	@echo "make run ARGS=--max_steps=5000 hands more flags to estimator-train."
	@echo "Each takes TF=2.21 (default) or TF=2.15, and PYTHON=/path/to/python3."

run: $(VENV)/.installed
	@$(BIN)/python scripts/main_job.py --model_dir=runs/census-tf-$(TF) $(ARGS)

test: $(VENV)/.installed
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.installed
	@scripts/check $(BIN)

bench: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.all

env: $(VENV)/.installed

$(VENV)/.installed: setup.cfg pyproject.toml scripts/make_env $(wildcard constraints/tf-$(TF).txt)
	@scripts/make_env $(TF)

clean:
	rm -rf .venvs build dist *.egg-info
