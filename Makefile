# Two commands: `make demo` and `make test`. Everything else helps them.
VIDEO ?=
HEIGHT ?= 1.75
ONLY ?= loop
OUT ?= out/demo
VENV := .venv
RUN := $(VENV)/bin/vm-ros-env
PYTHON3 ?= python3.11 python3.12 python3.10 python3
# one thread a numeric library: two make everything slower on two cores
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help setup demo test check bench clean

help:
	@echo "make demo [VIDEO=my.mp4 HEIGHT=1.78]  set-up, then video -> clip + scene -> G1 in simulation, a report"
	@echo "make test                             set-up, then every test"
	@echo "make check                            ruff, pyright, import rules, links in the docs, licences of what is installed"
	@echo "make bench [ONLY=loop]                figures as JSON lines"
	@echo "make setup                            virtual environments, ROS 2 from wheels, message packages"
	@echo "make clean                            remove builds and results (environments stay; CLEAN_ALL=1: those too)"

setup:  # by the first of these interpreters that runs and is supported
	@for python in $(PYTHON3); do \
	  $$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1 \
	    && exec $$python requirements/install.py; done; \
	echo "setup: no Python 3.10 to 3.12 among: $(PYTHON3); install one (apt-get install python3 python3-venv)" \
	  "or name it: make setup PYTHON3=/path/to/python3.11" >&2; exit 1

demo: setup
	@$(RUN) vm-demo --out $(OUT) $(if $(VIDEO),--video "$(VIDEO)" --height $(HEIGHT))

test: setup  # what moves in real time goes alone, after the rest
	@$(RUN) python -m pytest -q -n auto --maxprocesses 4 --dist loadfile --ignore tests/ros tests; many=$$?; \
	  $(RUN) python -m pytest -q tests/ros && exit $$many

check: setup
	@$(VENV)/bin/ruff check src tests requirements launch
	@$(VENV)/bin/ruff format --check src tests requirements launch
	@$(RUN) pyright -p .  # not a configuration of some folder above
	@$(VENV)/bin/python -m pytest -q tests/contract/test_import_rules.py tests/contract/test_docs_links.py
	@$(RUN) python requirements/audit.py

bench: setup
	@$(RUN) python tests/benchmarks/run.py --only $(ONLY)

clean:
	rm -rf build install log out runs .pytest_cache .ruff_cache .hypothesis
	$(if $(CLEAN_ALL),rm -rf .venv .venv-mediapipe .setup)
