# Three stages: what is compiled, the packages of others that run, and the image, which has neither
# compiler nor package installer for Python, runs as nobody special and writes to two folders only.
FROM node:24-bookworm AS build
# Debian's archive keeps no old versions: a pin would break with each update.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends g++ libpython3.11 make python3 python3-venv \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
# The commit, for the metric build_info: docker build --build-arg REVISION="$(git rev-parse HEAD)" .
ARG REVISION
RUN make build && .prover-venv/bin/python -m pip uninstall --quiet --yes pip setuptools

FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY .npmrc package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:24-bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends libpython3.11 python3 \
  && rm -rf /var/lib/apt/lists/* \
  && install -d -o 1000 -g 1000 -m 0750 /run/lean-aggregator /var/lib/lean-aggregator \
  && printf '#!/bin/sh\nexec node /app/dist/cli/main.js "$@"\n' > /usr/local/bin/lean-aggregator \
  && chmod 0755 /usr/local/bin/lean-aggregator
WORKDIR /app
COPY LICENSE-APACHE LICENSE-MIT package.json ./
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/.prover-venv ./.prover-venv
COPY --from=build /app/build/lean_pq.json /app/build/lean_pq.so ./build/
COPY --from=build /app/build/Release/lean_aggregator.node ./build/Release/
COPY --from=build /app/native/backends/lean_pq/calibration.json ./native/backends/lean_pq/
COPY --from=build /app/test/vectors/xmss ./test/vectors/xmss
COPY --from=build /app/dist/cli ./dist/cli
COPY --from=build /app/dist/client ./dist/client
COPY --from=build /app/dist/native ./dist/native
COPY --from=build /app/dist/page ./dist/page
COPY deploy/healthcheck.mjs ./deploy/
COPY page/icon.svg page/index.html page/page.css ./page/
COPY --from=build /app/dist/proto ./dist/proto
COPY --from=build /app/dist/server ./dist/server
# The image's user "node", by number so that a host can check it.
USER 1000
# The folders that are written to: sockets and device locks, and what was learned of the devices'
# speed. The root may be mounted read-only.
VOLUME ["/run/lean-aggregator", "/var/lib/lean-aggregator"]
ENV NODE_ENV=production \
  LEAN_AGGREGATOR_LISTEN=unix:/run/lean-aggregator/nodes.sock \
  LEAN_AGGREGATOR_SERVER=unix:/run/lean-aggregator/nodes.sock \
  LEAN_AGGREGATOR_RUNTIME_DIR=/run/lean-aggregator \
  LEAN_AGGREGATOR_STATE_DIR=/var/lib/lean-aggregator
# Healthy while it answers: without a prover it is not ready, which a restart does not fix. It asks the
# probes: a lane host, and a service without that socket, have nothing at LEAN_AGGREGATOR_SERVER.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s \
  CMD ["node", "deploy/healthcheck.mjs"]
ENTRYPOINT ["node", "dist/cli/main.js"]
CMD ["serve"]
