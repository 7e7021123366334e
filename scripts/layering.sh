#!/usr/bin/env bash
# Proves the dependencies between the crates (docs/architecture.md), as cargo resolves them.
set -euo pipefail
cd "$(dirname "$0")/.."

bad=0

# Prints the names that cargo lists. An error must not look like an empty tree.
tree() {
    local listing
    listing=$(cargo tree --locked --offline --edges normal,build --prefix none "$@") || exit 1
    sed '/^$/d; s/ .*//' <<<"$listing" | sort -u
}

# never RULE EXPRESSION "PACKAGES" [TREE-OPTION...]: none of the packages depends on a name that matches in full.
never() {
    local rule=$1 expression=$2 packages=$3 package names lines found=''
    shift 3
    for package in $packages; do
        names=$(tree --package "$package" "$@")
        lines=$(grep -vx "$package" <<<"$names" | grep -xE "$expression" | sed "s/^/    $package -> /" || true)
        found+=${lines:+$'\n'$lines}
    done
    if [ -z "$found" ]; then
        echo "ok  $rule"
    else
        echo "BAD $rule$found"
        bad=1
    fi
}

# Prints all members except those named, the tests and the benchmark, which are allowed to depend on everything.
all_but() {
    local others
    others=$(IFS='|'; echo "$*")
    grep -vxE "doorward-tests|doorward-bench|$others" <<<"$members"
}

members=$(tree --workspace --depth 0)

never 'domain depends on no other crate of the workspace' 'doorward.*' doorward-domain
never 'domain knows no tokio, tonic, diesel, actix-web' 'tokio|tonic|diesel|actix-web' doorward-domain
never 'rpc, token and storage depend on domain alone' 'doorward-(rpc|token|storage|auth|directory|gateway)' \
    "$(printf '%s\n' doorward-rpc doorward-token doorward-storage)" --depth 1
never 'mail depends on domain and storage alone' 'doorward-(rpc|token|media|auth|directory|gateway)' doorward-mail
never 'service-tokens depends on domain, rpc and storage alone' \
    'doorward-(token|mail|media|sync|auth|directory|gateway)' doorward-service-tokens
never 'media depends on domain alone' 'doorward-(rpc|token|storage|mail|auth|directory|gateway)' doorward-media
never 'sync depends on domain, rpc and token alone' 'doorward-(storage|service-tokens|mail|media|auth|directory|gateway)' doorward-sync
never 'auth does not depend on directory' 'doorward-directory' doorward-auth
never 'directory does not depend on auth' 'doorward-auth' doorward-directory
never 'gateway does not depend on storage, service-tokens, mail, auth, directory' \
    'doorward-(storage|service-tokens|mail|auth|directory)' doorward-gateway
never 'diesel is used by storage, mail, service-tokens, auth, directory alone' 'diesel.*' \
    "$(all_but doorward-storage doorward-mail doorward-service-tokens doorward-auth doorward-directory)" --depth 1
never 'diesel reaches only them and the server' 'diesel.*' \
    "$(all_but doorward-storage doorward-mail doorward-service-tokens doorward-auth doorward-directory doorward)"
never 'actix is used by gateway alone' '(.*-)?actix.*' "$(all_but doorward-gateway)" --depth 1
never 'actix reaches only gateway and the server' 'actix-web' "$(all_but doorward-gateway doorward)"

exit "$bad"
