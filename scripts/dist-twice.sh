#!/usr/bin/env bash
# Checks that a release can be reproduced: builds the current commit twice, from two clones, and compares all files.
# The builds differ in their directories, in CARGO_HOME, in umask, locale, time zone and in the number of jobs.
#   TARGETS=...     as for scripts/dist.sh
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "dist-twice: FAILED: $*" >&2; exit 1; }

commit=$(git rev-parse HEAD)
tools=$(realpath -m "${DIST_TOOLS:-.tools}")
DIST_TOOLS="$tools" scripts/setup.sh dist
mkdir -p target
work=$(mktemp -d "$PWD/target/dist-twice.XXXXXX")

# build NAME [VARIABLE=VALUE...]
build() {
    local clone=$work/$1/doorward
    shift
    git clone --quiet --no-checkout . "$clone"
    git -C "$clone" checkout --quiet --detach "$commit"
    env DIST_TOOLS="$tools" DIST_DIR=dist "$@" "$clone/scripts/dist.sh"
}

(umask 022 && build one LC_ALL=C TZ=UTC)
# A second CARGO_HOME with the same crates, as hard links if possible.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
mkdir -p "$work/cargo-home/registry"
for part in cache index; do
    cp -al "$cargo_home/registry/$part" "$work/cargo-home/registry/" 2>/dev/null ||
        cp -a "$cargo_home/registry/$part" "$work/cargo-home/registry/"
done
[ ! -e "$cargo_home/config.toml" ] || cp "$cargo_home/config.toml" "$work/cargo-home/"
(umask 027 && build another-directory LC_ALL=C.UTF-8 TZ=Asia/Kathmandu CARGO_BUILD_JOBS=1 CARGO_HOME="$work/cargo-home")

diff --recursive --brief "$work/one/doorward/dist" "$work/another-directory/doorward/dist" ||
    fail "two builds of $commit differ; they are kept in $work"
cat "$work/one/doorward/dist/SHA256SUMS"
rm -rf "$work"
echo "dist-twice: ok, two builds of $commit are equal"
