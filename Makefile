# A fresh machine: `make serve`, `make demo` (light), `make test` (everything). CONTRIBUTING.md has a line for each target.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check install
DATA   ?=
NAME   ?= demo
# Not from the environment, where some shells keep the machine's name: make serve HOST=… PORT=…
HOST   := 127.0.0.1
PORT   := 8000
# So many tests at a time: make test WORKERS=4. A worker that has none left takes half of those that another still has.
WORKERS     ?= 2
IN_PARALLEL := -n $(WORKERS) --dist worksteal --durations 10

.PHONY: demo serve web-runtime apk starters ecg-backbone lint test check format docs pictures soak constraints release clean

# One environment in two steps: what answering and linear training need, ECGs included; then the tools of development.
# Not compiled ahead: four fifths of the bytecode would never be used, and it is a quarter of the size.
# Check-ups from data that are not open come from a second package, research/.
$(VENV)/light: pyproject.toml constraints.txt research/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-compile --constraint constraints.txt --editable '.[ecg]' --editable ./research
	touch $@

$(VENV)/dev: $(VENV)/light
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	touch $@

# What looks for pages that some people cannot use; one file from npm, checked by its sha512. Tests that need it fail
# without it where CI is set, and are skipped elsewhere.
AXE := build/axe-core/axe.min.js
$(AXE): scripts/axe.py | $(VENV)/dev
	$(BIN)/python scripts/axe.py

# What runs networks in a browser, onnxruntime-web: three files from npm, checked by their sha256. Without them the page
# that answers on the device says what is missing, and all else works, so that being offline stops nothing.
web-runtime: | $(VENV)/light
	-$(BIN)/python scripts/web_runtime.py

# Trains on DATA (without it: on pictures made up on the spot) and opens the report.
demo: $(VENV)/light
	MEDLOUPE_HOME=$(CURDIR)/demo $(BIN)/python scripts/demo.py --name $(NAME) $(DATA)

# The web page and the API on http://HOST:PORT/, with the shipped check-ups and the models that `make demo` made.
serve: $(VENV)/light web-runtime
	MEDLOUPE_HOME=$(CURDIR)/demo $(BIN)/medloupe serve --host $(HOST) --port $(PORT)

# The app on the device as an Android package, signed by one's own key: make apk KEY=my.keystore CHECKUPS=pneumonia,skin
apk: $(VENV)/light web-runtime
	$(BIN)/python scripts/apk.py --key "$(KEY)" --checkups "$(CHECKUPS)"

# Every shipped check-up again, from the data folder; fails where a figure leaves its recorded interval.
starters: $(VENV)/dev
	$(BIN)/python scripts/build_starters.py --data $(or $(DATA),../shared/data)
	$(BIN)/python scripts/checkups_page.py

# The networks of the ECG check-ups again, in about ten minutes; then `make starters`, as check-ups belong to their network.
ecg-backbone: $(VENV)/dev
	$(BIN)/python scripts/build_ecg_backbone.py --beats $(or $(DATA),../shared/data)/ecg_beats \
		--twelve $(or $(DATA),../shared/data)/ecg_12lead

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

test: lint $(AXE) web-runtime
	$(BIN)/python scripts/run_tests.py $(IN_PARALLEL)

# Quick, while working: lint, types, imports and the tests that take no pictures from ../shared.
check: lint $(AXE) web-runtime
	$(BIN)/python -m pytest $(IN_PARALLEL) -m "not realdata and not slow"

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The documentation as a site in site/, with the API reference from docstrings and pictures of the product as it is now.
docs: $(VENV)/dev
	$(BIN)/python scripts/build_docs.py --pictures new

# The pictures that README shows on the code host, again: a model trained on made-up cells, its report, its page.
pictures: $(VENV)/dev
	$(BIN)/python scripts/docs_pictures.py docs --only report report-heatmaps page studio studio-publish

# Kills, swaps and faults by the hundred, the API's whole description asked 500 times each, damaged files by the
# thousand: for hours. Nothing acknowledged may be lost. `pip install atheris` first, and FUZZ=3600 for an hour of the
# processor for each reader with files that coverage leads to; CI runs a twentieth of all but these.
FUZZ ?= 0
soak: $(VENV)/dev
	$(BIN)/python benchmarks/faults.py store --kills 500
	$(BIN)/python benchmarks/faults_serving.py swaps sigterm sigkill overload databases
	$(BIN)/python benchmarks/fuzz.py --count 2000
	[ $(FUZZ) = 0 ] || $(BIN)/python benchmarks/fuzz_guided.py --seconds $(FUZZ)
	MEDLOUPE_EXAMPLES=250 $(BIN)/python -m pytest tests/journeys/test_schemathesis.py

# constraints.txt again, from the versions in this environment; run the tests in it first.
constraints: $(VENV)/dev
	$(BIN)/python scripts/constraints.py constraints.txt

# sdist and wheel in dist/, checked, installed into an empty environment and tried there; what that holds as an SBOM.
release: $(VENV)/dev web-runtime
	$(BIN)/python scripts/release.py

clean:
	rm -rf $(VENV) demo build dist site .import_linter_cache .pytest_cache .ruff_cache .hypothesis
