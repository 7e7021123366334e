#!/usr/bin/env bash
# Builds the files of a release from the current commit: for each target a tarball and an SBOM, and SHA256SUMS.
#   TARGETS="x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu"    what to build for
#   DIST_DIR=dist               folder of the files; its content is deleted first
#   DIST_MAX_BYTES=30000000     maximum size of a binary
#   DIST_TOOLS=.tools           folder in which `scripts/setup.sh dist` installs cargo-zigbuild and others
# With the versions in the file BUILD, the same commit gives the same bytes in every directory (scripts/dist-twice.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

say() { echo "dist: $*" >&2; }
fail() { echo "dist: FAILED: $*" >&2; exit 1; }

read -ra targets <<<"${TARGETS:-x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu}"
dist=${DIST_DIR:-dist}
tools=$(realpath -m "${DIST_TOOLS:-.tools}")
# Debian 11, Ubuntu 20.04, RHEL 9 and everything newer.
glibc=2.31
max_bytes=${DIST_MAX_BYTES:-30000000}

git rev-parse --git-dir >/dev/null 2>&1 || fail "a release is built from a git checkout"
[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed; the release would not be that of a commit"
TARGETS="${targets[*]}" DIST_TOOLS="$tools" scripts/setup.sh dist
for target in "${targets[@]}"; do
    [ -n "$(find "$(rustc --print target-libdir --target "$target")" -name 'libstd-*.rlib' 2>/dev/null)" ] ||
        fail "Rust's standard library for $target is missing: 'rustup target add $target', or leave the target out of TARGETS"
done

# Removes settings of this machine and shell that would change the result.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_BUILD_TARGET RUSTC_WORKSPACE_WRAPPER MAKEFLAGS MFLAGS
unset CC CXX AR RANLIB CFLAGS CPPFLAGS CXXFLAGS LDFLAGS RUSTC CARGO_INCREMENTAL TARGET_CC TARGET_CFLAGS
unset "${!CARGO_PROFILE_@}" "${!CARGO_TARGET_@}" "${!OPENSSL_@}" "${!CFLAGS_@}"
umask 022
export LC_ALL=C.UTF-8 TZ=UTC
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
export PATH="$tools/bin:$tools/venv/bin:$PATH"

commit=$(git rev-parse HEAD)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)
cargo_home=$(realpath "${CARGO_HOME:-$HOME/.cargo}")
# Always starts from an empty folder, because files of an earlier build may come from another commit.
build=$root/target/dist-build
rm -rf "$build"
mkdir -p "$build"
export CARGO_TARGET_DIR=$build/target
# zig and its wrappers cache here, and not in the home directory.
export ZIG_GLOBAL_CACHE_DIR=$build/zig ZIG_LOCAL_CACHE_DIR=$build/zig CARGO_ZIGBUILD_CACHE_DIR=$build/zigbuild

# Paths of this machine would appear in panic messages, so a wrapper of rustc replaces them. If the sources of the standard
# library are installed, their paths are also paths of this machine. The wrapper also adds the list of dependencies to the
# binary. `cargo auditable` itself is not used: it sets RUSTC_WORKSPACE_WRAPPER to its own path, which cargo hashes into the
# names of symbols.
rust_commit=$(rustc -vV | sed -n 's/^commit-hash: //p')
cat >"$build/rustc" <<WRAPPER
#!/bin/sh
rustc=\$1
shift
set -- "\$@" --remap-path-prefix="$root=/doorward" --remap-path-prefix="$CARGO_TARGET_DIR=/target" \\
    --remap-path-prefix="$cargo_home=/cargo" \\
    --remap-path-prefix="$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$rust_commit"
case "\${CARGO_PRIMARY_PACKAGE+primary} \$* " in
    "primary "*" --crate-type bin "*) exec env -u RUSTC_WRAPPER cargo-auditable "\$rustc" "\$@" ;;
    *) exec "\$rustc" "\$@" ;;
esac
WRAPPER
chmod +x "$build/rustc"
export RUSTC_WRAPPER=$build/rustc CARGO_AUDITABLE_ORIG_ARGS='{"offline":false,"locked":true,"frozen":false,"config":[]}'
# A wrapper replaces paths for C too. OpenSSL compiles the name of the compiler and its flags into the library, so the
# compiler has a name without a path, and the flags that replace paths are in the wrapper. OpenSSL also compiles in the
# directories in which it looks for engines, which must not be directories of the build.
mkdir "$build/bin"
export PATH="$build/bin:$PATH"
# Otherwise cargo-zigbuild would start Python at each call to find zig.
CARGO_ZIGBUILD_ZIG_COMMAND=$(python3 -c 'import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))')
CARGO_ZIGBUILD_ZIG_VERSION=$("$CARGO_ZIGBUILD_ZIG_COMMAND" version)
export CARGO_ZIGBUILD_ZIG_COMMAND CARGO_ZIGBUILD_ZIG_VERSION
for target in "${targets[@]}"; do
    cat >"$build/bin/zigcc-$target" <<WRAPPER
#!/bin/sh
# All C is compiled for size, except SQLite. The fast parts of aws-lc are assembly code.
case "\$PWD \$*" in *libsqlite3-sys*) ;; *) set -- "\$@" -Os -ffunction-sections -fdata-sections ;; esac
exec cargo-zigbuild zig cc -- -target ${target%%-*}-linux-gnu.$glibc -g0 -fno-sanitize=all \\
    -fno-unwind-tables -fno-asynchronous-unwind-tables \\
    -ffile-prefix-map="$CARGO_TARGET_DIR=/target" -ffile-prefix-map="$cargo_home=/cargo" "\$@"
WRAPPER
    chmod +x "$build/bin/zigcc-$target"
    export "CC_${target//-/_}=zigcc-$target"
done
export GNUMAKEFLAGS="ENGINESDIR=/usr/local/lib/engines-3 MODULESDIR=/usr/local/lib/ossl-modules"

check_binary() {
    local binary=$1 target=$2 bytes path needed
    bytes=$(stat --format %s "$binary")
    say "$target: $bytes bytes"
    [ "$bytes" -le "$max_bytes" ] || fail "the binary for $target has more than $max_bytes bytes"
    grep -aq '\.dep-v0' "$binary" || fail "the binary for $target lacks the list of its dependencies (cargo-auditable)"
    for path in "$root" "$cargo_home" "$HOME/"; do
        ! grep -aqF "$path" "$binary" || fail "the binary for $target contains the path $path"
    done
    needed=$(grep -aoE 'GLIBC_2\.[0-9]+' "$binary" | sort -uV | tail -n 1)
    [ "$(printf '%s\n' "$needed" "GLIBC_$glibc" | sort -V | tail -n 1)" = "GLIBC_$glibc" ] ||
        fail "the binary for $target needs $needed, and not only GLIBC_$glibc"
    if [ "$(rustc -vV | sed -n 's/^host: //p')" = "$target" ]; then
        "$binary" --version >&2 || fail "the binary for $target does not run"
    fi
}

make_tarball() {
    local binary=$1 name=$2 stage=$build/stage
    rm -rf "$stage"
    mkdir -p "$stage/$name"
    install -m 755 "$binary" "$stage/$name/doorward"
    git archive HEAD README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT LICENSES NOTICE docs | tar -x -C "$stage/$name"
    cat >"$stage/$name/BUILD" <<BUILD
commit: $commit
date: $(date --utc --date "@$SOURCE_DATE_EPOCH" +%FT%TZ)
host: $(rustc -vV | sed -n 's/^host: //p')
$(rustc --version)
$(cargo --version)
$(cargo-zigbuild --version)
zig $CARGO_ZIGBUILD_ZIG_VERSION
$(cargo install --root "$tools" --list | sed -n 's/^\(cargo-auditable .*\):$/\1/p')
BUILD
    chmod -R u=rwX,go=rX "$stage/$name"
    tar --create --directory "$stage" --format gnu --sort name --owner 0 --group 0 --numeric-owner --mtime "@$SOURCE_DATE_EPOCH" \
        "$name" | gzip --no-name --best >"$build/dist/$name.tar.gz"
}

# cargo-cyclonedx writes next to the manifests, so it runs in a copy. Its identifiers of our crates contain the path of that
# copy.
make_sbom() {
    local target=$1 name=$2 source=$build/source
    rm -rf "$source"
    mkdir "$source"
    git archive HEAD | tar -x -C "$source"
    (cd "$source" && env -u RUSTC_WRAPPER cargo cyclonedx --quiet --manifest-path crates/server/Cargo.toml --format json \
        --spec-version 1.5 --target "$target" --override-filename sbom) ||
        fail "no SBOM for $target"
    sed "s|file://$source|file:///doorward|g" "$source/crates/server/sbom.json" >"$build/dist/$name.cdx.json"
    ! grep -qF "$build" "$build/dist/$name.cdx.json" || fail "the SBOM for $target contains the path $build"
}

mkdir "$build/dist"
for target in "${targets[@]}"; do
    say "$target: building"
    cargo zigbuild --locked --profile dist --target "$target.$glibc" --package doorward --bin doorward
    binary=$CARGO_TARGET_DIR/$target/dist/doorward
    name=doorward-$version-$target
    check_binary "$binary" "$target"
    make_tarball "$binary" "$name"
    make_sbom "$target" "$name"
done
(cd "$build/dist" && sha256sum -- * >SHA256SUMS)

rm -rf "$dist"
mkdir -p "$(dirname "$dist")"
mv "$build/dist" "$dist"
say "done: $(cd "$dist" && echo *) in $dist"
