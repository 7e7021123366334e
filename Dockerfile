# Uses only features of the classic builder (no RUN --mount, no heredocs), because Debian's docker.io has no buildx.

# The manifests, and a stub for every target. This stage changes only with the manifests, so the dependencies stay cached.
FROM rust:1-bookworm AS skeleton
WORKDIR /src
COPY . .
RUN find . -type f ! -path './.cargo/*' ! -name Cargo.toml ! -name Cargo.lock \
        ! -name lib.rs ! -name main.rs ! -name build.rs \
        ! -regex '.*/\(bin\|tests\|benches\|examples\)/[^/]*\.rs' -delete \
    && printf '//! Stub.\n\n/// Stub.\npub fn main() {}\n' >/stub.rs \
    && find . -name '*.rs' -exec cp /stub.rs {} ';' \
    && find . -type d -empty -delete

FROM rust:1-bookworm AS build
WORKDIR /src
# A profile of Cargo.toml.
ARG PROFILE=release
COPY --from=skeleton /src .
# The stubs are newer than the sources that replace them. Without their fingerprints, cargo builds our crates again.
RUN cargo build --profile "$PROFILE" --locked -p doorward --bin doorward \
    && rm -r target/"$PROFILE"/.fingerprint/doorward*
COPY crates crates
COPY examples/live examples/live
RUN cargo build --profile "$PROFILE" --locked -p doorward --bin doorward \
    && mv target/"$PROFILE"/doorward /usr/local/bin/

FROM debian:bookworm-slim
RUN groupadd --gid 10001 doorward \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/doorward --shell /usr/sbin/nologin doorward \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/doorward
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/doorward /usr/local/bin/doorward

# The default, loopback, could not be reached from outside the container.
ENV DOORWARD_DATA_DIR=/var/lib/doorward \
    DOORWARD_LISTEN=0.0.0.0:8080
WORKDIR /var/lib/doorward
VOLUME /var/lib/doorward
# HTTP of the gateway; gRPC of auth and of directory.
EXPOSE 8080 50051 50052
# As a number, so that orchestrators can verify that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["doorward", "healthcheck"]
ENTRYPOINT ["doorward"]
CMD ["serve"]

# The last layer, so that a new version rebuilds nothing else.
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Doorward" \
      org.opencontainers.image.description="Accounts, projects and memberships behind one login" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"
