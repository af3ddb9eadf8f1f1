# The two commands of a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DATA   ?=
NAME   ?= demo
# Not from the environment, where some shells keep the machine's name: make serve HOST=… PORT=…
HOST   := 127.0.0.1
PORT   := 8000
# So many tests at a time: make test WORKERS=4. A worker that has none left takes half of those that another still has.
WORKERS     ?= 2
IN_PARALLEL := -n $(WORKERS) --dist worksteal --durations 10

.PHONY: demo serve starters ecg-backbone test check format clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# Trains on DATA (without it: on pictures made up on the spot) and opens the report.
demo: $(VENV)/installed
	MEDLOUPE_HOME=$(CURDIR)/demo $(BIN)/python scripts/demo.py --name $(NAME) $(DATA)

# The web page and the API on http://HOST:PORT/, with the shipped check-ups and the models that `make demo` made.
serve: $(VENV)/installed
	MEDLOUPE_HOME=$(CURDIR)/demo $(BIN)/medloupe serve --host $(HOST) --port $(PORT)

# Every shipped check-up again, from the data folder; fails where a figure leaves its recorded interval.
starters: $(VENV)/installed
	$(BIN)/python scripts/build_starters.py --data $(or $(DATA),../shared/data)
	$(BIN)/python scripts/checkups_page.py

# The networks of the ECG check-ups again, in about ten minutes; then `make starters`, as check-ups belong to their network.
ecg-backbone: $(VENV)/installed
	$(BIN)/python scripts/build_ecg_backbone.py --beats $(or $(DATA),../shared/data)/ecg_beats \
		--twelve $(or $(DATA),../shared/data)/ecg_12lead

test: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest $(IN_PARALLEL)

# Quick, while working: lint, types and the tests that take no pictures from ../shared.
check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest $(IN_PARALLEL) -m "not realdata and not slow"

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .ruff_cache .hypothesis
