#!/usr/bin/env bash
# Checks the dependencies against the RustSec database of known vulnerabilities, and the exceptions in deny.toml.
#   ADVISORY_DB=DIR   a git clone of the database, for machines that cannot reach it
# Without network and clone, the copy of the last check is used. If there is no copy either, nothing is checked, and a
# message reports this.
set -euo pipefail
cd "$(dirname "$0")/.."

url=https://github.com/RustSec/advisory-db
fail() { echo "advisories: $*" >&2; exit 1; }

# An exception has a reason that ends with the date on which it expires: `{ id = "...", reason = "..., until 2027-03-01" }`.
today=$(date -u +%F)
while IFS= read -r exception; do
    id=$(sed -n 's/.*id *= *"\([^"]*\)".*/\1/p' <<<"$exception")
    until=$(sed -n 's/.*until \([0-9]\{4\}-[0-9]\{2\}-[0-9]\{2\}\)".*/\1/p' <<<"$exception")
    [ -n "$until" ] || fail "the exception ${id:-$exception} in deny.toml has no reason that ends with 'until YYYY-MM-DD'"
    [[ ! "$until" < "$today" ]] || fail "the exception $id in deny.toml has expired on $until"
done < <(sed -n '/^\[advisories\]/,/^\[/p' deny.toml | grep -E '^[^#]*(RUSTSEC|GHSA|CVE)-' || true)

if [ -n "${ADVISORY_DB:-}" ]; then
    source=$(cd "$ADVISORY_DB" && pwd) || fail "there is no directory $ADVISORY_DB"
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.$source.insteadOf" GIT_CONFIG_VALUE_0="$url"
fi
if GIT_TERMINAL_PROMPT=0 timeout 60 git ls-remote --exit-code "$url" main >/dev/null 2>&1; then
    cargo deny --locked check advisories
elif compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs/advisory-db-*/.git" >/dev/null; then
    echo "advisories: $url cannot be reached; using the copy of the last check" >&2
    cargo deny --locked --offline check advisories
else
    echo "advisories: NOT CHECKED: $url cannot be reached, there is no copy, and ADVISORY_DB names none" >&2
fi
