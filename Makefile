# The commands of dask-regions. `make` alone lists them.
# uv does the work; a pinned one is installed into .uv/, so that nothing but Python and make is needed.

UV_VERSION := 0.13.8
UV := .uv/$(UV_VERSION)/bin/uv
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
# Templates are checked without an AWS account.
export AWS_DEFAULT_REGION ?= eu-west-2
export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: help cost cost-doc demo local setup deploy remove test test-long opensearch test-browser test-deploy test-mistakes containers test-containers test-faults test-upstream check format bench-wan bench-planning bench-catalog bench-sync clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

demo: .venv/demo ## set up and run the main job on this machine
	@$(BIN)/dask-regions demo

local: .venv/demo ## run the whole system on this machine until Ctrl-C
	@exec $(BIN)/dask-regions local

setup: .venv/deploy ## install what deploys to AWS: sam, and the command dask-regions

deploy: .venv/deploy ## bring the system up in AWS, or change it; ARGS="us-west-2 --yes"
	@$(BIN)/dask-regions deploy $(ARGS)

remove: .venv/deploy ## take the system in AWS down; ARGS="us-west-2 --yes"
	@$(BIN)/dask-regions remove $(ARGS)

cost: .venv/all ## what the system of datasets.yaml costs a month, by Region
	@$(BIN)/python -m dask_regions_local.costs $(ARGS)

cost-doc: .venv/all ## write docs/cost.md anew from the templates and docs/cost/prices.yaml
	@$(BIN)/python -m dask_regions_local.costs --document

test: .venv/all opensearch ## set up and run the tests
	$(BIN)/pytest --numprocesses 2 --dist loadgroup $(PYTEST_ARGS)

test-long: .venv/all opensearch ## run the tests that take half a minute or more each
	$(BIN)/pytest -m long --numprocesses 2 --dist loadgroup $(PYTEST_ARGS)

# Where Java cannot be had, this says so, and the tests that need a real OpenSearch are left out.
opensearch:
	@tools/opensearch/fetch .cache/opensearch || true

test-browser: .venv/all ## show the catalog in STAC Browser and Chromium (root; minutes the first time)
	tools/install-chromium && tools/stac-browser/build .cache/stac-browser
	BROWSER_REQUIRED=1 $(BIN)/pytest tests/functional/catalog/test_browser.py

test-faults: .venv/all ## kill workers and pools during every workload (ten minutes)
	$(BIN)/pytest -m faults $(PYTEST_ARGS)

test-upstream: .venv/all ## test placement with the newest dask, xarray and zarr (PyPI; a quarter of an hour)
	@UV="$(CURDIR)/$(UV)" $(BIN)/python -m testing.upstream $(ARGS) -- $(PYTEST_ARGS)

test-deploy: .venv/all .cache/deployment/.installed ## deploy the templates into an emulated AWS account
	$(BIN)/pytest -m deployment --numprocesses 2 --dist loadgroup $(PYTEST_ARGS)

test-mistakes: .venv/all .cache/asl-validator/.installed ## seed mistakes into templates, and see them caught
	@$(BIN)/python -m testing.deployment.mistakes $(ARGS)

containers: .venv/all ## build the images of scheduler and workers (root where no Docker runs)
	@$(BIN)/python -m testing.containers.images

test-containers: .venv/all ## build the images and compute the main job in them (root where no Docker runs)
	$(BIN)/pytest -m containers $(PYTEST_ARGS)

check: .venv/all .cache/asl-validator/.installed .cache/checkov/.installed ## the static part of what CI runs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy layers/dask_regions/src local/src
	@for function in functions/*/; do $(BIN)/mypy $$function/app.py || exit 1; done
	$(BIN)/mypy testing tests benchmarks
	$(BIN)/lint-imports
	$(BIN)/dask-regions check
	$(BIN)/cfn-lint template.yaml 'regional_stack/*.yaml'
	$(BIN)/sam validate --lint --template template.yaml
	$(BIN)/sam validate --lint --template regional_stack/template.yaml
	@# Without a --bc-api-key and with --skip-download it asks nothing of the network.
	.cache/checkov/bin/checkov --framework cloudformation --quiet --compact --skip-download --file template.yaml regional_stack/*.yaml
	$(BIN)/python -m testing.static.state_machines
	$(BIN)/sam build --template template.yaml
	$(BIN)/python -m testing.static.layers

format: .venv/all ## put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench-wan: .venv/all ## measure crossings and makespans against peers (root)
	$(BIN)/python -m benchmarks.wan $(ARGS)

bench-planning: .venv/all ## measure what placement costs the scheduler
	$(BIN)/python -m benchmarks.planning $(ARGS)

bench-catalog: .venv/all ## measure the catalog beside stac-fastapi-opensearch (a quarter of an hour)
	@OPENSEARCH_REQUIRED=1 $(MAKE) --no-print-directory opensearch
	$(BIN)/python -m benchmarks.catalog $(ARGS)

bench-sync: .venv/all ## measure what a sync of 100,000 datasets asks of S3
	$(BIN)/python -m benchmarks.sync $(ARGS)

clean: ## remove what the other commands made
	rm -rf .venv .uv .cache .local .aws-sam

$(UV):
	@python=$$(tools/find-python) || exit 1; "$$python" -m venv .uv/$(UV_VERSION) \
		|| { echo "python's venv module is needed: 'apt-get install python3-venv'" >&2; exit 1; }
	@.uv/$(UV_VERSION)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# What the main job needs, and what the tests and checks need besides.
.venv/demo: $(UV) uv.lock pyproject.toml
	@echo "Setting up (once; about a minute on a new machine)"
	@$(UV) sync --quiet --frozen --inexact --python "$$(tools/find-python)"
	@touch $@

.venv/deploy: $(UV) uv.lock pyproject.toml
	@echo "Setting up (once; about a minute on a new machine)"
	@$(UV) sync --quiet --frozen --inexact --group deploy --python "$$(tools/find-python)"
	@touch $@

.cache/asl-validator/.installed: $(UV) tools/asl-validator/package-lock.json
	@UV="$(CURDIR)/$(UV)" tools/asl-validator/install .cache/asl-validator
	@touch $@

# Checkov pins a boto3 that is not ours.
.cache/checkov/.installed: $(UV) tools/checkov/requirements.txt
	@$(UV) venv --quiet --clear --python "$$(tools/find-python)" .cache/checkov
	@$(UV) pip install --quiet --python .cache/checkov/bin/python --requirements tools/checkov/requirements.txt
	@touch $@

# The emulator has requirements of its own, which do not agree with ours.
.cache/deployment/.installed: $(UV) testing/deployment/requirements.txt
	@$(UV) venv --quiet --clear --python "$$(tools/find-python)" .cache/deployment
	@$(UV) pip install --quiet --python .cache/deployment/bin/python --requirements testing/deployment/requirements.txt
	@touch $@

.venv/all: $(UV) uv.lock pyproject.toml
	@$(UV) sync --quiet --frozen --all-groups --python "$$(tools/find-python)"
	@touch $@ .venv/demo .venv/deploy
