/** The lines that the devnet's node reads from the adapter in Go. */
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  OutcomeSchema,
  OutcomeStatus,
} from "../../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { isServed, MODES } from "../../../../tools/devnet/node/aggregators/aggregator.js";
import {
  parseSubmitted,
  parseTaken,
} from "../../../../tools/devnet/node/aggregators/go-adapter.js";

const counts = { news: [], skips: {}, fenced: 0, sessions: { count: 0, seconds: 0 } };
const ref = { requestId: "r", groupIndex: 1, slot: 6 };
const line = (results: object[]) => JSON.stringify({ ...counts, results });

test("the service proves in every mode but inline and worker", () => {
  expect(MODES.filter(isServed)).toEqual(["remote", "sidecar", "go"]);
});

test("a submission is submitted or skipped", () => {
  expect(parseSubmitted('{"requestId":"r"}\n')).toEqual({ submitted: true, requestId: "r" });
  expect(parseSubmitted('{"skipped":"in_flight"}\n')).toEqual({ skipped: "in_flight" });
});

test("an outcome comes back decoded, and who ended the group is said", () => {
  const status = OutcomeStatus.PROVED;
  const proved = create(OutcomeSchema, { slot: 6n, status, proof: new Uint8Array([1]) });
  const outcome = Buffer.from(toBinary(OutcomeSchema, proved)).toString("base64");
  const { results } = parseTaken(
    line([
      { kind: "outcome", ...ref, endpoint: "a:1", outcome },
      { kind: "lost", ...ref, endpoint: "" },
    ]),
  );
  expect(results).toEqual([
    { kind: "outcome", ...ref, endpoint: "a:1", outcome: proved },
    { kind: "lost", ...ref, endpoint: null },
  ]);
});

test("counts come back as they are", () => {
  const told = { ...counts, skips: { in_flight: 2 }, sessions: { count: 1, seconds: 0.5 } };
  expect(parseTaken(JSON.stringify({ ...told, results: [] }))).toEqual({ ...told, results: [] });
});

test.each([
  ["no JSON", "{"],
  ["an answer without a request or a reason", "{}"],
  ["a reason that there is not", '{"skipped":"tired"}'],
])("%s is refused as a submission's answer", (_, text) => {
  expect(() => parseSubmitted(text)).toThrow();
});

test.each([
  ["a kind that there is not", [{ kind: "won", ...ref, endpoint: "" }]],
  ["a result of no group", [{ kind: "lost", requestId: "r", slot: 6, endpoint: "" }]],
  ["an outcome that is not base64", [{ kind: "outcome", ...ref, endpoint: "", outcome: "%" }]],
])("%s is refused as a take's answer", (_, results) => {
  expect(() => parseTaken(line(results))).toThrow();
});
