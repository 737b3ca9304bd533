# Longshore. `make help` lists what there is.

CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help build test test-node sim taskdefs bench lint crds manifests samples demo cluster-up cluster-down

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## Build the operator
	$(CARGO) build --locked

test: ## Run all tests, on a real control plane and, as root on Linux, on running containers too
	$(CARGO) test --locked --workspace

test-node: ## Run the tests on running containers alone; TEST=part of a name runs fewer
	$(CARGO) test --locked --test containers -- $(TEST)

bench: ## Measure Longshore beside a Deployment, and its planning; BENCH="rollout --rounds 1" measures less
	$(CARGO) bench --locked --bench beside_deployment -- $(BENCH)
	$(CARGO) bench --locked --bench plan
SEEDS ?= 200
sim: ## Simulate the operator: SEEDS=n seeds from FROM=n on, then a rollout with a crash at every write
	SEEDS=$(SEEDS) $(CARGO) test --locked --test simulation any_seed_holds -- --nocapture
	SWEEP=all $(CARGO) test --locked --test simulation interrupted_at_any_write comes_back_to a_restart_neither -- --nocapture

lint: ## Check format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings

crds: ## Generate the custom resource definitions
	$(CARGO) run --locked --quiet -- crds --dir crds

manifests: crds ## Bring the chart's copies of definitions and rights up to date
	cp crds/*.longshore.dev.yaml charts/longshore/files/crds/
	cp config/rbac/*_role.yaml charts/longshore/files/rbac/

samples: ## Import config/samples/ecs into config/samples
	@for f in config/samples/ecs/*.json; do $(CARGO) run --locked --quiet -- import $$f > config/samples/$$(basename $$f .json).yaml || exit 1; done

demo: ## Show Longshore at work on a real control plane
	@$(CARGO) build --locked --bins
	@$(CARGO) run --locked --quiet --bin test-cluster -- demo

cluster-up: ## Start a real control plane on loopback; prints `export KUBECONFIG=…`
	@$(CARGO) run --locked --quiet --bin test-cluster -- up

cluster-down: ## Stop it, and an operator that runs beside it
	@$(CARGO) run --locked --quiet --bin test-cluster -- down

taskdefs: ## Show what becomes of the real task definitions beside the repository
	@$(CARGO) test --locked --quiet --test task_definitions every_real_definition -- --nocapture
