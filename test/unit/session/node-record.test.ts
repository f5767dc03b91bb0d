/** A node's record: requests known whole or not at all, bounded, without proofs past their fence. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  OutcomeSchema,
  SummarySchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import { NodeRecord } from "../../../server/session/node-record.js";
import { askedOf } from "../../helpers/request-record.js";

const FENCE_MS = 100;

function recordOf(bounds: { requestsMax?: number; eventsMax?: number } = {}) {
  const time = { nowMs: 0 };
  const record = new NodeRecord({ requestsMax: 10, eventsMax: 100, ...bounds }, () => time.nowMs);
  const add = (requestId: string, nodeEpoch = 0n) =>
    record.add(askedOf(requestId, { nodeEpoch, fenceAtMs: FENCE_MS, groups: 2 }));
  const prove = (requestId: string, groupIndex: number, proof = new Uint8Array(3)) => {
    const outcome = create(OutcomeSchema, { requestId, groupIndex, proof });
    record.append(requestId, { kind: "outcome", outcome });
  };
  const end = (requestId: string) => {
    record.append(requestId, { kind: "summary", summary: create(SummarySchema, { requestId }) });
  };
  const addEnded = (requestId: string) => {
    add(requestId);
    prove(requestId, 0);
    end(requestId);
  };
  return { record, time, add, prove, end, addEnded };
}

test("events are read in the order in which they came, then there are none yet", () => {
  const { record, add, prove, end } = recordOf();
  add("a");
  add("b");
  prove("a", 1);
  prove("b", 0);
  end("a");
  const read = [0, 1, 2].map((seq) => record.readAfter(seq));
  expect(read).toMatchObject([
    { seq: 1, request: { requestId: "a" }, event: { outcome: { groupIndex: 1 } } },
    { seq: 2, request: { requestId: "b" } },
    { seq: 3, event: { kind: "summary" } },
  ]);
  expect(record.readAfter(record.lastSeq)).toBeUndefined();
});

test("a request keeps its outcomes and summary, and takes no event after it", () => {
  const { record, prove, addEnded } = recordOf();
  addEnded("a");
  const request = record.get("a");
  expect([...(request?.outcomes.keys() ?? [])]).toEqual([0]);
  expect(request?.summary).toMatchObject({ requestId: "a" });
  expect(record.ofSession("session-a")).toBe(request);
  expect(() => prove("a", 1)).toThrow(/not in flight/);
  expect(() => addEnded("a")).toThrow(/known already/);
});

test("beyond the bound the request that ended first is forgotten whole", () => {
  const { record, add, end, addEnded } = recordOf({ requestsMax: 2 });
  const long = add("long");
  for (const requestId of ["a", "b", "c"]) addEnded(requestId);
  end("long");
  expect(record.all().map(({ requestId }) => requestId)).toEqual(["long", "c"]);
  expect(record.get("a")).toBeUndefined();
  expect(long.isForgotten).toBe(false);
});

test("a request in flight is never forgotten, whatever the bound", () => {
  const { record, add, addEnded, time } = recordOf({ requestsMax: 1 });
  for (const requestId of ["x", "y", "z"]) add(requestId);
  addEnded("a");
  time.nowMs = FENCE_MS + limits.retentionMs;
  record.expire();
  expect(record.all().map(({ requestId }) => requestId)).toEqual(["x", "y", "z"]);
});

test("ended requests have so many outcomes at most, and the last one stays", () => {
  const { record, add, prove, end } = recordOf({ eventsMax: 3 });
  for (const requestId of ["a", "b", "c"]) {
    add(requestId);
    prove(requestId, 0);
    prove(requestId, 1);
    end(requestId);
  }
  expect(record.all().map(({ requestId }) => requestId)).toEqual(["c"]);
});

test("a reader of events that are dropped is behind; one of the later events is not", () => {
  const { record, addEnded } = recordOf({ requestsMax: 1 });
  addEnded("a");
  addEnded("b");
  expect(record.readAfter(0)).toBe("behind");
  expect(record.readAfter(1)).toBe("behind");
  expect(record.readAfter(2)).toMatchObject({ seq: 3, request: { requestId: "b" } });
});

test("events of requests in flight are bounded too", () => {
  const { record, add, prove } = recordOf({ eventsMax: 3 });
  add("a");
  for (let group = 0; group < 5; group++) prove("a", group);
  expect(record.readAfter(1)).toBe("behind");
  expect(record.readAfter(2)).toMatchObject({ seq: 3 });
  expect(record.get("a")?.outcomes.size).toBe(5);
});

test("a proof is erased at its fence wherever it is read, and says so; nothing else is", () => {
  const { record, time, add, prove, end } = recordOf();
  add("a");
  prove("a", 0);
  prove("a", 1, new Uint8Array(0));
  end("a");
  const proofs = () => {
    const live = record.readAfter(0);
    const events = live === undefined || live === "behind" ? [] : [live.event];
    const outcomes = [
      ...(record.get("a")?.outcomes.values() ?? []),
      ...events.flatMap((event) => (event.kind === "outcome" ? [event.outcome] : [])),
    ];
    return outcomes.map(({ proof, proofErased }) => [proof.length, proofErased]);
  };
  time.nowMs = FENCE_MS - 1;
  expect(proofs()).toEqual([
    [3, false],
    [0, false],
    [3, false],
  ]);
  time.nowMs = FENCE_MS;
  const live = record.readAfter(0);
  expect(live).toMatchObject({ event: { outcome: { proof: new Uint8Array(0) } } });
  expect(proofs()).toEqual([
    [0, true],
    [0, false],
    [0, true],
  ]);
});

test("a request is forgotten whole when it was retained for long enough", () => {
  const { record, time, addEnded } = recordOf();
  addEnded("a");
  const request = record.get("a");
  time.nowMs = FENCE_MS + limits.retentionMs - 1;
  record.expire();
  expect(record.all()).toHaveLength(1);
  time.nowMs++;
  record.expire();
  expect(record.all()).toHaveLength(0);
  expect(request?.isForgotten).toBe(true);
  expect(record.readAfter(0)).toBe("behind");
  expect(record.readAfter(2)).toBeUndefined();
});

test("a higher epoch is entered once, a lower one is refused, and 0 takes no part", () => {
  const { record } = recordOf();
  expect(record.enterEpoch(0n)).toBe(false);
  expect(record.enterEpoch(5n)).toBe(true);
  expect(record.enterEpoch(5n)).toBe(false);
  expect(record.enterEpoch(0n)).toBe(false);
  expect(() => record.enterEpoch(4n)).toThrow(/^node_id_in_use: node_epoch is 4/);
});

test("runs of a node end requests of earlier ones a few times a minute, and no more often", () => {
  const { record, add, end, time } = recordOf({ requestsMax: 100 });
  let epoch = 0n;
  const restart = () => {
    const isNew = record.enterEpoch(++epoch);
    add(`r${epoch}`, epoch);
    return isNew;
  };
  restart();
  for (let times = 0; times < limits.takeoversPerMinuteMax; times++) {
    time.nowMs += 1000;
    expect(restart()).toBe(true);
  }
  time.nowMs += 1000;
  const last = epoch;
  expect(restart).toThrow(
    /^node.node_epoch: 8: new runs of this node .* may in 54000 ms: find out/,
  );
  // The earlier run keeps its place.
  record.checkEpoch(last);
  expect(record.enterEpoch(last)).toBe(false);
  time.nowMs += 53_999;
  expect(restart).toThrow(/may in 1 ms/);
  time.nowMs += 1;
  expect(restart()).toBe(true);
  expect(restart).toThrow(/may in 1000 ms/);
  // A run that has nothing in flight loses nothing.
  for (const { requestId, summary } of record.all()) if (summary === undefined) end(requestId);
  for (let times = 0; times < 20; times++) expect(record.enterEpoch(++epoch)).toBe(true);
});

test("the highest epoch holds while its run has a stream or a request in flight, and no longer", () => {
  const { record, add, end, time } = recordOf();
  const isRefused = () => {
    record.expire();
    try {
      record.checkEpoch(4n);
      return false;
    } catch {
      return true;
    }
  };
  record.enterEpoch(5n);
  const stream = { nodeEpoch: 5n };
  record.streams.add(stream);
  expect(isRefused()).toBe(true);
  add("a", 5n);
  record.streams.delete(stream);
  expect(isRefused()).toBe(true);
  // What others read and submit under the node's id does not hold it, nor what has ended.
  record.streams.add({ nodeEpoch: 0n });
  add("b");
  end("a");
  expect(isRefused()).toBe(false);
  expect(time.nowMs).toBe(0);
  expect(record.enterEpoch(4n)).toBe(true);
});
