# Hearth: each target does all of its own set-up; running one again is quick and changes nothing.

# The first Python that fits: 3.11 to 3.13.
FITS = 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
UNFIT = "Hearth needs Python 3.11, 3.12 or 3.13. Install one, or name it: make PYTHON=/path/to/python3.12 …"
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c $(FITS) >/dev/null 2>&1 && echo $$p && break; done)
endif
# A Python that you name replaces a .venv made with another; one found on the path doesn't.
SETUP = $(PYTHON) scripts/setup.py $(if $(filter-out file,$(origin PYTHON)),--this-python)
PY = .venv/bin/python
ARGS ?=
# make would read the dollars and brackets of a task as its own.
unexport TASK

.PHONY: help run ask serve test setup setup-test check tiny tiny-eval env-example clean

help:
	@echo "make run               set up, start the engine and the app, print its address"
	@echo "make ask TASK=\"…\"      one task on the command line (ARGS=\"--file sales.csv\")"
	@echo "make serve             a model's server in the foreground (MODEL=… ENGINE=…)"
	@echo "make test              everything that checks Hearth, offline"
	@echo "make tiny              rebuild the bundled model from its seed (hours on a CPU)"
	@echo "make tiny-eval         measure the bundled model through the whole agent"
	@echo "make env-example       write .env.example anew from settings/"
	@echo "make clean             remove the virtual environment and caches, keep your data"

setup:
	@$(PYTHON) -c $(FITS) 2>/dev/null || { echo $(UNFIT); exit 1; }
	@$(SETUP)

setup-test:
	@$(PYTHON) -c $(FITS) 2>/dev/null || { echo $(UNFIT); exit 1; }
	@$(SETUP) --test

run: setup
	@exec $(PY) app.py $(ARGS)

# TASK goes through the environment, so quotes and dollars in it stay as they are.
ask: export TASK_TEXT = $(value TASK)
ask: setup
	@printf '%s' "$$TASK_TEXT" | $(PY) -m agent $(ARGS)

serve: setup
	@exec $(PY) -m serving start $(if $(MODEL),--model '$(MODEL)') $(if $(ENGINE),--engine '$(ENGINE)') $(ARGS)

check: setup-test
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy

# Several files at a time, in their order: what a file's tests share stays in one process. One
# that fails is tried once more and counted as such: side by side, some find no core in time.
test: check
	@$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder --reruns 1 $(ARGS)

tiny: setup
	@exec $(PY) -m serving.tiny build --seed 0

# Instances that were never trained on, through engine, stream, sandbox and tools.
tiny-eval: setup
	@mkdir -p data/evals
	$(PY) -m serving.tiny tasks --side seen --per-family 20 --seed 1 --out data/evals/tiny-seen.jsonl
	$(PY) -m serving.tiny tasks --side heldout --per-family 20 --seed 1 --out data/evals/tiny-heldout.jsonl
	$(PY) -m evals run data/evals/tiny-seen.jsonl data/evals/tiny-heldout.jsonl \
		--out data/evals/tiny-results.jsonl --model tiny --replace
	$(PY) -m evals report data/evals/tiny-results.jsonl --command "make tiny-eval" --write-card --check

env-example: setup
	@$(PY) -c "import settings; open('.env.example', 'w').write(settings.env_example())"

clean:
	rm -rf .venv .venv-vllm* .venv-llamacpp* .pytest_cache .mypy_cache .ruff_cache .hypothesis
