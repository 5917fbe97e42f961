# syntax=docker/dockerfile:1
# SPDX-License-Identifier: Apache-2.0
# Two stages: a full build, and a small image with the binary, its shared libraries and the bundled
# family. Runs as an unprivileged user and needs no writable file system. docs/docker.md says how it
# was built and run.
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY tools/setup.sh tools/packages.txt tools/
RUN tools/setup.sh build
COPY CMakeLists.txt CMakePresets.json ./
COPY cmake cmake
COPY proto proto
COPY base base
COPY engine engine
COPY server server
COPY client client
COPY cli cli
RUN cmake --preset release -DTAILOR_BUILD_TESTS=OFF -DTAILOR_BUILD_BENCHMARKS=OFF \
    && cmake --build --preset release --target tailor \
    && strip build/release/cli/tailor

FROM debian:bookworm-slim
COPY tools/setup.sh tools/packages.txt /tmp/tools/
RUN /tmp/tools/setup.sh run && rm -rf /tmp/tools /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin tailor
COPY --from=build /src/build/release/cli/tailor /usr/local/bin/tailor
COPY models/packages /models/packages
COPY LICENSE NOTICE /usr/share/doc/tailor/
USER 10001
EXPOSE 50051 8080
ENV TAILOR_FAMILY=/models/packages TAILOR_LISTEN=0.0.0.0:50051 TAILOR_HTTP_LISTEN=0.0.0.0:8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["tailor", "health", "--http", "127.0.0.1:8080"]
ENTRYPOINT ["tailor"]
CMD ["serve"]
