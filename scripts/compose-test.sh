#!/usr/bin/env bash
# The image and docker-compose.yml on a real engine: logins through one gateway, through two, and after a restart of auth; a
# signup with the code from a mail.
# Starts an engine where none runs (as root), and makes stand-ins for base images that can't be pulled.
#   DOORWARD_IMAGE=NAME         tests that image instead of building one
#   TEST_SKIP_COMPOSE=1         for machines where no engine can run
set -euo pipefail
cd "$(dirname "$0")/.."

# The second name is the former one.
if [ "${TEST_SKIP_COMPOSE:-${DOORWARD_SKIP_COMPOSE:-}}" = 1 ]; then
    echo "compose-test: SKIPPED, nothing tested (TEST_SKIP_COMPOSE=1)"
    exit 0
fi

say() { echo "compose-test: $*"; }
fail() { echo "compose-test: FAILED: $*" >&2; exit 1; }

work=$(mktemp -d)
engine_pid=''
compose=()

# With the profile, also what only it starts.
down() { COMPOSE_PROFILES=mail "${compose[@]}" down --volumes --remove-orphans >/dev/null 2>&1 || true; }

# shellcheck disable=SC2317 # called by the trap
cleanup() {
    local status=$?
    trap '' INT TERM HUP
    if [ "${#compose[@]}" -gt 0 ]; then
        if [ "$status" != 0 ]; then
            "${compose[@]}" ps || true
            "${compose[@]}" logs --no-color --tail 50 || true
        fi >&2
        down
    fi
    if [ -n "$engine_pid" ]; then
        kill "$engine_pid" 2>/dev/null || true
        wait "$engine_pid" || true
    fi
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# within SECONDS COMMAND...: tries until it succeeds.
within() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.5
    done
}

engine_answers() { docker info >/dev/null 2>&1; }

start_engine() {
    ! engine_answers || return 0
    [ "$(id -u)" = 0 ] || fail "no container engine answers, and only root could start one"
    say "starting a container engine"
    # In a session of its own: a Ctrl-C must leave it running until the containers are removed.
    setsid dockerd --pidfile "$work/dockerd.pid" >"$work/dockerd.log" 2>&1 &
    engine_pid=$!
    within 30 engine_answers || { tail -n 20 "$work/dockerd.log" >&2; fail "the container engine doesn't start"; }
}

get_image() {
    timeout 120 docker pull --quiet "$1" >/dev/null 2>&1 || scripts/image-stand-ins.sh "$1"
}

free_port() {
    local port
    for _ in {1..50}; do
        port=$((16384 + RANDOM % 16000))
        if ! { : >"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null && ! { : >"/dev/tcp/127.0.0.1/$((port + 1))"; } 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    fail "no free ports"
}

# post ADDRESS PATH BODY [HEADER]: prints the status; the rest is in head and body.
post() {
    curl --silent --show-error --max-time 20 --noproxy '*' --dump-header "$work/head" --output "$work/body" \
        --write-out '%{http_code}' --header 'Content-Type: application/json' ${4:+--header "$4"} \
        --data "$3" "http://$1$2" 2>"$work/error" || true
}

ok() { [ "$1" = 200 ] && grep -Eq '"success": *true' "$work/body"; }

credentials='{"username": "ann", "password": "a kettle of 7 grey herons"}'
token=''

logs_in() {
    ok "$(post "$1" /api/login "$credentials")" || return 1
    token=$(sed -n 's/^authorization: *\([^ \r]*\)\r*$/\1/Ip' "$work/head")
    [ -n "$token" ]
}

must_log_in() { logs_in "$1" || { cat "$work/error" "$work/head" "$work/body" >&2 || true; fail "login through $1"; }; }

must_be_known() {
    ok "$(post "$1" /api/init '{}' "Authorization: Bearer $token")" ||
        { cat "$work/error" "$work/head" "$work/body" >&2 || true; fail "the token at $1/api/init"; }
}

signup='"username": "eva", "password": "a ladder of 9 blue herons", "email": "eva@example.com"'
codes=''

caught() { curl --silent --show-error --fail --max-time 20 --noproxy '*' "http://127.0.0.1:$DOORWARD_MAIL_PORT/api/v1/$1"; }

asks_for_a_code() { ok "$(post "$1" /api/signup_request "{$signup}")"; }

# The newest mail comes first; its code is alone on a line.
has_the_code() {
    local id code
    id=$(caught messages 2>/dev/null | grep -o '"ID":"[^"]*"' | head -n 1 | cut -d '"' -f 4) || return 1
    code=$(caught "message/$id" | grep -oE '\\n[0-9A-Z]{6}\\[rn]' | head -n 1 | tr -cd '0-9A-Z') || return 1
    [ -n "$code" ] && codes="\"validation_code\": \"$1\", \"verification_code\": \"$code\""
}

address_of() { "${compose[@]}" port --index="$1" gateway 8080; }
container_of() { "${compose[@]}" ps -q "$1"; }
is_healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]; }

all_healthy() {
    local container
    for container in $("${compose[@]}" ps -q postgres auth directory gateway); do
        is_healthy "$container" || return 1
    done
}

up() {
    "${compose[@]}" up --detach --no-build "$@" >"$work/up.log" 2>&1 || { cat "$work/up.log" >&2; fail "compose up $*"; }
    within 90 all_healthy || fail "not all services became healthy"
}

scripts/setup.sh compose
start_engine

export COMPOSE_PROJECT_NAME=doorward-test
if [ -z "${DOORWARD_IMAGE:-}" ]; then
    for image in debian:bookworm-slim rust:1-bookworm; do get_image "$image"; done
    export DOORWARD_IMAGE=doorward:test
    say "building the image"
    make --no-print-directory image IMAGE="$DOORWARD_IMAGE" >"$work/build.log" 2>&1 ||
        { tail -n 50 "$work/build.log" >&2; fail "the image doesn't build"; }
fi
get_image postgres:17-bookworm
get_image "$(sed -n 's/^ *image: \(axllent.*\)/\1/p' docker-compose.yml)"

DOORWARD_SECRETS_DIR=$work/secrets
DOORWARD_PORT=$(free_port)
DOORWARD_MAIL_PORT=$(free_port)
export DOORWARD_SECRETS_DIR DOORWARD_PORT DOORWARD_MAIL_PORT DOORWARD_BIND=127.0.0.1
# Nothing of this machine's own settings.
unset COMPOSE_PROFILES DOORWARD_SMTP_URL DOORWARD_MAIL_FROM DOORWARD_APP_URL
scripts/secrets.sh 2>/dev/null

if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
# Of a run that was killed.
down

say "starting everything"
up

say "who can reach what"
published=$(docker ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --format '{{.Names}} {{.Ports}}' |
    grep -e '->' | grep -v gateway) || true
[ -z "$published" ] || fail "published, besides the gateway: $published"
mounted() { docker inspect --format '{{range .Mounts}}{{println .Destination}}{{end}}' "$(container_of "$1")" | grep -c '^/run/secrets/'; }
[ "$(mounted gateway)" = 1 ] || fail "the gateway has more secrets than the service token"
[ "$(docker inspect --format '{{.Config.User}}' "$(container_of gateway)")" = 10001:10001 ] || fail "the gateway's user"
connects() {
    "${compose[@]}" exec -T -e PGPASSWORD="$(cat "$DOORWARD_SECRETS_DIR/$1_database_password")" postgres \
        psql --quiet --host 127.0.0.1 --username "doorward_$1" --dbname "$2" --command 'SELECT 1' >/dev/null 2>&1
}
connects auth doorward_auth || fail "auth's role can't use its database"
for database in doorward_directory postgres template1; do
    ! connects auth "$database" || fail "auth's role can use the database $database"
done
! connects directory doorward_auth || fail "directory's role can use auth's database"

say "a login, and its token in use"
printf 'a kettle of 7 grey herons' |
    "${compose[@]}" run --rm -T migrate user create --username ann --email ann@example.com --password-stdin \
        >"$work/user.json" 2>"$work/user.log" || { cat "$work/user.log" >&2; fail "user create"; }
first=$(address_of 1)
must_log_in "$first"
must_be_known "$first"
[ "$(post "$first" /api/login '{"username": "ann", "password": "something else"}')" = 403 ] || fail "a wrong password"

say "a signup, with a code by mail"
[ "$(post "$first" /api/signup_request "{$signup}")" = 503 ] || fail "a signup without a mail server is not 503"
export COMPOSE_PROFILES=mail DOORWARD_SMTP_URL='smtp://mail:1025?tls=none' DOORWARD_MAIL_FROM='Doorward <noreply@example.com>'
up
first=$(address_of 1)
within 30 asks_for_a_code "$first" || { cat "$work/error" "$work/body" >&2 || true; fail "a signup"; }
validation=$(sed -n 's/.*"validation_code": *"\([^"]*\)".*/\1/p' "$work/body")
within 30 has_the_code "$validation" || { caught messages >&2 || true; fail "no code came by mail"; }
ok "$(post "$first" /api/signup "{$signup, $codes}")" || { cat "$work/body" >&2 || true; fail "a signup with its code"; }

say "two gateways, the token of each used at the other"
export DOORWARD_PORT="$DOORWARD_PORT-$((DOORWARD_PORT + 1))"
up --scale gateway=2
first=$(address_of 1)
second=$(address_of 2)
[ "$first" != "$second" ] || fail "both gateways have one address"
must_log_in "$first"
must_be_known "$second"
must_log_in "$second"
must_be_known "$first"

say "auth restarted, logins recover"
"${compose[@]}" restart auth >/dev/null 2>&1
within 30 logs_in "$first" || fail "no login through $first after a restart of auth"
within 30 logs_in "$second" || fail "no login through $second after a restart of auth"

say "everything stops when told"
containers=$("${compose[@]}" ps -q auth directory gateway)
"${compose[@]}" stop >/dev/null 2>&1
for container in $containers; do
    [ "$(docker inspect --format '{{.State.ExitCode}}' "$container")" = 0 ] ||
        fail "$(docker inspect --format '{{.Name}}' "$container") ended with an error"
done

say "ok"
