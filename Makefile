# Every target sets up its virtual environment the first time. `make help` lists the targets.
SHELL := /bin/bash
PYTHON ?= python3
DATASET ?= demo
INPUT ?= input/$(DATASET)
CAUSAL ?=
# more flags of the steps, such as those that only one dataset has
ARGS ?=
OUTPUT ?= output/$(DATASET)$(if $(CAUSAL),-causal)
ENGINE ?= auto
# of ENGINE=spark: local[2], spark://host:7077, yarn, k8s://...; settings, key=value by spaces
SPARK_MASTER ?=
SPARK_CONF ?=
export SPARK_MASTER SPARK_CONF
SAMPLE ?= 1
MEMORY ?=
# check and score: the submission (that in OUTPUT), and the published labels
FILE ?=
LABELS ?= $(INPUT)/test_labels.jsonl
# predict: raw impressions, and the file to write
RAW ?= $(INPUT)/test/behaviors.parquet
TO ?= $(OUTPUT)/probabilities.csv
# ask: events or a text, and items of a list; page: where it listens
EVENTS ?=
TEXT ?=
K ?= 20
HOST ?= 127.0.0.1
PORT ?= 8000
export EVENTS TEXT
# bench: share of OTTO's sessions, folder of raw files, flags of bench.peers
SIZE ?= 0.01
DATA ?= input/bench-$(SIZE)
PEERS ?=

STEPS := 1_preparation 2_matrices 3_candidates 4_embeddings 5_features 6_xgb 7_blend
FLAGS = --dataset $(DATASET) --input $(INPUT) --output $(OUTPUT) --engine $(ENGINE) --sample $(SAMPLE) $(if $(MEMORY),--memory $(MEMORY)) $(if $(CAUSAL),--causal) $(ARGS)
SUBMISSION = $(if $(FILE),--file $(FILE)) $(if $(and $(FILE),$(filter file,$(origin OUTPUT))),,--output $(OUTPUT))
# requirements-gpu.txt: the same packages, with RAPIDS and with XGBoost for CUDA
REQUIREMENTS := $(if $(shell nvidia-smi -L 2>/dev/null),requirements-gpu.txt,requirements.txt)

.PHONY: help submission data status check score ablation export predict ask page test faults lint bench gpu-check clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | column -t -s '|'
	@echo
	@echo "make submission DATASET=demo|otto|tianchi|interactions|letor|ebnerd|antm2c|antm2c-demo|sequences|mpd|mpd-demo INPUT=folder OUTPUT=folder ENGINE=auto|cpu|gpu|spark SAMPLE=0.1 MEMORY=8G CAUSAL=1 ARGS='more flags'"
	@echo "make check|score DATASET=otto INPUT=folder FILE=submission.csv LABELS=test_labels.jsonl|folder/test/labels.parquet"
	@echo "make bench SIZE=0.01|0.1|1 DATA=folder OUTPUT=folder ARGS='flags of the steps' PEERS='--share 0.25'"

submission: .venv/.ready $(if $(filter spark,$(ENGINE)),.venv/.spark-ready)  ## run all seven steps: raw files to submission.csv
	@for step in $(STEPS); do .venv/bin/python $$step.py $(FLAGS) || $(call ended,$$step.py); done

data: .venv/.ready  ## download the raw files, or name the page that has them; check them
	@.venv/bin/python -m src.tools.download --dataset $(DATASET) --input $(INPUT)

status: .venv/.ready  ## list what is done, stale or missing, with the reason
	@.venv/bin/python -m src.tools.status $(FLAGS)

check: .venv/.ready  ## list the first ten faults of FILE, against the raw files
	@.venv/bin/python -m src.tools.check --dataset $(DATASET) --input $(INPUT) $(SUBMISSION) $(ARGS)

score: .venv/.ready  ## score FILE against LABELS, as the competition does
	@.venv/bin/python -m src.tools.score --dataset $(DATASET) $(SUBMISSION) --labels $(LABELS) $(ARGS)

ablation: .venv/.ready  ## drop every group of features and of retrievers in turn, and score
	@.venv/bin/python -m src.tools.ablation $(FLAGS)

export: .venv/.export-ready  ## write all that scores feature rows to one folder: OUTPUT/export
	@.venv/bin/python -m src.tools.export $(FLAGS)

predict: .venv/.ready  ## write the probabilities of RAW, a file of raw impressions, to TO: from OUTPUT/export alone
	@.venv/bin/python -m src.tools.predict --dataset $(DATASET) --bundle $(OUTPUT)/export --raw $(RAW) --to $(TO)

ask: .venv/.ready  ## recommend for EVENTS="clicks:7 carts:12" or TEXT="...", then for lines of a prompt
	@.venv/bin/python -m src.tools.ask $(FLAGS) --events "$$EVENTS" --text "$$TEXT" --k $(K)

page: .venv/.page-ready  ## serve a page, and JSON, on HOST (127.0.0.1) and PORT (8000)
	@.venv/bin/python -m src.tools.page $(FLAGS) --host $(HOST) --port $(PORT)

test: .venv/.ready  ## run all tests, whole runs on tiny data included
	.venv/bin/python -m pytest -rs -n logical --maxprocesses 4 --dist loadfile

faults: .venv/.ready  ## kill a tiny run 50 times, fill its disk, take its memory; it must go on
	KILLS=50 .venv/bin/python -m pytest tests/pipeline/test_faults.py

lint: .venv/.ready  ## run ruff and mypy --strict
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: DATASET = otto
bench: OUTPUT = output/bench-$(SIZE)
bench: .venv/.bench-ready  ## measure all steps at SIZE; append to bench/RESULTS.md
	.venv/bin/python -m bench.steps --dataset $(DATASET) --size $(SIZE) --data $(DATA) --output $(OUTPUT) $(ARGS)
	.venv/bin/python -m bench.machine
	.venv/bin/python -m bench.scaling
	.venv/bin/python -m bench.peers --events $(OUTPUT)/valid/events.parquet $(PEERS)

gpu-check: .venv-gpu/.ready  ## check that the polars queries translate for RAPIDS; needs no GPU
	PYTHONPATH=. .venv-gpu/bin/python tests/gpu_check.py

clean:  ## remove the results of DATASET
	rm -rf $(OUTPUT)

.venv/.ready: $(REQUIREMENTS)
	@$(call venv,.venv,$<)

.venv/.bench-ready: bench/requirements.txt .venv/.ready
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@

.venv/.export-ready: requirements-export.txt .venv/.ready
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@

.venv/.page-ready: requirements-page.txt .venv/.ready
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@

.venv/.texts-ready: requirements-texts.txt .venv/.ready
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@

.venv/.spark-ready: requirements-spark.txt .venv/.ready
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@

.venv-gpu/.ready: requirements-gpu.txt
	@$(call venv,.venv-gpu,$<)

# A killed step prints nothing itself: mostly the memory ran out.
define ended
{ code=$$?; case $$code in 134|137|139) echo "$(1): killed, probably out of memory; free some, or \
lower MEMORY or SAMPLE; the same command goes on from here" >&2;; esac; exit $$code; }
endef

define venv
echo "setting up $(1) from $(2) ..."; \
$(PYTHON) -m venv $(1) && $(1)/bin/python -m pip install --quiet --disable-pip-version-check -r $(2) && touch $(1)/.ready
endef
