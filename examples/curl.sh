#!/bin/sh
# Submits examples/snapshot.json with curl, waits for the result, and asks what the service is.
# Usage: examples/curl.sh [host:port of the service, default 127.0.0.1:9190]
set -eu
cd "$(dirname "$0")"
service="http://${1:-127.0.0.1:9190}/lean.aggregator.v1.AggregatorService"

# call METHOD BODY: the body is JSON, or @ and the name of a file that has it.
call() {
  curl --silent --show-error --fail --noproxy '*' -H 'content-type: application/json' \
    --data "$2" "$service/$1"
}

answer=$(call SubmitSnapshot @snapshot.json)
echo "SubmitSnapshot: $answer"
id=$(echo "$answer" | sed -n 's/.*"requestId":"\([^"]*\)".*/\1/p')
[ -n "$id" ] || exit 4 # skipped: the answer says why

echo "GetSession: $(call GetSession '{"node":{"nodeId":"node-1"},"requestId":"'"$id"'","waitMs":20000}')"
echo "GetServerInfo: $(call GetServerInfo '{}')"
