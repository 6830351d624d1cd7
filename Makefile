# Every target makes .venv first where it is missing or older than the lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# With other faces, or none, 04 has other outputs than the stored ones.
FACES := $(if $(wildcard $(or $(GAN_REPRO_FACES),$(or $(GAN_REPRO_DATA),data)/faces)/faces48_extra.npz),notebooks/04_faces.ipynb)
EXACT := notebooks/00_start_here.ipynb notebooks/01_theory.ipynb notebooks/02_one_dimensional_gan.ipynb \
  notebooks/03_mnist.ipynb $(FACES) notebooks/05_cifar10_mlp.ipynb notebooks/06_cifar10_conv.ipynb \
  notebooks/07_interpolation.ipynb notebooks/08_parzen_window.ipynb \
  notebooks/09_dbn.ipynb notebooks/10_stacked_cae.ipynb notebooks/11_deep_gsn.ipynb notebooks/12_more_models.ipynb \
  notebooks/13_table1.ipynb notebooks/14_table2.ipynb
CORES ?= $(shell $(PYTHON) -c "import os; print(os.cpu_count() or 1)")

# glibc's allocator then asks for large pages. Without, a step of the CIFAR-10 mlp pair at full width takes a tenth
# longer (measured on two cores of an AMD EPYC), one of the MNIST pair as long. Other C libraries ignore it; it changes
# no result.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

.PHONY: help setup data cifar10 reproduce paper seeds verify bench test lint notebooks tables lock clean

help:  ## list the targets
	@grep -E '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */@/' | column -t -s '@'

setup: $(VENV)/stamp  ## make .venv with everything the lock pins

$(VENV)/stamp: requirements.lock pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(None if sys.version_info >= (3, 11) else 'Python 3.11 or newer is needed, but $(PYTHON) is %d.%d: name another by make PYTHON=python3.11' % sys.version_info[:2])"
	@test -x $(BIN)/python || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

data: setup  ## fetch and check MNIST
	$(BIN)/python -m gan_repro.data

cifar10: setup  ## fetch and check CIFAR-10 (139 to 170 MB), which the tests and two notebooks need
	$(BIN)/python -m gan_repro.cifar10

WORKFLOW := $(BIN)/python -m snakemake --quiet rules --cores $(CORES) --keep-going --nolock --rerun-incomplete
# A notebook that fails does not stop those that do not need it; the report says which failed, and so does the exit code.
RUN_AND_REPORT = began=$$(date +%s); $(WORKFLOW) --config settings=$(1); $(BIN)/python -m gan_repro.report $(1) $$? $$began

reproduce: data cifar10  ## the headline number from the kept weights, then every notebook with quick settings, and the table
	$(BIN)/python -m gan_repro.verify
	$(call RUN_AND_REPORT,quick)

paper: data cifar10  ## train everything anew, all pairs but one at full width (days), into results/paper/
	$(call RUN_AND_REPORT,paper)

seeds: data  ## the seeds of both recipes where they are not in results/ yet, and seed 1 as released to its end (hours each)
	$(WORKFLOW) seeds

verify: data  ## recompute the numbers of record from the kept weights
	$(BIN)/python -m gan_repro.verify

bench: setup  ## speed of the training step and of the Parzen window, as ratios within one run
	$(BIN)/python -m benchmarks

lint: setup  ## ruff on package, tests and notebooks
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

# Small work, for which one thread is enough; and two wait for each other where another program wants a core. A file of
# tests, or a notebook, stays in one process: its later tests and cells use what the earlier ones made.
test: export OMP_NUM_THREADS ?= 1
test: lint data cifar10  ## ruff, unit tests, notebooks: stored outputs compared (nbval), and all run with smoke settings
	$(BIN)/python -m pytest --numprocesses $(CORES) --dist loadfile --durations=10
	$(BIN)/python -m pytest --numprocesses $(CORES) --dist loadscope --durations=10 --nbval-lax --nbval-current-env $(EXACT)

notebooks: data cifar10  ## run all notebooks at their defaults in place: what is committed (returns the runs of record)
	$(BIN)/python -m gan_repro.notebooks

tables: setup  ## write the tables in README.md and docs/speed.md anew from results/
	$(BIN)/python -m gan_repro.tables

lock:  ## pin all dependencies anew (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-header --no-annotate \
	  --no-emit-index-url --output-file requirements.lock

clean:  ## remove what commands make again, but neither data, nor runs, nor results
	rm -rf $(VENV) executed .snakemake .pytest_cache .ruff_cache build *.egg-info
