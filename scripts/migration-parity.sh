#!/usr/bin/env bash
# Proves that every service has the same migrations for both databases, each with an up.sql.
set -euo pipefail
shopt -s nullglob
cd "$(dirname "$0")/.."

names() { (cd "$1" 2>/dev/null && find . -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort) || true; }

problems() {
    local migration
    [ -n "$(names "$1/postgres")" ] || echo "    no migrations for PostgreSQL"
    diff <(names "$1/postgres") <(names "$1/sqlite") | sed -n 's/^</    without SQLite:/p; s/^>/    without PostgreSQL:/p' || true
    for migration in "$1"/{postgres,sqlite}/*/; do
        [ -s "${migration}up.sql" ] || echo "    no ${migration}up.sql"
    done
}

bad=0
all=(crates/*/migrations)
[ "${#all[@]}" -gt 0 ] || { echo "BAD no crates/*/migrations"; exit 1; }
for migrations in "${all[@]}"; do
    found=$(problems "$migrations")
    if [ -z "$found" ]; then
        echo "ok  $migrations"
    else
        printf 'BAD %s\n%s\n' "$migrations" "$found"
        bad=1
    fi
done
exit "$bad"
