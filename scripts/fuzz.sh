#!/usr/bin/env bash
# Fuzzes the check of tokens for FUZZ_SECONDS (60). What is found lies in fuzz/artifacts/token; more options go to libFuzzer.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh fuzz

# Sanitizers are unstable options of the compiler. What libFuzzer itself needs isn't: without one, stable does.
command=(cargo fuzz run --sanitizer none)
if rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
    command=(cargo +nightly fuzz run --sanitizer address)
else
    echo 'fuzz: no nightly toolchain here, so without the address sanitizer' >&2
fi

mkdir -p fuzz/corpus/token
exec "${command[@]}" token fuzz/corpus/token fuzz/seeds/token -- \
    -dict=fuzz/token.dict -max_len=8192 -timeout=10 -max_total_time="${FUZZ_SECONDS:-60}" "$@"
