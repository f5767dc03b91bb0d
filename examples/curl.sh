#!/bin/sh
# Submits examples/snapshot.json with curl, waits for the result, and asks what the service is.
# Usage: examples/curl.sh [host:port of the service, default 127.0.0.1:9190]
set -eu
cd "$(dirname "$0")"
service="http://${1:-127.0.0.1:9190}/lean.aggregator.v1.AggregatorService"

# call METHOD BODY: the body is JSON, or @ and the name of a file that has it. Prints a refusal, and exits with 1.
call() {
  if ! body=$(curl --silent --show-error --fail-with-body --noproxy '*' -H 'content-type: application/json' \
    --data "$2" "$service/$1"); then
    printf '%s: %s\n' "$1" "$body" >&2
    exit 1
  fi
  printf '%s\n' "$body"
}

answer=$(call SubmitSnapshot @snapshot.json)
echo "SubmitSnapshot: $answer"
id=$(echo "$answer" | sed -n 's/.*"requestId":"\([^"]*\)".*/\1/p')
[ -n "$id" ] || exit 4 # skipped: the answer says why

session=$(call GetSession '{"node":{"nodeId":"node-1"},"requestId":"'"$id"'","waitMs":20000}')
echo "GetSession: $session"
info=$(call GetServerInfo '{}')
echo "GetServerInfo: $info"
