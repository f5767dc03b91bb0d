#!/bin/bash
# Tries the project as a newcomer does: a fresh clone of the committed state in a folder with spaces,
# by a user who is not root, with the Node and the Python that are given.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: fresh-clone.sh [--node FOLDER] [--python FILE] [--user UID] [TARGET ...]

Clones HEAD into a temporary folder whose name has spaces, runs each make TARGET there (default:
demo), and prints one row: Node, Python, user, then seconds and result of each target.
Exits with 1 if a target failed; its output is then kept and named.

  --node FOLDER   folder of the node and npm commands (default: those of PATH)
  --python FILE   Python interpreter for 'make setup' (default: the one that setup finds)
  --user UID      run as this user; only root can do so (default: 12345 for root, else yourself)
TEXT
}

node_folder=$(dirname "$(command -v node)") python="" user=$([ "$(id -u)" = 0 ] && echo 12345 || id -u)
while [ $# -gt 0 ]; do
  case "$1" in
    --node) node_folder=$2; shift 2 ;;
    --python) python=$2; shift 2 ;;
    --user) user=$2; shift 2 ;;
    --help) usage; exit 0 ;;
    -*) echo "fresh-clone.sh: unknown option $1; see --help" >&2; exit 2 ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || set -- demo

repository=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
folder=$(mktemp -d "${TMPDIR:-/tmp}/home of a newcomer XXXXXX")
clone="$folder/lean aggregator"
git clone --quiet --no-hardlinks "$repository" "$clone"

as_user=()
if [ "$(id -u)" != "$user" ]; then
  chown -R "$user:$user" "$folder"
  as_user=(setpriv "--reuid=$user" "--regid=$user" --clear-groups --)
fi
environment=("HOME=$folder" "PATH=$node_folder:$PATH" "npm_config_cache=$folder/npm cache")
[ -z "$python" ] || environment+=("PYTHON=$python")
[ -z "${CI:-}" ] || environment+=("CI=$CI")

run() {
  (cd "$clone" && env -u XDG_RUNTIME_DIR -u XDG_STATE_HOME "${environment[@]}" "${as_user[@]}" "$@")
}

row="| $(run node --version) | $("${python:-python3}" -c 'import platform; print(platform.python_version())') | $user |"
failed=0
for target in "$@"; do
  start=$(date +%s)
  if run make "$target" >"$folder/$target.log" 2>&1; then result=passed; else result=FAILED; failed=1; fi
  row+=" make $target: $result in $(($(date +%s) - start)) s |"
  [ "$result" = passed ] || { tail -n 15 "$folder/$target.log" >&2; echo "output: $folder/$target.log" >&2; }
done
echo "$row"
[ "$failed" = 1 ] || rm -rf "$folder"
exit "$failed"
