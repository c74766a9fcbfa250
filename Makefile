# The verbs of this house. `make` alone lists them. The work is done by xtask/;
# this file only sees to it that the machine has what a verb needs.

.DEFAULT_GOAL := help
.PHONY: help setup setup-test build demo test bench serve lint vectors fuzz doc interop clean-demo

# Rust is found where rustup puts it, whatever the login shell says.
export PATH := $(HOME)/.cargo/bin:$(PATH)

XTASK := cargo run --quiet --package xtask --

help: ## this list
	@echo "EncryTrust: make VERB"
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r verb what; do printf '%-12s %s\n' "$$verb" "$$what"; done

setup: ## install what building needs (a C compiler), if it is missing
	@scripts/setup.sh build

setup-test: ## install what `make test` needs besides, if it is missing
	@scripts/setup.sh build test

build: setup ## compile everything, one profile for demo, tests and CI
	cargo build --workspace

demo: build ## three enterprises, one buyer, one auditor, on real data; state stays in ./demo
	@$(XTASK) demo

serve: build ## a platform on 127.0.0.1:7700; DIR=… for its state, LISTEN=… for its address
	@$(XTASK) serve $(if $(DIR),--dir $(DIR)) $(if $(LISTEN),--listen $(LISTEN))

test: setup-test ## unit tests, journeys, adversaries, crashes, other people's verifiers
	@$(XTASK) test

interop: setup-test ## fetch the verifiers that the interop tests call; then `cargo test` alone will do
	@$(XTASK) interop

lint: setup ## formatting, clippy, rustdoc, licences and advisories
	@$(XTASK) lint

bench: setup ## criterion kernels, then the load generator, both in release
	@$(XTASK) bench

vectors: setup ## write vectors/ again and show what changed
	@$(XTASK) vectors

fuzz: setup ## TARGET=offer SECONDS=60; without cargo-fuzz it replays the vectors
	@$(XTASK) fuzz $(if $(TARGET),--target $(TARGET)) $(if $(SECONDS),--seconds $(SECONDS))

doc: setup ## the API documentation, in target/doc
	@$(XTASK) doc

clean-demo: ## remove ./demo
	rm -rf demo
