# Each target works on a fresh clone: it makes the virtual environment it needs.
PYTHON ?= python3
VENV ?= .venv
BIGLOG_DATA ?= ../shared/data
export BIGLOG_DATA

# A real log to show: the first that is there. `make demo LOG=/path/to/app.log` takes yours.
LOG ?= $(firstword $(wildcard $(BIGLOG_DATA)/anomaly/bgl/BGL_100k.log.gz /var/log/syslog /var/log/messages /var/log/dpkg.log) tests/data/rhsm.log)

RUN := $(VENV)/bin/
USER_READY := $(VENV)/.user
DEV_READY := $(VENV)/.dev
# logparser3 pins an old `regex`: it has an environment of its own.
PEER := .venv-peer

.PHONY: demo test slow lint bench peers reproduce docs clean

demo: $(USER_READY)
	@mkdir -p demo
	$(RUN)biglog analyze $(LOG) --report demo/report.html

test: $(DEV_READY)
	HF_HUB_OFFLINE=1 $(RUN)python -m pytest -n 2 --dist loadfile -m "not slow"

slow: $(DEV_READY)
	HF_HUB_OFFLINE=1 $(RUN)python -m pytest -m slow

lint: $(DEV_READY)
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	$(RUN)lint-imports

bench: $(DEV_READY) $(PEER)/.ready
	$(RUN)python benchmarks/masking_ablation.py
	$(RUN)python benchmarks/analyze.py
	$(RUN)python benchmarks/odd_lines.py
	$(RUN)python benchmarks/embeddings.py
	$(RUN)python benchmarks/cold_embeddings.py
	$(RUN)python benchmarks/training.py
	$(RUN)python benchmarks/parsing.py
	$(RUN)python benchmarks/detection.py
	$(RUN)python benchmarks/adaptation.py
	$(RUN)python benchmarks/scaling.py
	$(RUN)python tokenizer_training/compare.py
	$(RUN)python benchmarks/coverage.py
	$(RUN)python benchmarks/deduplication.py
	$(RUN)python benchmarks/reading.py --peer-python $(PEER)/bin/python

# What the parsers of logparser3 make of the annotated samples, for `recipes/evaluation.py parsing`.
peers: $(DEV_READY) $(PEER)/.ready
	$(RUN)python benchmarks/peer_parsers.py --peer-python $(PEER)/bin/python

# Every committed small result measured anew; exit code 1 if a figure differs by more than 0.005.
reproduce: $(DEV_READY)
	@test -f runs/peers/templates.json || $(MAKE) peers
	HF_HUB_OFFLINE=1 $(RUN)python recipes/reproduce.py

# Everything that a command writes into the documentation: figures, cards, the tree.
docs: $(DEV_READY)
	$(RUN)python recipes/render_docs.py

# The CPU build of torch comes first, so that no other package brings a larger one.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(RUN)python -m pip install --quiet --upgrade pip
	$(RUN)python -m pip install --quiet torch==2.13.0

$(USER_READY): $(VENV)/bin/python setup.cfg constraints.txt
	$(RUN)python -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(DEV_READY): $(VENV)/bin/python setup.cfg constraints.txt
	$(RUN)python -m pip install --quiet -c constraints.txt -e ".[dev,bench]"
	@touch $@ $(USER_READY)

$(PEER)/.ready:
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/python -m pip install --quiet logparser3==1.0.4
	@touch $@

clean:
	rm -rf $(VENV) $(PEER) build dist src/*.egg-info demo .pytest_cache .mypy_cache .ruff_cache
