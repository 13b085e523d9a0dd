# Everything here works from a fresh clone: the first target that needs the environment builds it in .venv.

PROFILE ?= quick
SEEDS ?=
JOBS ?= 2
DEVICE ?=
MINUTES ?=
PANELS ?=
RECORDS ?=
FIGURES ?= fig1 fig2 fig3 fig4 theory
STUDY ?=
WORKERS ?= 2
STORAGE ?=
TORCH ?=
# A .venv that was made with CUDA=no stays so.
CUDA ?= $(if $(wildcard .venv/.no-cuda),no)
TORCH_INDEX ?= $(if $(filter no,$(CUDA)),https://download.pytorch.org/whl/cpu)
TIMIT_DIR ?=
PTB_DIR ?=
export TIMIT_DIR PTB_DIR
PYTHON ?= $(or $(shell for p in python3.11 python3.12 python3.13; do $$p -c '' 2>/dev/null && echo $$p && break; done),python3)

GIGABYTES = $(if $(filter no,$(CUDA)),1.9,5.6)
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --no-compile
RUN_ARGS = --profile $(PROFILE) --jobs $(JOBS) $(if $(SEEDS),--seeds '$(SEEDS)') $(if $(DEVICE),--device $(DEVICE)) \
    $(if $(MINUTES),--minutes $(MINUTES))
DRAW_ARGS = $(if $(PANELS),--panels '$(PANELS)')
# Figure 2c needs speech: TIMIT, or else espeak-ng (GPL-3), which synthesises some in a separate process.
SPEECH = $(if $(TIMIT_DIR),,.venv/.speech)
READ_ARGS = $(if $(RECORDS),--records '$(RECORDS)')

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help theory figures pictures report check regress sweep test test-torch test-cluster lint docs faults bench clean lock FORCE

help: ## this page
	@echo "usage: make TARGET [VARIABLE=VALUE ...]"; echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PROFILE=quick     how large the runs are: smoke, quick or paper (figure 3 also long)"
	@echo "  SEEDS=3           a count (seeds 0 to 2) or a list such as 0-9 or 0,4,7; the profile's if not given"
	@echo "  JOBS=2            runs at a time"
	@echo "  DEVICE=cpu        cpu or cuda"
	@echo "  MINUTES=60        stop 'figN' after so long; the same command resumes the runs that are left"
	@echo "  PANELS=4c,4e,4g   these panels only: 'figN' trains their runs and draws them"
	@echo "  RECORDS=accepted  what 'figures', 'report' and 'check' read: runs, accepted, or a folder of records"
	@echo "  FIGURES=fig1      what 'figures' draws; all if not given"
	@echo "  TIMIT_DIR=DIR     your copy of TIMIT, for figure 2c; synthesised speech in its place if not given"
	@echo "  PTB_DIR=DIR       your copy of the Penn Treebank (plain or .gz), for figure 4; 'repro data ptb' downloads it"
	@echo "  STUDY=NAME        what 'sweep' trains: a name in sweeps/, or the path of a .toml file"
	@echo "  WORKERS=2         processes of 'sweep'"
	@echo "  STORAGE=URL       where 'sweep' keeps its queue: an Optuna storage; a file in results/studies if not given"
	@echo "  CUDA=no           make .venv with torch's CPU build: 1.9 GB in place of 5.6, on Linux"
	@echo "  TORCH_INDEX=URL   take torch from this package index: a mirror, or builds for another CUDA"
	@echo "  PYTHON=python3.11 the Python that .venv is made with: 3.11, 3.12 or 3.13"

fig1: ## train the missing runs of figure 1, draw it, print which claims hold
fig2: $(SPEECH) ## the same for figure 2; PANELS=2a,2b are store-recall, 2c is speech
fig3: ## the same for figure 3: an arm that learns a movement from one trial
fig4: ## the same for figure 4; PANELS=4c,4e,4g are copy-repeat, 4d,4f,4h word prediction
theory: PROFILE = paper
theory: .venv/.stamp ## the paper's statements on gradients, measured; where its Eq. 10 holds
	@$(BIN)/repro reproduce $@ $(RUN_ARGS) $(DRAW_ARGS)

fig%: .venv/.stamp FORCE
	@$(BIN)/repro reproduce $@ $(RUN_ARGS) $(DRAW_ARGS)

figures: .venv/.stamp ## redraw from records; trains nothing
	@code=0; for figure in $(FIGURES); do $(BIN)/repro figures $$figure $(READ_ARGS) $(DRAW_ARGS) || code=1; done; exit $$code

pictures: .venv/.stamp ## for maintainers: docs/*.png, redrawn from the accepted records
	@for figure in $(FIGURES); do $(BIN)/repro figures $$figure --records accepted && \
	    cp results/figures/accepted/$$figure.png docs/ || exit 1; done

report: .venv/.stamp ## one HTML page of all results, which opens offline and prints: results/report/report.html
	@$(BIN)/repro report $(READ_ARGS)

check: .venv/.stamp ## judge the paper's claims by our records
	@$(BIN)/repro check $(READ_ARGS)

regress: .venv/.stamp ## compare new runs with the accepted ones
	@$(BIN)/repro regress

sweep: .venv/.stamp $(SPEECH) ## train and compare the points of a study: make sweep STUDY=store_recall_threshold
	@$(BIN)/repro sweep $(if $(STUDY),'$(STUDY)') --workers $(WORKERS) $(if $(STORAGE),--storage '$(STORAGE)') $(if $(DEVICE),--device $(DEVICE))

test: lint .venv/.speech .venv/.docs ## lint, types, import rules and all tests
	OMP_NUM_THREADS=1 WANDB_MODE=disabled $(BIN)/python -m pytest -n $(JOBS) --dist worksteal --ignore tests/cluster

test-torch: ## the library's tests with another torch: make test-torch TORCH=2.6.0
	@test -n "$(TORCH)" || { echo "which torch? make test-torch TORCH=2.6.0"; exit 1; }
	@test -d .venv-torch-$(TORCH) || $(PYTHON) -m venv .venv-torch-$(TORCH)
	@.venv-torch-$(TORCH)/bin/python -m pip --disable-pip-version-check install --quiet 'torch==$(TORCH)' '.[lightning]' pytest
	OMP_NUM_THREADS=1 .venv-torch-$(TORCH)/bin/python -m pytest tests/library tests/oracle/eprop

test-cluster: .venv/.cluster ## Slurm and PostgreSQL on this machine; as root on Debian it installs them, else it may skip
	@sh tests/cluster/install.sh
	OMP_NUM_THREADS=1 WANDB_MODE=disabled $(BIN)/python -m pytest -rs tests/cluster tests/jobs/test_slurm.py

lint: .venv/.stamp ## style, types, import rules; no tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/.docs ## the pages of docs/ as a site, in build/site; runs the tutorial: a minute
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open build/site/index.html; the search works on http://localhost:8000 after: python -m http.server --directory build/site"

faults: .venv/.speech ## 1,200 kills, damaged files and other faults, counted in docs/reliability.md: half an hour
	@$(BIN)/python -m tests.faults --write docs/reliability.md

bench: .venv/.bench ## time us against eager torch, torch.nn.LSTM and JAX, on one thread; writes docs/performance.md
	@OMP_NUM_THREADS=1 $(BIN)/repro bench --write docs/performance.md

clean: ## remove .venv and caches; results stay
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so an interrupted build is taken up again. torch comes first: with the CUDA libraries it
# wants; or the CPU build; or, from another index, by version alone. --no-deps: the locks name every package there is to
# install. Byte code is compiled at the end, on all cores: half a minute less.
.venv/.stamp: pyproject.toml requirements.lock requirements-torch.lock requirements-torch-cpu.lock
	@command -v $(PYTHON) > /dev/null || { echo "no $(PYTHON) here; this needs Python 3.11, 3.12 or 3.13: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) repro/supported.py $(if $(wildcard .venv),0,$(GIGABYTES))
	@echo "Building .venv with $(PYTHON): $(GIGABYTES) GB, mostly torch; minutes, once."
	@$(PYTHON) -m venv .venv
ifeq ($(CUDA),no)
	@touch .venv/.no-cuda
	@$(PIP_INSTALL) --index-url '$(TORCH_INDEX)' --require-hashes --no-deps --requirement requirements-torch-cpu.lock
else ifeq ($(TORCH_INDEX),)
	@$(PIP_INSTALL) --require-hashes --no-deps --requirement requirements-torch.lock
else
	@$(PIP_INSTALL) --index-url '$(TORCH_INDEX)' $(shell grep -oE '^torch==[0-9.]+' requirements-torch.lock)
endif
	@$(PIP_INSTALL) --quiet --require-hashes --no-deps --requirement requirements.lock
ifneq ($(TORCH_INDEX),)  # torchaudio's compiled part is linked to the CUDA of PyPI's torch; features of speech do without
	@rm -f .venv/lib/python3*/site-packages/torchaudio/lib/*.so
endif
	@$(PIP_INSTALL) --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check
	-@$(BIN)/python -m compileall -q -j 0 .venv/lib
	@touch $@

.venv/.speech: .venv/.stamp requirements-speech.lock
	@$(PIP_INSTALL) --quiet --require-hashes --no-deps --requirement requirements-speech.lock
	@touch $@

.venv/.cluster: .venv/.stamp requirements-cluster.lock
	@$(PIP_INSTALL) --quiet --require-hashes --no-deps --requirement requirements-cluster.lock
	@touch $@

.venv/.docs: .venv/.stamp requirements-docs.lock
	@$(PIP_INSTALL) --quiet --require-hashes --no-deps --requirement requirements-docs.lock
	@touch $@

.venv/.bench: .venv/.stamp requirements-bench.lock
	@$(PIP_INSTALL) --quiet --require-hashes --no-deps --requirement requirements-bench.lock
	@touch $@

# One resolution for all extras and for Python 3.11 to 3.13, then split by what is installed together. What only the
# site needs is the difference to a resolution without it.
COMPILE = uv pip compile pyproject.toml --extra dev --extra bench --extra speech --extra slurm --extra postgres --universal --python-version 3.11 \
    --generate-hashes --no-header --quiet
lock: ## for maintainers: lock the dependencies anew (needs uv; LOCK_ARGS=--upgrade takes the newest)
	cat requirements.lock requirements-torch.lock requirements-bench.lock requirements-speech.lock requirements-cluster.lock requirements-docs.lock > .lock
	$(COMPILE) --extra docs --output-file .lock $(LOCK_ARGS)
	cp .lock .lock-rest
	$(COMPILE) --output-file .lock-rest
	@for part in requirements requirements-torch requirements-bench requirements-speech requirements-cluster requirements-docs; do \
	    echo "# Written by 'make lock'; torch, JAX and the rest are installed separately." > $$part.lock; done
	@awk '/^[a-z]/ { line = $$0 } NR == FNR { rest[line]; next } !(line in rest) { print }' .lock-rest .lock >> requirements-docs.lock
	@awk '/^[a-z]/ { part = "" } \
	    /^(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z]+)==/ { part = "-torch" } \
	    /^(jax|jaxlib|ml-dtypes|opt-einsum)==/ { part = "-bench" } \
	    /^espeakng-loader==/ { part = "-speech" } \
	    /^(submitit|psycopg|psycopg-binary)==/ { part = "-cluster" } \
	    { print >> ("requirements" part ".lock") }' .lock-rest
	@rm .lock-rest
	@rm .lock
	@{ head -n 1 requirements-torch-cpu.lock; grep -oE '^torch==[0-9.]+' requirements-torch.lock | \
	    uv pip compile - --no-deps --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	    --index-url https://download.pytorch.org/whl/cpu --generate-hashes --no-header --no-annotate --quiet; } > .lock
	@mv .lock requirements-torch-cpu.lock
