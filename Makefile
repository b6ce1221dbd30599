# Two commands on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TRITON := $(VENV)/.triton
BENCH := build/bench
CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"ganport needs Python 3.11 or later, this is {sys.version.split()[0]}: make PYTHON=/path/to/python3.11")'

.PHONY: demo test lint format bench gpu lock clean
.DEFAULT_GOAL := demo

# The environment is made again only when what it is made from has changed.
$(INSTALLED): pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# A real Triton server to test and to measure against. Its wheel is for some systems alone, and asks for an old numpy
# that the server itself does not need.
$(TRITON): $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt nvidia-pytriton \
		|| echo "No Triton server for this system: what needs one is skipped and says so"
	@touch $@

demo: $(INSTALLED)
	$(BIN)/ganport demo --out demo

# Two workers, each with whole files: servers, browsers and replicas spend much of their time waiting.
test: lint $(TRITON)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Everything that is measured, in under 20 minutes on two cores: exporting and tuning 2, what ganport costs over the bare
# tools 2, `ganport bench` 10, its server beside others 5. Documents and report stay in build/bench.
# make bench [RUN=runs/mine [BUNDLE=mine.ganport]] [PAGE=page.md]; without RUN, a generator after a few steps on digits,
# whose images are noise. The tables and figures of PAGE are written anew; PAGE= writes none.
PAGE ?= docs/benchmarks.md
MEASURED_RUN = $(if $(RUN),$(RUN),$(BENCH)/run)
MEASURED_BUNDLE = $(if $(BUNDLE),$(BUNDLE),$(BENCH)/measured.ganport)
bench: export GANPORT_CACHE = $(abspath $(BENCH))/cache
bench: $(INSTALLED) $(TRITON)
	$(if $(and $(BUNDLE),$(if $(RUN),,none)),@echo "BUNDLE=$(BUNDLE) without RUN: name the run that it was exported from too" >&2; exit 2)
	$(if $(filter $(abspath $(BENCH))/%,$(abspath $(RUN) $(BUNDLE))),@echo "$(RUN) $(BUNDLE): $(BENCH) is emptied first; move what is measured out of it" >&2; exit 2)
	@rm -rf $(BENCH) && mkdir -p $(BENCH)
	$(if $(RUN),,$(BIN)/ganport train --data digits --resolution 64 --width 64 --batch-size 16 --steps 5 --out $(BENCH)/run)
	$(if $(BUNDLE),,$(BIN)/ganport export '$(MEASURED_RUN)' --out $(BENCH)/measured.ganport)
	$(BIN)/ganport tune '$(MEASURED_BUNDLE)' --min-psnr $(if $(RUN),38,0) --seconds 30
	$(BIN)/python bench/claims/overhead.py --json > $(BENCH)/overhead.json
	$(BIN)/ganport bench '$(MEASURED_RUN)' --bundle '$(MEASURED_BUNDLE)' --report $(BENCH)/report --csv $(BENCH)/load.csv --seconds 500 --json > $(BENCH)/whole.json
	$(BIN)/python bench/claims/servers.py '$(MEASURED_RUN)' --bundle '$(MEASURED_BUNDLE)' --json > $(BENCH)/servers.json
	$(if $(PAGE),$(BIN)/python bench/claims/docs_pages.py '$(PAGE)' --whole $(BENCH)/whole.json --servers $(BENCH)/servers.json --overhead $(BENCH)/overhead.json --report $(BENCH)/report)

# Every test that needs an NVIDIA GPU, and the benchmark on one; one line and no installation where there is none.
# make gpu [WHEELS=folder] [RUN=runs/mine] [QUICK=1]; with WHEELS the environment is made of those wheels, with no index.
GPU := .venv-gpu
GPU_LIST = $(PYTHON) bench/claims/gpu.py $(if $(WHEELS),--wheels '$(WHEELS)') --list
GPU_PIP = $(GPU)/bin/python -m pip install --quiet --disable-pip-version-check \
	$(if $(WHEELS),--isolated --no-index --only-binary :all: --find-links '$(WHEELS)',-c constraints.txt)
gpu:
	@$(CHECK_PYTHON)
	@reason=$$($(PYTHON) bench/claims/gpu.py --missing) && if [ -n "$$reason" ]; \
		then echo "make gpu: $$reason; there is nothing to test and to measure"; \
		else $(MAKE) --no-print-directory $(GPU)/.installed && \
			$(GPU)/bin/python bench/claims/gpu.py $(if $(RUN),--run '$(abspath $(RUN))') $(if $(QUICK),--quick); fi

# It has onnxruntime-gpu in place of .venv's onnxruntime: with both, each overwrites the other's files. ganport's own
# folders are put on its path, so nothing is built. A package that is not needed and does not fit this machine is left out.
$(GPU)/.installed: pyproject.toml constraints.txt $(wildcard $(WHEELS))
	@$(GPU_LIST) needed > /dev/null
	@echo "Installing into $(GPU) ..."
	@rm -rf $(GPU) && $(PYTHON) -m venv $(GPU) && $(GPU_LIST) needed > $(GPU)/needed.txt
	@$(GPU_PIP) -r $(GPU)/needed.txt || { echo "make gpu: pip could not install what is needed; without an index: make gpu WHEELS=folder" >&2; exit 1; }
	@$(GPU_LIST) welcome | while read -r line; do \
		$(GPU_PIP) "$$line" < /dev/null || echo "$$line is left out: pip could not install it" >&2; done
	@printf '%s\n' $(foreach part,train export runtime serve evaluate bench cli,'$(CURDIR)/$(part)') \
		> "$$($(GPU)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ganport.pth"
	@touch $@

# Newest versions of everything, written down; PyTorch stays where pyproject and FACTS have it until moved by hand.
lock:
	rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0 -e '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps nvidia-pytriton
	{ head -1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//'; } > constraints.new && mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) .venv-gpu build dist demo
