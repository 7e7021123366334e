#!/usr/bin/env bash
# Fuzzes each target of fuzz/, or the named targets, for FUZZ_SECONDS (60). Inputs of failures are written to
# fuzz/artifacts/<target>.
#   scripts/fuzz.sh [TARGET...] [-- LIBFUZZER-OPTION...]
set -euo pipefail
cd "$(dirname "$0")/.."

targets=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do targets+=("$1"); shift; done
[ $# -eq 0 ] || shift
[ "${#targets[@]}" -gt 0 ] || targets=(token email images multipart socketio)

scripts/setup.sh fuzz

# Sanitizers are unstable options of the compiler. The options of libFuzzer are stable, so a stable toolchain works without
# a sanitizer.
command=(cargo fuzz run --sanitizer none)
if rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
    command=(cargo +nightly fuzz run --sanitizer address)
else
    echo 'fuzz: no nightly toolchain here, so without the address sanitizer' >&2
fi

failed=()
for target in "${targets[@]}"; do
    options=(-max_len=8192 -timeout=10 -max_total_time="${FUZZ_SECONDS:-60}")
    if [ -e "fuzz/$target.dict" ]; then options+=(-dict="fuzz/$target.dict"); fi
    mkdir -p "fuzz/corpus/$target"
    "${command[@]}" "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- "${options[@]}" "$@" || failed+=("$target")
done
[ "${#failed[@]}" -eq 0 ] || { echo "fuzz: FAILED: ${failed[*]}" >&2; exit 1; }
