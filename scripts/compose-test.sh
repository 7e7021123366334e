#!/usr/bin/env bash
# Tests the image and docker-compose.yml on a container engine, always through the edge. It tests logins and sockets with
# one gateway, with two, and after a restart of auth; a signup with the code from a mail; client addresses; published
# ports; HTTPS.
# Starts an engine if none runs (as root), and creates stand-ins for base images that cannot be pulled.
#   DOORWARD_IMAGE=NAME         tests that image instead of building one
#   IMAGE_PROFILE=release       builds it with that profile of Cargo.toml, in place of demo
#   TEST_SKIP_COMPOSE=1         for machines where no engine can run
set -euo pipefail
cd "$(dirname "$0")/.."

# The second name was used in earlier versions.
if [ "${TEST_SKIP_COMPOSE:-${DOORWARD_SKIP_COMPOSE:-}}" = 1 ]; then
    echo "compose-test: SKIPPED, nothing tested (TEST_SKIP_COMPOSE=1)"
    exit 0
fi

say() { echo "compose-test: $*"; }
fail() { echo "compose-test: FAILED: $*" >&2; exit 1; }

work=$(mktemp -d)
engine_pid=''
socket_pid=''
compose=()

# The profile is given so that its services are included.
down() {
    docker ps -aq --filter "label=doorward-test-client" | xargs -r docker rm --force >/dev/null 2>&1 || true
    COMPOSE_PROFILES=mail "${compose[@]}" down --volumes --remove-orphans >/dev/null 2>&1 || true
}

# shellcheck disable=SC2317 # called by the trap
cleanup() {
    local status=$?
    trap '' INT TERM HUP
    [ -z "$socket_pid" ] || kill "$socket_pid" 2>/dev/null || true
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

# within SECONDS COMMAND...: repeats the command until it succeeds.
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
    # The engine has its own session: after a Ctrl-C it must run until the containers are removed.
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

# post ADDRESS PATH BODY [HEADER]: prints the status. The response is in the files head and body.
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

# The newest mail is the first in the list; its code is on a line of its own.
has_the_code() {
    local id code
    id=$(caught messages 2>/dev/null | grep -o '"ID":"[^"]*"' | head -n 1 | cut -d '"' -f 4) || return 1
    code=$(caught "message/$id" | grep -oE '\\n[0-9A-Z]{6}\\[rn]' | head -n 1 | tr -cd '0-9A-Z') || return 1
    [ -n "$code" ] && codes="\"validation_code\": \"$1\", \"verification_code\": \"$code\""
}

address_of_edge() { "${compose[@]}" port edge "${1:-8080}"; }
container_of() { "${compose[@]}" ps -q "$1"; }

# A client with an address of its own, outside the network of the gateways.
start_client() {
    docker run --detach --rm --init --label doorward-test-client --name "$1" --network "${COMPOSE_PROJECT_NAME}_frontend" \
        debian:bookworm-slim sleep 3600 >/dev/null
}

# from CLIENT FORWARDED PATH BODY: prints the status. FORWARDED is what the client claims in X-Forwarded-For.
from() {
    # shellcheck disable=SC2016 # expanded in the container
    docker exec "$1" bash -c 'exec 3<>/dev/tcp/edge/8080
        printf "POST %s HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\nX-Forwarded-For: %s\r\n" "$2" "$1" >&3
        printf "Content-Length: %s\r\nConnection: close\r\n\r\n%s" "${#3}" "$3" >&3
        head -n 1 <&3 | cut -d " " -f 2' _ "$2" "$3" "$4"
}

# Ports that the edge publishes with only the given settings, as `ADDRESS:PORT:PORT OF THE CONTAINER`.
# docker-compose v1 prints them in this form, docker compose v2 prints one line for each part.
ports_with() {
    env -u DOORWARD_BIND -u DOORWARD_PORT -u DOORWARD_HTTPS_PORT "$@" "${compose[@]}" config 2>/dev/null | awk '
        /^  [^ ].*:$/ { is_edge = $1 == "edge:" }
        /^    [a-z_]+:/ { is_port = $1 == "ports:" }
        !is_edge || !is_port { next }
        { gsub(/"|\/tcp/, "") }
        $1 == "-" && $2 ~ /^[0-9.]+:/ { print $2 }
        $1 == "host_ip:" { address = $2 }
        $1 == "target:" { target = $2 }
        $1 == "published:" { print address ":" $2 ":" target }' | sort | xargs
}

publishes() {
    local expected=$1 found
    shift
    found=$(ports_with "$@")
    [ "$found" = "$expected" ] || fail "the edge publishes '$found' and not '$expected' with: $*"
}

# Prints the number of requests that the container of a gateway has answered.
answered() {
    # shellcheck disable=SC2016 # expanded in the container
    docker exec "$1" bash -c 'exec 3<>/dev/tcp/127.0.0.1/9090
        printf "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" >&3; cat <&3' |
        awk '/^doorward_http_requests_total/ { sum += $NF } END { print sum + 0 }'
}

polling() { curl --silent --show-error --fail --max-time 20 --noproxy '*' "$@"; }

# Runs a complete polling session at ADDRESS: the handshake, CONNECT with the token, and the response.
has_socket() {
    local url="http://$1/sync/io/?EIO=4&transport=polling" sid
    sid=$(polling "$url" | sed -n 's/^0.*"sid":"\([^"]*\)".*/\1/p') && [ -n "$sid" ] || return 1
    [ "$(polling --data-binary "40{\"JWT\":\"$token\"}" --header 'Content-Type: text/plain' "$url&sid=$sid")" = ok ] || return 1
    # A ping can arrive first.
    [[ "$(polling "$url&sid=$sid")" = *'40{"sid"'* ]]
}

# The Socket.IO client of the tests, at ADDRESS. It begins with polling, changes to a WebSocket, and writes what it receives
# to a file.
start_socket() {
    mkfifo "$work/socket.in"
    MODULES="$PWD/.tools/node" PATH=$PATH:$PWD/.tools/venv/bin node tests/socketio-js/drive.mjs \
        "{\"url\": \"http://$1\", \"transports\": [\"polling\", \"websocket\"], \"auth\": {\"JWT\": \"$token\"}}" \
        <"$work/socket.in" >"$work/socket.out" 2>&1 &
    socket_pid=$!
    exec 7>"$work/socket.in"
}

# received COUNT LINE: succeeds if at least COUNT lines begin with LINE.
received() { [ "$(grep -cF "$2" "$work/socket.out")" -ge "$1" ]; }

must_receive() { within 20 received "$@" || { cat "$work/socket.out" >&2; fail "the socket did not receive: $*"; }; }

# Prints the address of a gateway behind the edge.
address_of_gateway() {
    docker inspect --format "{{(index .NetworkSettings.Networks \"${COMPOSE_PROJECT_NAME}_edge\").IPAddress}}:8080" "$1"
}

is_healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]; }

all_healthy() {
    local container
    for container in $("${compose[@]}" ps -q postgres auth directory gateway edge); do
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
get_image debian:bookworm-slim
if [ -z "${DOORWARD_IMAGE:-}" ]; then
    get_image rust:1-bookworm
    export DOORWARD_IMAGE=doorward:test
    say "building the image"
    make --no-print-directory image IMAGE="$DOORWARD_IMAGE" IMAGE_PROFILE="${IMAGE_PROFILE:-demo}" >"$work/build.log" 2>&1 ||
        { tail -n 50 "$work/build.log" >&2; fail "the image doesn't build"; }
fi
get_image postgres:17-bookworm
for image in $(sed -n 's/^ *image: \(axllent.*\|caddy.*\)/\1/p' docker-compose.yml); do get_image "$image"; done

DOORWARD_SECRETS_DIR=$work/secrets
DOORWARD_PORT=$(free_port)
DOORWARD_HTTPS_PORT=$(free_port)
DOORWARD_MAIL_PORT=$(free_port)
export DOORWARD_SECRETS_DIR DOORWARD_PORT DOORWARD_HTTPS_PORT DOORWARD_MAIL_PORT DOORWARD_BIND=127.0.0.1
# Waits of the throttle are longer than the test.
export DOORWARD_LOGIN_FAILURES=3 DOORWARD_LOGIN_BACKOFF=10m
# Removes the settings of this machine.
unset COMPOSE_PROFILES DOORWARD_DOMAIN DOORWARD_EDGE_TRUSTED_PROXIES DOORWARD_SMTP_URL DOORWARD_MAIL_FROM DOORWARD_APP_URL
scripts/secrets.sh 2>/dev/null

if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
# Removes the containers of a run that was killed.
down

say "published ports with a domain and without"
publishes 127.0.0.1:8080:8080
publishes 127.0.0.1:8080:8080 DOORWARD_DOMAIN=
publishes '0.0.0.0:443:8443 0.0.0.0:80:8080' DOORWARD_DOMAIN=app.example.org
publishes '192.0.2.1:443:8443 192.0.2.1:8080:8080' DOORWARD_DOMAIN=localhost DOORWARD_BIND=192.0.2.1 DOORWARD_PORT=8080

say "starting everything"
up

say "who can reach what"
published=$(docker ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --format '{{.Names}} {{.Ports}}' |
    grep -e '->' | grep -v edge) || true
[ -z "$published" ] || fail "not only the edge is published: $published"
mounted() { docker inspect --format '{{range .Mounts}}{{println .Destination}}{{end}}' "$(container_of "$1")" | grep -c '^/run/secrets/'; }
[ "$(mounted gateway)" = 1 ] || fail "the gateway has more secrets than the service token"
[ "$(docker inspect --format '{{.Config.User}}' "$(container_of gateway)")" = 10001:10001 ] || fail "the gateway's user"
[ "$(docker inspect --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}' "$(container_of edge)")" = \
    "10001:10001 true [ALL]" ] || fail "the edge is not locked down"
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
edge=$(address_of_edge)
must_log_in "$edge"
must_be_known "$edge"
has_socket "$edge" || fail "no session of polling"
[ "$(post "$edge" /api/login '{"username": "ann", "password": "something else"}')" = 403 ] || fail "a wrong password"

say "an image, decoded by a process in the container"
uploads() {
    curl --silent --show-error --fail --max-time 30 --noproxy '*' --output "$work/body" \
        --header "Authorization: Bearer $token" --form upload_file=@fuzz/seeds/images/png_16_bits \
        "http://$1/api/account/upload_avatar" 2>"$work/error" && grep -Eq '"avatar": *"[^"]*\.png"' "$work/body"
}
uploads "$edge" || { cat "$work/error" "$work/body" >&2 || true; fail "an avatar"; }

say "a signup, with a code by mail"
[ "$(post "$edge" /api/signup_request "{$signup}")" = 503 ] || fail "a signup without a mail server is not 503"
export COMPOSE_PROFILES=mail DOORWARD_SMTP_URL='smtp://mail:1025?tls=none' DOORWARD_MAIL_FROM='Doorward <noreply@example.com>'
up
within 30 asks_for_a_code "$edge" || { cat "$work/error" "$work/body" >&2 || true; fail "a signup"; }
validation=$(sed -n 's/.*"validation_code": *"\([^"]*\)".*/\1/p' "$work/body")
within 30 has_the_code "$validation" || { caught messages >&2 || true; fail "no code came by mail"; }
ok "$(post "$edge" /api/signup "{$signup, $codes}")" || { cat "$work/body" >&2 || true; fail "a signup with its code"; }

say "each client has its own address, whatever it claims"
for client in doorward-test-client-{1,2}; do start_client "$client"; done
[ "$(from doorward-test-client-2 '' /api/login "$credentials")" = 200 ] || fail "a login of the second client"
# The threshold of a client network is ten times that of a username.
for number in {1..30}; do
    status=$(from doorward-test-client-1 "203.0.113.$number" /api/login "{\"username\": \"no-$number\", \"password\": \"x\"}")
    [ "$status" = 403 ] || fail "wrong login $number of the first client: $status"
done
for claimed in '' 203.0.113.99 127.0.0.1 10.213.57.1; do
    [ "$(from doorward-test-client-1 "$claimed" /api/login "$credentials")" = 429 ] || fail "a login during a wait, as '$claimed'"
done
[ "$(from doorward-test-client-2 '' /api/login "$credentials")" = 200 ] || fail "the second client waits with the first"
must_log_in "$edge"

say "two gateways behind one address"
up --scale gateway=2
edge=$(address_of_edge)
read -r first second < <("${compose[@]}" ps -q gateway | xargs)
shared_by_both() {
    must_log_in "$edge"
    must_be_known "$edge"
    for gateway in "$first" "$second"; do [ "$(answered "$gateway")" -gt 3 ] || return 1; done
}
before_first=$(answered "$first") before_second=$(answered "$second")
within 30 shared_by_both || fail "requests go to one gateway alone: $before_first, $before_second"
for _ in {1..8}; do has_socket "$edge" || fail "a session of polling with two gateways"; done

say "a socket that begins with polling receives what is changed through each gateway"
must_log_in "$edge"
cursor=$(sed -n 's/.*"cc\.cursor": *\([0-9]*\).*/\1/p' "$work/body")
start_socket "$edge"
must_receive 1 '["upgrade","websocket"]'
must_receive 1 '["connect",'
echo "[\"init\", {\"cc_cursor\": $cursor}]" >&7
must_receive 1 '["ack",{"success":true,'
# One of them is not the gateway of the socket.
changes=0
for gateway in "$first" "$second"; do
    changes=$((changes + 1))
    ok "$(post "$(address_of_gateway "$gateway")" /api/account/update "{\"name\": \"Ann $changes\"}" "Authorization: Bearer $token")" ||
        { cat "$work/error" "$work/body" >&2 || true; fail "a change through a gateway"; }
    must_receive "$changes" '["sync",[{'
done
exec 7>&-
wait "$socket_pid" || fail "the socket ended with an error"
socket_pid=''

say "gateways that stop and come back"
for gateway in "$first" "$second"; do
    docker stop "$gateway" >/dev/null
    for _ in {1..5}; do must_log_in "$edge"; done
    has_socket "$edge" || fail "a session of polling after a gateway has stopped"
    docker start "$gateway" >/dev/null
    within 60 is_healthy "$gateway" || fail "a gateway does not come back"
done

say "auth restarted, logins recover"
"${compose[@]}" restart auth >/dev/null 2>&1
within 30 logs_in "$edge" || fail "no login after a restart of auth"

say "HTTPS with a domain"
export DOORWARD_DOMAIN=localhost
up --scale gateway=2
has_https() {
    curl --silent --insecure --max-time 20 --noproxy '*' --output "$work/body" "https://localhost:$DOORWARD_HTTPS_PORT/api/ping" &&
        grep -q '"success"' "$work/body"
}
within 60 has_https || fail "no answer over HTTPS"
redirected=$(curl --silent --max-time 20 --noproxy '*' --output /dev/null --write-out '%{redirect_url}' "http://localhost:$DOORWARD_PORT/api/ping")
[[ "$redirected" = https://localhost/* ]] || fail "HTTP leads to '$redirected'"

say "everything stops when told"
containers=$("${compose[@]}" ps -q auth directory gateway edge)
"${compose[@]}" stop >/dev/null 2>&1
for container in $containers; do
    [ "$(docker inspect --format '{{.State.ExitCode}}' "$container")" = 0 ] ||
        fail "$(docker inspect --format '{{.Name}}' "$container") ended with an error"
done

say "ok"
