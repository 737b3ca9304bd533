# Longshore. `make help` lists what there is.

CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help build test lint crds demo cluster-up cluster-down

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

demo: ## Show Longshore at work on a real control plane
	@$(CARGO) build --locked --bins
	@$(CARGO) run --locked --quiet --bin test-cluster -- demo

cluster-up: ## Start a real control plane on loopback; prints `export KUBECONFIG=…`
	@$(CARGO) run --locked --quiet --bin test-cluster -- up

cluster-down: ## Stop it, and an operator that runs beside it
	@$(CARGO) run --locked --quiet --bin test-cluster -- down
