# Two commands on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TRITON := $(VENV)/.triton

.PHONY: demo test lint format bench gpu lock clean
.DEFAULT_GOAL := demo

# The environment is made again only when what it is made from has changed.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"ganport needs Python 3.11 or later, this is {sys.version.split()[0]}: make PYTHON=/path/to/python3.11")'
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

# What ganport costs over the bare tools, its speed beside what people would use instead, and what its server keeps of it
# beside other servers: about twenty minutes.
# make bench RUN=runs/mine [BUNDLE=mine.ganport]; without RUN, a generator after a few steps on digits.
bench: $(INSTALLED) $(TRITON)
	$(BIN)/python -m ganport_bench.overhead
	$(BIN)/python -m ganport_bench.speed $(if $(RUN),'$(RUN)') $(if $(BUNDLE),--bundle '$(BUNDLE)') $(if $(PROFILE),--profile)
	$(BIN)/python -m ganport_bench.serving $(if $(RUN),'$(RUN)') $(if $(BUNDLE),--bundle '$(BUNDLE)')

gpu: $(INSTALLED)
	$(BIN)/python -m pytest -m gpu

# Newest versions of everything, written down; PyTorch stays where pyproject and FACTS have it until moved by hand.
lock:
	rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0 -e '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps nvidia-pytriton
	{ head -1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//'; } > constraints.new && mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) build dist demo
