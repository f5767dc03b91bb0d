#!/usr/bin/env bash
# The adapter of the wire's tag against the services of this checkout, and the reverse.
set -uo pipefail
cd "$(dirname "$0")/../.."

if [ "${1:-}" = --help ]; then
  cat <<'TEXT'
Usage: two-versions.sh [COMMIT]

Builds COMMIT (default: the one that proto/v1-commit names) in a temporary folder, and runs the adapter
of each version against the services of the other, with the simulated prover. Prints one row for each:
groups, proved, and how each ended. Fails when a group was not proved. Without that commit
in this clone it says so and does nothing.
TEXT
  exit 0
fi

commit=${1:-$(sed '/^#/d' proto/v1-commit 2> /dev/null)}
if [ -z "$commit" ]; then
  echo "two versions: skipped, the wire has no tag yet (no proto/v1-commit)"
  exit 0
fi
if ! git cat-file -e "$commit^{commit}" 2> /dev/null; then
  echo "two versions: skipped, this clone does not have the commit '$commit' of the wire's tag"
  exit 0
fi
if [ ! -f dist/cli/main.js ]; then
  echo "two-versions.sh: dist is missing: run 'make build' first" >&2
  exit 2
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/two-versions.XXXXXX")
remove() {
  git worktree remove --force "$folder/tagged" 2> /dev/null
  rm -rf "$folder"
}
trap remove EXIT
git worktree add --quiet --detach "$folder/tagged" "$commit"

# What did not change since the tag is not installed again.
if git diff --quiet "$commit" -- package-lock.json; then
  ln -s "$PWD/node_modules" "$folder/tagged/node_modules"
else
  (cd "$folder/tagged" && npm ci --include=dev --ignore-scripts --no-audit --no-fund --silent) || exit 1
fi
if git diff --quiet "$commit" -- native; then
  ln -s "$PWD/build" "$folder/tagged/build"
else
  (cd "$folder/tagged" && node native/build.mjs) || exit 1
fi
(cd "$folder/tagged" && npx tsc -p tsconfig.json) || exit 1

failed=0
groups=()
# One row: row ADAPTER_NAME ADAPTER_FOLDER SERVICE_NAME SERVICE_FOLDER
row() {
  local line
  line=$(cd "$2" && node dist/tools/two-versions/round-trip.js --service "$4") || failed=1
  groups+=("$(cut -d ' ' -f 2 <<< "$line")")
  echo "| $1 | $3 $line"
}
echo "| adapter | services | groups | proved | endings |"
echo "| --- | --- | --- | --- | --- |"
row "${commit:0:7}" "$folder/tagged" "this" "$PWD"
row "this" "$PWD" "${commit:0:7}" "$folder/tagged"
# Both have the same votes, but a tagged program may count only what its adapter has submitted.
if [ "${groups[0]}" != "${groups[1]}" ]; then
  echo "two versions: one adapter submitted ${groups[0]} groups, the other ${groups[1]}" >&2
  failed=1
fi
exit "$failed"
