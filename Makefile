# Two commands set everything up by themselves: `make submission` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
DATASET ?= demo
INPUT ?= input/$(DATASET)
CAUSAL ?=
OUTPUT ?= output/$(DATASET)$(if $(CAUSAL),-causal)
ENGINE ?= auto
SAMPLE ?= 1
MEMORY ?=
# of check and score: the submission, and what really happened
FILE ?= $(OUTPUT)/submission.csv
LABELS ?= $(INPUT)/test_labels.jsonl
# of bench: share of OTTO's sessions, folder of raw files, flags for the steps and for bench.peers
SIZE ?= 0.01
DATA ?= input/bench-$(SIZE)
ARGS ?=
PEERS ?=

STEPS := 1_preparation 2_matrices 3_candidates 4_embeddings 5_features 6_xgb 7_blend
FLAGS = --dataset $(DATASET) --input $(INPUT) --output $(OUTPUT) --engine $(ENGINE) --sample $(SAMPLE) $(if $(MEMORY),--memory $(MEMORY)) $(if $(CAUSAL),--causal)
# requirements-gpu.txt is complete in itself: RAPIDS, and XGBoost with CUDA
REQUIREMENTS := $(if $(shell nvidia-smi -L 2>/dev/null),requirements-gpu.txt,requirements.txt)

.PHONY: help submission data status check score ablation test faults lint bench gpu-check clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | column -t -s '|'
	@echo
	@echo "make submission DATASET=demo|otto|tianchi INPUT=folder OUTPUT=folder ENGINE=auto|cpu|gpu SAMPLE=0.1 MEMORY=8G CAUSAL=1"
	@echo "make check|score DATASET=otto INPUT=folder FILE=submission.csv LABELS=test_labels.jsonl|folder/valid/labels.parquet"
	@echo "make bench SIZE=0.01|0.1|1 DATA=folder OUTPUT=folder ARGS='flags of the steps' PEERS='--share 0.25'"

submission: .venv/.ready  ## raw sessions to submission.csv, all seven steps (the demo, by default)
	@for step in $(STEPS); do .venv/bin/python $$step.py $(FLAGS) || $(call ended,$$step.py); done

data: .venv/.ready  ## download the raw files with the competition's client, or tell how; check them
	@.venv/bin/python -m src.tools.download --dataset $(DATASET) --input $(INPUT)

status: .venv/.ready  ## what is done, stale or missing, and why; makes nothing
	@.venv/bin/python -m src.tools.status $(FLAGS)

check: .venv/.ready  ## would the competition take FILE? its first ten faults, against the raw files
	@.venv/bin/python -m src.tools.check --dataset $(DATASET) --input $(INPUT) --file $(FILE)

score: .venv/.ready  ## score FILE offline as the competition does, by LABELS
	@.venv/bin/python -m src.tools.score --dataset $(DATASET) --file $(FILE) --labels $(LABELS)

ablation: .venv/.ready  ## what each group of features and each source of candidates is worth
	@.venv/bin/python -m src.tools.ablation $(FLAGS)

test: .venv/.ready  ## unit tests, leak tests and whole runs on tiny worlds
	.venv/bin/python -m pytest

faults: .venv/.ready  ## kill a tiny run 50 times, fill its disk, take its memory: it goes on
	KILLS=50 .venv/bin/python -m pytest tests/test_faults.py

lint: .venv/.ready  ## ruff and mypy --strict
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: DATASET = otto
bench: OUTPUT = output/bench-$(SIZE)
bench: .venv/.bench-ready  ## all steps at SIZE, memory speed, other ways; appends to bench/RESULTS.md
	.venv/bin/python -m bench.steps --dataset $(DATASET) --size $(SIZE) --data $(DATA) --output $(OUTPUT) $(ARGS)
	.venv/bin/python -m bench.machine
	.venv/bin/python -m bench.scaling
	.venv/bin/python -m bench.peers --events $(OUTPUT)/valid/events.parquet $(PEERS)

gpu-check: .venv-gpu/.ready  ## without a GPU: does every polars query translate for RAPIDS?
	PYTHONPATH=. .venv-gpu/bin/python tests/gpu_check.py

clean:  ## all results of DATASET
	rm -rf $(OUTPUT)

.venv/.ready: $(REQUIREMENTS)
	@$(call venv,.venv,$<)

.venv/.bench-ready: bench/requirements.txt .venv/.ready
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@

.venv-gpu/.ready: requirements-gpu.txt
	@$(call venv,.venv-gpu,$<)

# what a step cannot tell itself: killed from outside, mostly for want of memory
define ended
{ code=$$?; case $$code in 134|137|139) echo "$(1): killed, probably out of memory; free some, or \
lower MEMORY or SAMPLE; the same command goes on from here" >&2;; esac; exit $$code; }
endef

define venv
echo "setting up $(1) from $(2) ..."; \
$(PYTHON) -m venv $(1) && $(1)/bin/python -m pip install --quiet --disable-pip-version-check -r $(2) && touch $(1)/.ready
endef
