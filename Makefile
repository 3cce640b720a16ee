# make run | test | check | bench | matrix      TF=2.21 (default) or TF=2.15      PYTHON=/path/to/python3
TF ?= 2.21
VENV := .venvs/tf-$(TF)
BIN := $(VENV)/bin
export PYTHON

.PHONY: help run test check bench matrix env clean
help:
	@echo "make run    train, evaluate, export, serve and query the census model"
	@echo "make test   the tests               make check  format, lint, types, import rules"
	@echo "make bench  the measured figures    make env    only the virtual environment"
	@echo "make matrix compat on every supported TensorFlow, an environment each (ARGS=2.16.2: that one)"
	@echo "make run ARGS=--max_steps=5000 hands more flags to estimator-train."
	@echo "All but matrix take TF=2.21 (default), TF=2.15 or a release such as TF=2.18.1, and PYTHON=/path/to/python3."

run: $(VENV)/.installed
	@$(BIN)/python scripts/main_job.py --model_dir=runs/census-tf-$(TF) $(ARGS)

test: $(VENV)/.installed
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.installed
	@scripts/check $(BIN)

bench: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.all

matrix:
	@$(or $(PYTHON),python3) scripts/matrix $(ARGS)

env: $(VENV)/.installed

$(VENV)/.installed: setup.cfg pyproject.toml scripts/make_env $(wildcard constraints/tf-$(TF).txt)
	@scripts/make_env $(TF)

clean:
	rm -rf .venvs build dist *.egg-info
