# Build: compiler and headers stay in this stage.
FROM node:24-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv libpython3.11 g++ make \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
RUN make build && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3 libpython3.11 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/build ./build
COPY --from=build /app/.prover-venv ./.prover-venv
USER node
ENTRYPOINT ["node", "dist/server/main.js"]
CMD ["serve", "--listen", "unix:/run/lean-aggregator/grpc.sock"]
