/** How `replay` follows what it has submitted. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { AggregatorError } from "../../../client/errors.js";
import { resubmit } from "../../../cli/replay/resubmit.js";
import { Tally } from "../../../cli/replay/tally.js";
import { Turns } from "../../../cli/replay/turns.js";
import {
  GetSessionResponseSchema,
  SubmitSnapshotRequestSchema,
  SubmitSnapshotResponseSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { RecordedSubmission } from "../../../server/recording/read-recording.js";

const submission = {
  node: "node-1",
  request: create(SubmitSnapshotRequestSchema, { snapshot: { groups: [{}, {}] } }),
  deadlineMs: 1000,
  fenceMs: 2000,
} as unknown as RecordedSubmission;
const accepted = create(SubmitSnapshotResponseSchema, {
  result: { case: "accepted", value: { fenceMs: 2000 } },
});
const ended = create(GetSessionResponseSchema, { session: { summary: {} } });
const interrupted = new AbortController().signal;
const lost = new AggregatorError("unavailable", "lost");

test("a snapshot whose session is lost is accepted, and its groups are without an outcome", async () => {
  const tally = new Tally();
  const modules = {
    client: { submitSnapshot: () => Promise.resolve(accepted) },
    follower: { getSession: () => Promise.reject(lost) },
    ...{ turns: new Turns(1), tally, interrupted },
  };
  await expect(resubmit(submission, "r", modules)).rejects.toBe(lost);
  expect(Object.fromEntries(tally.rows())).toMatchObject({
    "snapshots accepted": 1,
    "groups without an outcome": 2,
  });
  expect([...tally.rows().keys()]).not.toContain("snapshots refused");
});

test("a snapshot that the service refuses is refused", async () => {
  const tally = new Tally();
  const modules = {
    client: { submitSnapshot: () => Promise.reject(lost) },
    follower: { getSession: () => expect.unreachable() },
    ...{ turns: new Turns(1), tally, interrupted },
  };
  await expect(resubmit(submission, "r", modules)).rejects.toBe(lost);
  expect(tally.rows().get("snapshots refused")).toBe(1);
});

test("of many sessions so many are asked for at once, and all in their turn", async () => {
  let [atOnce, most] = [0, 0];
  const getSession = async () => {
    most = Math.max(most, ++atOnce);
    await Promise.resolve();
    atOnce--;
    return ended;
  };
  const modules = {
    client: { submitSnapshot: () => Promise.resolve(accepted) },
    follower: { getSession },
    ...{ turns: new Turns(3), tally: new Tally(), interrupted },
  };
  const ids = Array.from({ length: 20 }, (_, nth) => `r${nth}`);
  await Promise.all(ids.map((id) => resubmit(submission, id, modules)));
  expect(most).toBe(3);
  expect(modules.tally.rows().get("snapshots accepted")).toBe(20);
});
