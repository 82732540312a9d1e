# make demo         see services call each other over a real broker
# make test         all tests, on the newest dependencies           ARGS="-k name" for some of them
# make check        format, lint, types, floors
# make test-lowest  all tests, on the oldest dependencies allowed
# make test-django  tests of Django on the releases of it that the others do not take, where Python allows
# make test-matrix  all of the above tests, on each Python, broker and set of dependencies that is there
# make bench        what a call costs beside the raw floor, NATS and gRPC   ARGS=--quick for the short run
# make format       put the code into its format
# make clean        remove what these have made
#
# Everything that is needed is installed into .venv and .venvs. PYTHON chooses the interpreter.

ifndef PYTHON
PYTHON := $(shell scripts/find-python)
endif
# Tests mostly wait for brokers and processes; more at a time would make those late that are about time.
JOBS ?= $(shell cores=`getconf _NPROCESSORS_ONLN`; echo $$(( cores < 4 ? cores + 1 : 4 )))
ARGS ?=

ENVIRONMENT = $(PYTHON) scripts/environment.py
WORK = --extras embedded,currency,django,fast,reload,test-plans --groups test,lint --optional-groups web,postgres \
	--apart tests/functional/data/requirements.txt
PYTEST = -m pytest -q -n $(JOBS) --dist worksteal

.PHONY: help demo test check bench format test-lowest test-django test-matrix clean python

help:
	@sed -n 's/^# //p' Makefile

python:
	@test -n "$(PYTHON)" || exit 1

demo: python
	@$(ENVIRONMENT) .venvs/demo --extras embedded,conformity
	@.venvs/demo/bin/pysoa demo $(ARGS)

test: python
	@$(ENVIRONMENT) .venv $(WORK)
	.venv/bin/python $(PYTEST) $(ARGS)

check: python
	@$(ENVIRONMENT) .venv $(WORK)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	@if ls tests/typing/*.py >/dev/null 2>&1; then echo .venv/bin/basedpyright; .venv/bin/basedpyright; fi
	.venv/bin/python -m pytest -q -p no:cacheprovider tests/unit/test_floors.py tests/unit/test_public_docstrings.py

bench: python
	@$(ENVIRONMENT) .venv $(WORK)
	-@$(ENVIRONMENT) .venvs/bench-peers --without-package benchmarks/peers/requirements.txt
	@.venv/bin/python -m benchmarks $(ARGS)

format: python
	@$(ENVIRONMENT) .venv $(WORK)
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

test-lowest: python
	@$(PYTHON) scripts/matrix.py --jobs $(JOBS) --only lowest

test-django: python
	@$(PYTHON) scripts/matrix.py --jobs $(JOBS) --only django-5.2 --only django-newest

test-matrix: python
	@$(PYTHON) scripts/matrix.py --jobs $(JOBS)

clean:
	rm -rf .venv .venvs .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
