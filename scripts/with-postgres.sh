#!/usr/bin/env bash
# Runs a command with a private, temporary PostgreSQL, and removes it afterwards in any case:
#   scripts/with-postgres.sh cargo test
# TEST_POSTGRES_URL is its URL. TEST_POSTGRES_BIN is the folder of the binaries, for tests that start further servers.
set -euo pipefail

fail() { echo "with-postgres: $*" >&2; exit 1; }
[ "$#" -gt 0 ] || fail "usage: $0 COMMAND..."

newest=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1) || true
initdb=${newest:-$(command -v initdb)} || fail "no PostgreSQL here: scripts/setup.sh test installs it"
bin=$(dirname "$(readlink -f "$initdb")")

# PostgreSQL refuses to run as root.
as_postgres=()
[ "$(id -u)" != 0 ] || as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups)

dir=$(mktemp -d)
command_pid=''

# shellcheck disable=SC2317 # called by the trap
cleanup() {
    trap '' INT TERM HUP
    if [ -n "$command_pid" ] && kill -TERM -- "-$command_pid" 2>/dev/null; then
        wait "$command_pid" || true
    fi
    [ ! -e "$dir/data/postmaster.pid" ] ||
        (cd / && "${as_postgres[@]}" "$bin/pg_ctl" --pgdata "$dir/data" --mode immediate --silent stop) || true
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

password=$(od -An -v -tx1 -N16 /dev/urandom | tr -d ' \n')
printf '%s' "$password" >"$dir/password"
[ "$(id -u)" != 0 ] || chown -R postgres "$dir"

run() { (cd "$dir" && "${as_postgres[@]}" "$@"); }

# MD5 is used because the 4096 rounds of SCRAM cost the client 5 ms of processor time for each of the many connections of
# the tests. The servers that tests start themselves use SCRAM.
run "$bin/initdb" --pgdata "$dir/data" --username postgres --pwfile "$dir/password" --auth md5 \
    --encoding UTF8 --locale C --no-sync >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; fail "initdb failed"; }

cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$dir'
max_connections = 300
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = '128MB'
CONF

# A port cannot be reserved before the server binds it, so the script tries another one if it is taken. The ports are below the
# ephemeral range, because sockets of other programs could take such a port while the server restarts.
started=''
for _ in 1 2 3 4 5 6; do
    port=$((16384 + RANDOM % 16000))
    if run "$bin/pg_ctl" --pgdata "$dir/data" --log "$dir/log" --options "-p $port" --wait --silent start; then
        started=yes
        break
    fi
done
[ -n "$started" ] || { cat "$dir/log" >&2; fail "PostgreSQL doesn't start"; }

export TEST_POSTGRES_URL="postgres://postgres:$password@127.0.0.1:$port/postgres"
export TEST_POSTGRES_BIN="$bin"

status=0
if [ -t 0 ]; then
    # At a terminal, the command can read input, and a Ctrl-C reaches it directly.
    "$@" || status=$?
else
    # The command has its own process group, so that a signal to this script ends all processes of it at once.
    set -m
    "$@" &
    command_pid=$!
    set +m
    wait "$command_pid" || status=$?
    command_pid=''
fi
exit "$status"
