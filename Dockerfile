# Build: compiler and headers stay in this stage.
FROM node:24-bookworm AS build
# Debian's archive keeps no old versions: a pin would break with each update.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv libpython3.11 g++ make \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
RUN make build && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends python3 libpython3.11 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/build ./build
COPY --from=build /app/.prover-venv ./.prover-venv
# The image's user "node", by number so that a host can check it.
USER 1000
ENTRYPOINT ["node", "dist/server/main.js"]
CMD ["serve", "--listen", "unix:/run/lean-aggregator/grpc.sock"]
