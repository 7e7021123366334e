#!/usr/bin/env bash
# Creates the secrets that docker-compose.yml mounts. Existing files are never changed; missing files are added.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=${DOORWARD_SECRETS_DIR:-secrets}

hex() { od -An -v -tx1 -N"$1" /dev/urandom | tr -d ' \n'; }

# `ln` never replaces a file, and no process can read an incomplete one.
keep() {
    [ ! -e "$dir/$1" ] || return 0
    local new
    new=$(mktemp "$dir/.new.XXXXXX")
    printf '%s' "$2" >"$new"
    # File secrets are bind mounts that keep the owner and mode of the host, and the users of the containers (10001, postgres)
    # do not exist on the host. So the files are readable for all, but the directory is accessible only to this user.
    chmod 0444 "$new"
    ln "$new" "$dir/$1" 2>/dev/null || [ -e "$dir/$1" ]
    rm -f "$new"
    echo "secrets: created $dir/$1" >&2
}

url() { printf 'postgres://doorward_%s:%s@postgres:5432/doorward_%s' "$1" "$(cat "$dir/$1_database_password")" "$1"; }

mkdir -p "$(dirname "$dir")"
[ -d "$dir" ] || mkdir -m 0700 "$dir"
keep master_key "$(head -c 32 /dev/urandom | base64)"
keep service_token "$(hex 32)"
keep postgres_password "$(hex 24)"
for service in auth directory; do
    keep "${service}_database_password" "$(hex 24)"
    keep "${service}_database_url" "$(url "$service")"
done
