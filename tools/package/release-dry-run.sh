#!/usr/bin/env bash
# All that a release does but publishing: what npm, cargo, Go and helm would take. What has no toolchain here is
# skipped, in one line. Run by `make release-dry-run`, after `make packages`.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$PWD/out/packages
version=$(node -p 'require("./package.json").version')
skip() { echo "skipped: $1"; }

# CI that publishes adds --provenance, which needs its identity: a package then names the commit and the run.
for name in lean-aggregator lean-aggregator-client; do
  (cd "$out/$name" && npm publish --dry-run --ignore-scripts --access public 2>&1 | grep -E "^\+ |total files|package size|ERR")
done

tools/package/load-arm64.sh

# What runs is listed beside what is packed: packages, their licences, the wheel and its crates.
node dist/tools/supply/write-sbom.js > "$out/lean-aggregator-$version.sbom.json"
(cd "$out/lean-aggregator-client" && npm install --package-lock-only --ignore-scripts --silent \
  && npm sbom --package-lock-only --sbom-format cyclonedx > "$out/lean-aggregator-client-$version.sbom.json" \
  && rm package-lock.json)

if command -v cargo > /dev/null && [ -d clients/rust ]; then
  # --no-verify: `make clients` compiles it.
  cargo package --quiet --allow-dirty --no-verify --manifest-path clients/rust/Cargo.toml -p lean-aggregator-client
  echo "+ crate lean-aggregator-client@$version"
else skip "no cargo: the crate"; fi

if command -v go > /dev/null && [ -d clients/go ]; then
  (cd clients/go && echo "+ module $(go list -m), by the tag clients/go/v$version")
else skip "no go: the module"; fi

# helm names the chart's file as npm names the service's, so it gets another name, in a folder that npm does not publish.
rm -rf "$out/chart" && mkdir "$out/chart"
if command -v helm > /dev/null; then
  helm package deploy/helm/lean-aggregator --destination "$out/chart"
  mv "$out/chart/lean-aggregator-$version.tgz" "$out/chart/lean-aggregator-chart-$version.tgz"
else skip "no helm: the chart"; fi

shopt -s nullglob
(cd "$out" && sha256sum ./*.tgz ./*.json chart/*.tgz > SHA256SUMS && cat SHA256SUMS)
echo "nothing was published"
