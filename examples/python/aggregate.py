"""Submits 32 votes and prints how their group ended. Usage: aggregate.py [HOST:PORT]

pip install -r requirements.txt; the service: serve --prover fake --fake-accepts any
"""
import os, sys, time, uuid
import grpc  # With grpcio-tools it makes the code from the proto file at run time.

sys.path.append(os.path.join(os.path.dirname(__file__), "../../proto"))
pb, rpc = grpc.protos_and_services("lean/aggregator/v1/aggregator.proto")

slot, request_id = 9, str(uuid.uuid4())
node = pb.Node(node_id="python-example", node_epoch=int(time.time() * 1000))
point = pb.Checkpoint(root=os.urandom(32), slot=slot - 1)
data = pb.AttestationData(slot=slot, head=point, target=point, source=point)
# The keys and signatures of your own scheme: only the fake prover takes random ones.
keys = [pb.ValidatorKey(validator_index=v, public_key=os.urandom(52)) for v in range(32)]
votes = [pb.RawSignature(validator_index=v, signature=os.urandom(2536)) for v in range(32)]
groups = [pb.Group(data=data, raw_signatures=votes)]
snapshot = pb.Snapshot(slot=slot, head=point, justified=point, keys=keys, groups=groups)

with grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9190") as channel:
    service = rpc.AggregatorServiceStub(channel)
    answer = service.SubmitSnapshot(pb.SubmitSnapshotRequest(
        node=node, snapshot=snapshot, request_id=request_id), timeout=5)
    if answer.HasField("skipped"):
        sys.exit(f"skipped: {answer.skipped.detail}")
    for event in service.StreamResults(pb.StreamResultsRequest(
            node=node, awaited=[pb.Awaited(request_id=request_id)], awaited_only=True)):
        if event.HasField("outcome"):
            ended = event.outcome
            status = pb.OutcomeStatus.Name(ended.status)
            print(f"group {ended.group_index}: {status}, {sum(ended.votes.proved)} of "
                  f"{len(votes)} votes, {len(ended.proof)} bytes of proof")
