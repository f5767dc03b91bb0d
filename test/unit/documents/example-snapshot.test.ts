/** `examples/snapshot.json` is what `lean-aggregator example` prints: real votes, for every prover. */
import { readFileSync } from "node:fs";
import { fromJsonString } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { messageFromJson } from "../../../server/json/json-message.js";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { commandInProcess } from "../../helpers/command-line.js";
import { raws } from "../../../tools/harness/vectors.js";

const example = (...args: string[]) => commandInProcess(["example", ...args]);

test("the example snapshot is what 'example' prints", async () => {
  const { code, stdout } = await example();
  expect(code).toBe(0);
  expect(stdout).toBe(readFileSync("examples/snapshot.json", "utf8"));
});

test("'example --votes 64' has the committed signatures of 64 validators", async () => {
  const { stdout } = await example("--votes", "64");
  const { snapshot } = fromJsonString(SubmitSnapshotRequestSchema, stdout);
  expect(snapshot?.keys).toHaveLength(64);
  expect(snapshot?.groups[0]?.rawSignatures).toMatchObject(raws(0, 0, 64));
});

test("'example --hex' prints the same in hex, as 'submit' reads it", async () => {
  const { stdout } = await example("--hex");
  expect(stdout).toContain('"publicKey": "0x');
  const request = messageFromJson(SubmitSnapshotRequestSchema, JSON.parse(stdout), "hex");
  const text = readFileSync("examples/snapshot.json", "utf8");
  expect(request).toEqual(fromJsonString(SubmitSnapshotRequestSchema, text));
});

test.each(["0", "65", "many"])("'example --votes %s' is refused", async (votes) => {
  const { code, stderr } = await example("--votes", votes);
  expect(code).toBe(2);
  expect(stderr).toContain("Expected a number of votes from 1 to 64.");
});
