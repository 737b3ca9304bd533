# Alpine's Rust links statically with musl, so the image needs nothing but the binary.
FROM rust:1.95-alpine AS build
RUN apk add --no-cache build-base
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
COPY tests/cluster tests/cluster
RUN cargo build --locked --release --bin longshore

FROM gcr.io/distroless/static:nonroot
COPY --from=build /src/target/release/longshore /usr/local/bin/longshore
# As a number: with a name, the kubelet cannot tell whether `runAsNonRoot` holds.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/longshore"]
CMD ["run"]
