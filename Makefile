# Hearth: each target does all of its own set-up; running one again is quick and changes nothing.

# The first Python that fits: 3.11 to 3.13.
FITS = 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c $(FITS) >/dev/null 2>&1 && echo $$p && break; done)
VENV = .venv/bin
ARGS ?=

.PHONY: help run ask test setup setup-test check tiny tiny-eval env-example clean

help:
	@echo "make run               set up, start the engine and the app, print its address"
	@echo "make ask TASK=\"…\"      one task on the command line (ARGS=\"--file sales.csv\")"
	@echo "make test              everything that checks Hearth, offline"
	@echo "make tiny              rebuild the bundled model from its seed (hours on a CPU)"
	@echo "make tiny-eval         measure the bundled model through the whole agent"
	@echo "make env-example       write .env.example anew from settings.py"
	@echo "make clean             remove the virtual environment and caches, keep your data"

setup:
	@test -n "$(PYTHON)" || { echo "Hearth needs Python 3.11, 3.12 or 3.13. Install one, or say make PYTHON=/path/to/python3.12 …"; exit 1; }
	@$(PYTHON) scripts/setup.py

setup-test:
	@test -n "$(PYTHON)" || { echo "Hearth needs Python 3.11, 3.12 or 3.13. Install one, or say make PYTHON=/path/to/python3.12 …"; exit 1; }
	@$(PYTHON) scripts/setup.py --test

run: setup
	@exec $(VENV)/python app.py $(ARGS)

# TASK goes through the environment, so quotes and dollars in it stay as they are.
ask: export HEARTH_TASK_TEXT = $(value TASK)
ask: setup
	@printf '%s' "$$HEARTH_TASK_TEXT" | env -u HEARTH_TASK_TEXT $(VENV)/python -m agent $(ARGS)

check: setup-test
	@$(VENV)/ruff check . && $(VENV)/ruff format --check . && $(VENV)/mypy

test: check
	@$(VENV)/python -m pytest $(ARGS)

tiny: setup
	@exec $(VENV)/python -m serving.tiny build --seed 0

# Instances that were never trained on, through engine, stream, sandbox and tools.
tiny-eval: setup
	@mkdir -p data/evals
	$(VENV)/python -m serving.tiny tasks --side seen --per-family 20 --seed 1 --out data/evals/tiny-seen.jsonl
	$(VENV)/python -m serving.tiny tasks --side heldout --per-family 20 --seed 1 --out data/evals/tiny-heldout.jsonl
	$(VENV)/python -m evals run data/evals/tiny-seen.jsonl data/evals/tiny-heldout.jsonl \
		--out data/evals/tiny-results.jsonl --model tiny --replace
	$(VENV)/python -m evals report data/evals/tiny-results.jsonl --command "make tiny-eval" --write-card --check

env-example: setup
	@$(VENV)/python -c "import settings; print(settings.env_example(), end='')" > .env.example

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
