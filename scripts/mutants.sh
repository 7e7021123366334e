#!/usr/bin/env bash
# Runs mutation tests: makes small changes to the code that decides on access, one at a time, and runs the tests of its
# crate. Lists the changes with which these tests pass. Some of the listed changes fail a test in tests/, which this script
# does not run.
#   scripts/mutants.sh [AREA...]      all areas, or some of: policy token revocation throttle members feed follow sync
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh mutants

# Prints the package of an area, and its files.
area() {
    case "$1" in
        policy) echo doorward-directory src/policy.rs src/members/transitions.rs ;;
        token) echo doorward-token 'src/*.rs' ;;
        revocation) echo doorward-auth src/tokens/revocation.rs src/model/revocation.rs src/store/revocation.rs src/tokens/trust_store.rs ;;
        throttle) echo doorward-auth 'src/throttle/*.rs' src/login/in_flight.rs src/store/throttle.rs ;;
        members) echo doorward-directory src/members/access.rs src/members/status_changes.rs src/service/members.rs src/service/invitations.rs src/store/membership.rs ;;
        feed) echo doorward-directory src/feed/membership_events.rs ;;
        follow) echo doorward-auth src/feed/follow.rs src/feed/access_end.rs src/feed/catch_up.rs ;;
        sync) echo doorward-sync src/event_stream.rs ;;
        *) echo "no area: $1" >&2; return 2 ;;
    esac
}

[ "$#" -gt 0 ] || set -- policy token revocation throttle members feed follow sync
# The builds of all areas share their dependencies.
export CARGO_TARGET_DIR="$PWD/target/mutants" CARGO_PROFILE_DEV_DEBUG=0
mkdir -p target/mutants
for name in "$@"; do
    words=$(area "$name")
    read -ra words <<<"$words"
    package=${words[0]}
    files=()
    for file in "${words[@]:1}"; do files+=(--file "crates/${package#doorward-}/$file"); done
    status=0
    scripts/with-postgres.sh .tools/bin/cargo-mutants mutants --package "$package" "${files[@]}" \
        --timeout 120 --output "target/mutants/$name" -- --tests || status=$?
    # 2: some passed; 3: some took too long.
    case "$status" in 0 | 2 | 3) ;; *) exit "$status" ;; esac
done
echo "mutants: the lists are target/mutants/*/mutants.out/missed.txt"
