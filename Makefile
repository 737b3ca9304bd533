# Longshore. `make help` lists what there is.

CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help build test lint crds samples demo cluster-up cluster-down

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## Build the operator
	$(CARGO) build --locked

test: ## Run all tests, on a real control plane too
	$(CARGO) test --locked --workspace

lint: ## Check format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings

crds: ## Generate the custom resource definitions
	$(CARGO) run --locked --quiet -- crds --dir crds

samples: ## Import config/samples/ecs into config/samples
	@for f in config/samples/ecs/*.json; do $(CARGO) run --locked --quiet -- import $$f > config/samples/$$(basename $$f .json).yaml || exit 1; done

cluster-up: ## Start a real control plane on loopback; prints `export KUBECONFIG=…`
	@$(CARGO) run --locked --quiet --package longshore-test-cluster -- up

cluster-down: ## Stop it
	@$(CARGO) run --locked --quiet --package longshore-test-cluster -- down
