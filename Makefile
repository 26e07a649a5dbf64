# Two commands matter: `make demo` (ONCE=1, PDF=file.pdf) and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET := $(or $(CARGO_TARGET_DIR),target)
BIN := $(TARGET)/debug
TOOLS := $(or $(QZ_TOOLS),$(HOME)/.cache/qizheng/tools)
# A workspace of its own, without any of our crates.
C2SP_MANIFEST := --manifest-path evidence/c2sp/Cargo.toml
say = @printf '\n\033[1m== %s\033[0m\n' "$(1)"

.PHONY: help demo test setup setup-test wasm web build fmt lint doc tidy unit vectors e2e deny chaos load bench growth catchup

help:
	@echo "make demo        build everything and play a contract on four nodes (ONCE=1: exit after the last check; PDF=file: sign your own)"
	@echo "make test        everything that CI runs"
	@echo "make build       verifier for the browser, web pages, all programs"
	@echo "make chaos       SEEDS=1..22: break a network of real nodes on purpose and compare everything (SECONDS_EACH=40)"
	@echo "make load        throughput, latency and cost of four real nodes against what the hardware could do (one line of JSON)"
	@echo "make bench       benchmarks of codec, trees, execution, verification and store"
	@echo "make growth      the store's cost with RECORDS=100000 records (or more)"
	@echo "make catchup     an empty node reaches the head of a chain of RECORDS=100000 records; and how long nodes take to start"
	@echo "make vectors     the Rust and the Python verifier over every vector, positive and negative"
	@echo "make unit | lint | doc | deny | vectors | e2e   parts of make test"

demo: setup build
	$(call say,demo)
	@$(BIN)/qz-testnet demo $(if $(ONCE),--once) $(if $(PDF),--pdf "$(PDF)") $(if $(DATA),--data "$(DATA)") $(if $(BASE_PORT),--base-port $(BASE_PORT))

test: setup-test fmt build lint doc deny unit vectors e2e
	$(call say,make test: all passed)

setup:
	@testnet/setup.sh demo

setup-test:
	@testnet/setup.sh test

# The verifier for the browser, then the pages around it, then the programs (the gateway carries the pages).
wasm:
	$(call say,verifier for the browser (WASM))
	@evidence/wasm/build.sh

web: wasm
	$(call say,web pages)
	@cd gateway/web && { [ node_modules -nt package-lock.json ] || npm ci --no-audit --no-fund --loglevel=error; }
	@cd gateway/web && npm run --silent build

build: web
	$(call say,programs (the first time this takes 10 to 30 minutes))
	@cargo build --workspace --all-targets

fmt:
	$(call say,cargo fmt)
	@cargo fmt --all --check
	@cargo fmt $(C2SP_MANIFEST) --check

lint: build
	$(call say,clippy and tsc)
	@cargo clippy --workspace --all-targets -- -D warnings
	@cargo clippy --quiet --locked --target-dir $(TARGET)/c2sp $(C2SP_MANIFEST) -- -D warnings
	@cd gateway/web && npm run --silent lint

doc: build
	$(call say,rustdoc)
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

deny:
	$(call say,licences and bans and sources of dependencies (advisories are NOT RUN: they need a network))
	@$(TOOLS)/bin/cargo-deny --log-level error check bans licenses sources
	@$(TOOLS)/bin/cargo-deny --log-level error --config .deny.toml $(C2SP_MANIFEST) check bans licenses sources

unit: build
	$(call say,tests)
	@cargo test --workspace
	@cd gateway/web && npm run --silent test

# The Rust and the Python verifier over every vector, the latter's libraries in an environment of its own; then
# notes and proofs in C2SP formats by an implementation that is not ours.
vectors: build
	$(call say,vectors: two verifiers over everything that must be accepted or refused)
	@$(MAKE) --no-print-directory $(TOOLS)/verifier/.ready
	@$(BIN)/qz-conformance run $(TARGET)/vectors --python $(TOOLS)/verifier/bin/python --verifier evidence/python
	@node evidence/wasm/vectors.mjs $(TARGET)/vectors gateway/web/public/qz_verify.wasm
	@cargo run --quiet --locked --target-dir $(TARGET)/c2sp $(C2SP_MANIFEST) -- $(TARGET)/vectors/c2sp.json

$(TOOLS)/verifier/.ready: evidence/python/requirements.txt
	@rm -rf $(TOOLS)/verifier && python3 -m venv $(TOOLS)/verifier
	@$(TOOLS)/verifier/bin/pip install --quiet --disable-pip-version-check -r evidence/python/requirements.txt
	@touch $@

e2e: build
	$(call say,portal in Chromium)
	@$(BIN)/qz-testnet e2e --data $(TARGET)/e2e --web gateway/web --out $(abspath $(TARGET))/e2e/screenshots

# Needs root: every run makes network namespaces of its own.
chaos: build
	@testnet/setup.sh chaos
	$(call say,chaos)
	@$(BIN)/qz-testnet chaos --seeds $(or $(SEEDS),1..22) --seconds $(or $(SECONDS_EACH),40) --data $(TARGET)/chaos

# Measurements; docs/PERFORMANCE.md says what they mean. Load is measured with what packages ship, the rest in the dev profile.
load: setup
	$(call say,programs in the release profile (the first time this takes 10 to 30 minutes))
	@cargo build --release -p qz-node -p qz-genesis -p qz-testnet --bins
	$(call say,load: looks for the saturation point, a few minutes)
	@$(TARGET)/release/qz-testnet load --json $(if $(RATE),--rate $(RATE)) $(if $(SECONDS),--seconds $(SECONDS))

bench:
	$(call say,benchmarks)
	@cargo bench --workspace --profile dev --bench evidence --bench chain --bench store

growth:
	$(call say,growth of one store)
	@cargo bench --workspace --profile dev --bench growth -- --records $(or $(RECORDS),100000)

catchup: build
	$(call say,catch-up of an empty node)
	@$(BIN)/qz-testnet catchup --json --records $(or $(RECORDS),100000)
