#!/bin/sh
# The same as curl.sh with grpcurl, which needs no proto files: the service describes itself.
# Usage: examples/grpcurl.sh [host:port of the service, default 127.0.0.1:9190]
# GRPCURL: the program, where it is not on the path. https://github.com/fullstorydev/grpcurl
set -eu
cd "$(dirname "$0")"
address=${1:-127.0.0.1:9190}

# call METHOD MORE...: reads the request from standard input.
call() {
  method=$1
  shift
  "${GRPCURL:-grpcurl}" -plaintext "$@" -d @ "$address" "lean.aggregator.v1.AggregatorService/$method"
}

# -max-time is the call's deadline, and so the last moment at which a proof may start.
answer=$(call SubmitSnapshot -max-time 20 < snapshot.json)
echo "SubmitSnapshot: $answer"
id=$(echo "$answer" | sed -n 's/.*"requestId": "\([^"]*\)".*/\1/p')
[ -n "$id" ] || exit 4 # skipped: the answer says why

echo "GetSession: $(echo '{"node":{"nodeId":"node-1"},"requestId":"'"$id"'","waitMs":20000}' | call GetSession)"
echo "GetServerInfo: $(echo '{}' | call GetServerInfo)"
