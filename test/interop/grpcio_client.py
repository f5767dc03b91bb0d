"""Submits a request, streams its events, and asks for what the server must refuse.

Usage: grpcio_client.py ADDRESS REQUEST.json (generated code on PYTHONPATH); prints JSON.
"""

import json
import sys

import grpc
from google.protobuf import json_format
from lean.aggregator.v1 import aggregator_pb2 as pb
from lean.aggregator.v1 import aggregator_pb2_grpc as rpc

TIMEOUT_S = 20


def status_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details()}
    return {"code": "OK", "details": ""}


def main(address, request_path):
    with open(request_path, encoding="utf-8") as file:
        request = json_format.Parse(file.read(), pb.SubmitSnapshotRequest())
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(address, options=options) as channel:
        stub = rpc.AggregatorServiceStub(channel)
        submitted = stub.SubmitSnapshot(request, timeout=TIMEOUT_S)
        request_id = submitted.accepted.request_id
        awaited = [pb.Awaited(request_id=request_id)]
        stream = pb.StreamResultsRequest(node=request.node, awaited=awaited, awaited_only=True)
        events = list(stub.StreamResults(stream, timeout=TIMEOUT_S))
        unknown = pb.GetSessionRequest(node=request.node, request_id="nope")
        too_long = pb.GetSessionRequest(
            node=request.node, request_id=request_id, wait_ms=2**32 - 1
        )
        report = {
            "submitted": json_format.MessageToDict(submitted),
            "events": [json_format.MessageToDict(event) for event in events],
            "unknown": status_of(lambda: stub.GetSession(unknown, timeout=TIMEOUT_S)),
            "overLimit": status_of(lambda: stub.GetSession(too_long, timeout=TIMEOUT_S)),
        }
    print(json.dumps(report))


main(*sys.argv[1:])
