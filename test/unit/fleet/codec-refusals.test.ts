/** What no correct sender sends is refused, and the error names the field. */
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import type { Announcement, FromHost } from "../../../proto/gen/lean/fleet/v1/fleet_pb.js";
import {
  AnnouncementSchema,
  AssignSchema,
  BlobSchema,
  ChunkSchema,
  EndedSchema,
  FromHostSchema,
  ToDoorSchema,
  ToHostSchema,
  VerdictSchema,
} from "../../../proto/gen/lean/fleet/v1/fleet_pb.js";
import {
  decodeChunk,
  decodeFromHost,
  decodeToDoor,
  decodeToHost,
  decodeVerdict,
  encodeFromHost,
  encodeToHost,
} from "../../../server/fleet/wire/codec.js";
import { limits } from "../../../server/limits.js";
import { refusal } from "./refusal.js";
import * as examples from "../../../tools/harness/wire/fleet-messages.js";

const { doorRun, hostRun, workDigest } = examples;
const run = hostRun;

/** Sets the fields of `change` in the message. */
function setFields<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  change: MessageInitShape<Desc>,
): void {
  const changed = create(schema, change);
  for (const name of Object.keys(change)) Reflect.set(message, name, Reflect.get(changed, name));
}

/** The announcement of an idle lane, changed. */
function announced(change: MessageInitShape<typeof AnnouncementSchema>): Uint8Array {
  const idle = examples.fromHost.find(
    (each) => each.kind === "announce" && each.report.phase.kind === "idle",
  );
  if (idle === undefined) throw new Error("no lane is idle");
  const read = fromBinary(FromHostSchema, encodeFromHost(idle));
  if (read.kind.case !== "announcement") throw new Error("it is no announcement");
  setFields(AnnouncementSchema, read.kind.value, change);
  return toBinary(FromHostSchema, read);
}

const fromHost = (init: MessageInitShape<typeof FromHostSchema>) =>
  toBinary(FromHostSchema, create(FromHostSchema, { version: 1, run, ...init }));
const many = <T>(count: number, value: T) => Array.from({ length: count }, () => value);
const proving = (change: object) => ({
  phase: {
    case: "proving" as const,
    value: { digest: workDigest, fenceInMs: 1, ...change },
  },
});
const cost = (change: object) => ({ costs: [{ ...costOf(announced({})), ...change }] });

function costOf(bytes: Uint8Array): Omit<NonNullable<Announcement["costs"][number]>, "$typeName"> {
  const read: FromHost = fromBinary(FromHostSchema, bytes);
  const model = read.kind.case === "announcement" ? read.kind.value.costs[0] : undefined;
  if (model === undefined) throw new Error("it has no cost");
  const { logMs, covariance, scatter, ageMs, logInvRate } = model;
  return { logMs, covariance, scatter, ageMs, logInvRate };
}
/** Five variances on the diagonal, and one covariance. */
const covariance = (variance: number, first: number) =>
  Array.from({ length: 25 }, (_, at) => {
    if (at % 6 === 0) return variance;
    return at === 1 || at === 5 ? first : 0;
  });
const wholeDescription = examples.description;

describe("what a lane host publishes", () => {
  test.each<[field: string, string, Uint8Array]>([
    ["", "is of no kind that is known", fromHost({})],
    ["version", "is missing", fromHost({ version: 0 })],
    ["run", "is missing", fromHost({ run: "" })],
    ["run", "16 hexadecimal digits", fromHost({ run: "0123456789ABCDEF" })],
    ["beat.now_ms", "NaN", fromHost({ kind: { case: "beat", value: { nowMs: NaN } } })],
    ["beat.now_ms", "Infinity", fromHost({ kind: { case: "beat", value: { nowMs: Infinity } } })],
    ["announcement.device", "is missing", announced({ device: "" })],
    ["announcement.device", "the name of a device", announced({ device: "a\u001bb" })],
    ["announcement.sequence", "from 1", announced({ sequence: 0n })],
    ["announcement.lease", "2^53", announced({ lease: 2n ** 53n })],
    ["announcement.lease", "2^53", announced({ lease: 2n ** 64n - 1n })],
    ["announcement", "of no kind", announced({ phase: { case: undefined } })],
    ["announcement.proving.digest", "is missing", announced(proving({ digest: "" }))],
    ["announcement.proving.digest", "64 hex", announced(proving({ digest: "g".repeat(64) }))],
    ["announcement.proving.fence_in_ms", "is -1", announced(proving({ fenceInMs: -1 }))],
    ["announcement.proving.fence_in_ms", "NaN", announced(proving({ fenceInMs: NaN }))],
    [
      "announcement.proving.owners.door",
      "a token",
      announced(proving({ owners: [{ door: "a.b", run, attempt: 1n }] })),
    ],
    [
      "announcement.proving.owners.attempt",
      "from 1",
      announced(proving({ owners: [{ door: "a", run, attempt: 0n }] })),
    ],
    [
      "announcement.proving.owners",
      `more than ${limits.ownersMax}`,
      announced(proving({ owners: many(17, { door: "a", run, attempt: 1n }) })),
    ],
    [
      "announcement.proving.proof.raws",
      `to ${limits.inputsMax}`,
      announced(proving({ proof: { raws: limits.inputsMax + 1 } })),
    ],
    [
      "announcement.proving.proof.messages",
      `to ${limits.mergeMessagesMax}`,
      announced(proving({ proof: { messages: limits.mergeMessagesMax + 1 } })),
    ],
    ["announcement.memory.messages", "is 17", announced({ memory: [{ messages: 17 }] })],
    ["announcement", "peaks of the other kind", announced({ memory: [{ messages: 2 }] })],
    ["announcement", "peaks of the other kind", announced({ mergeMemory: [{ raws: 2 }] })],
    ["announcement", "ascending", announced({ mergeCosts: many(2, costOf(announced({}))) })],
    [
      "announcement.stopping.cause",
      "is missing",
      announced({ phase: { case: "stopping", value: {} } }),
    ],
    [
      "announcement.stopping.cause",
      "is 10",
      announced({ phase: { case: "stopping", value: { cause: Number(10) } } }),
    ],
    ["announcement.provers", "more than 2", announced({ provers: many(3, { pid: 1 }) })],
    ["announcement.held", "more than 4", announced({ held: many(5, { digest: workDigest }) })],
    [
      "announcement.commands_done",
      `more than ${limits.doorsMax}`,
      announced({ commandsDone: many(65, { door: "a", run }) }),
    ],
    [
      "announcement.description.scheme",
      "printable ASCII",
      announced({ description: { ...wholeDescription, scheme: "a\nb" } }),
    ],
    [
      "announcement.description.public_key_bytes",
      "from 1",
      announced({ description: { ...wholeDescription, publicKeyBytes: 0 } }),
    ],
    [
      "announcement.description.signature_bytes",
      "to 65536",
      announced({ description: { ...wholeDescription, signatureBytes: 2 ** 31 } }),
    ],
    [
      "announcement.description",
      "no fake prover",
      announced({ description: { ...wholeDescription, fake: false } }),
    ],
    ["announcement.costs.log_ms", "NaN", announced(cost({ logMs: [NaN, 1, 1, 1, 1] }))],
    ["announcement.costs.log_ms", "is 21", announced(cost({ logMs: [21, 1, 1, 1, 1] }))],
    ["announcement.costs", "coefficients", announced(cost({ logMs: [1, 1, 1, 1] }))],
    ["announcement.costs.log_ms", "more than 5", announced(cost({ logMs: many(6, 1) }))],
    ["announcement.costs.covariance", "is 2", announced(cost({ covariance: covariance(2, 0) }))],
    ["announcement.costs", "covariance", announced(cost({ covariance: covariance(-0.1, 0) }))],
    ["announcement.costs", "covariance", announced(cost({ covariance: covariance(0.1, 0.2) }))],
    ["announcement.costs.scatter", "is 0", announced(cost({ scatter: 0 }))],
    ["announcement.costs.age_ms", "is -1", announced(cost({ ageMs: -1 }))],
    ["announcement.costs.log_inv_rate", "is 32", announced(cost({ logInvRate: 32 }))],
    ["announcement", "ascending", announced({ costs: many(2, costOf(announced({}))) })],
    ["", "at most 65536", new Uint8Array(limits.fleetReportBytesMax + 1)],
    ["announcement", "is cut off", announced({}).subarray(0, 200)],
    ["", "wire type 3", Uint8Array.of(0x7b)],
    ["version", "wire type 2", Uint8Array.of(0x0a, 0)],
    ["version", "is there twice", Uint8Array.of(8, 1, 8, 1)],
    ["", "number without end", Uint8Array.of(0x78, ...many(11, 0xff))],
  ])("%s: %s", (field, detail, bytes) => {
    const { field: at, message } = refusal(() => decodeFromHost(bytes));
    expect([at, message]).toEqual([field, expect.stringContaining(detail)]);
  });

  test("two kinds in one message are refused: it is not clear which counts", () => {
    const [beat, bye] = examples.fromHost.slice(0, 2).map(encodeFromHost);
    // The second repeats version and run, of 2 and 18 bytes.
    const both = Buffer.concat([beat ?? new Uint8Array(), (bye ?? new Uint8Array()).subarray(20)]);
    expect(refusal(() => decodeFromHost(both)).message).toBe("is of several kinds");
  });

  test("texts for people are cut, and their control characters are blanks", () => {
    const bytes = announced({ standbyCause: `\u001b[31m\u202ered${"é".repeat(5000)}` });
    const read = decodeFromHost(bytes);
    const cause = read.kind === "announce" ? read.report.standbyCause : "";
    expect(cause.slice(0, 8)).toBe(" [31m re");
    expect(cause.length).toBeLessThanOrEqual(limits.proverErrorLengthMax);
  });

  test("a text that is cut inside a character stays well-formed", () => {
    const bytes = announced({ standbyCause: `x${"🙂".repeat(2000)}` });
    const read = decodeFromHost(bytes);
    const cause = read.kind === "announce" ? read.report.standbyCause : "";
    expect(Buffer.from(cause).toString()).toBe(cause);
  });
});

const assignment = (change: MessageInitShape<typeof AssignSchema>) => {
  const [first] = examples.toHost;
  const read = first && fromBinary(ToHostSchema, encodeToHost(first));
  if (read?.kind.case !== "assign") throw new Error("it is no assignment");
  setFields(AssignSchema, read.kind.value, change);
  return toBinary(ToHostSchema, read);
};
const toHost = (init: MessageInitShape<typeof ToHostSchema>) =>
  toBinary(ToHostSchema, create(ToHostSchema, { version: 1, run: doorRun, hostRun, ...init }));
const blob = (init: MessageInitShape<typeof BlobSchema>) => create(BlobSchema, init);
const sha256 = new Uint8Array(32);
/** The question whether a proof has these claims. */
const claimed = (claims: { root: Uint8Array; keyBytes?: number }[], root = new Uint8Array()) => {
  const [keys, proof] = [blob({ sha256, size: 1 }), blob({ sha256, size: 1 })];
  return toHost({ kind: { case: "verify", value: { root, claims, keys, proof } } });
};

describe("what a door sends", () => {
  test.each<[field: string, string, Uint8Array]>([
    ["host_run", "16 hexadecimal digits", toHost({ hostRun: "x" })],
    ["", "no run of the host", toHost({ hostRun: "", kind: { case: "fetch", value: { sha256 } } })],
    ["assign.work", "is missing", assignment(noWork())],
    [
      "assign.work.sha256",
      "has 31 bytes",
      assignment({ work: blob({ sha256: sha256.subarray(1), size: 1 }) }),
    ],
    ["assign.work.size", "from 1", assignment({ work: blob({ sha256 }) })],
    ["assign.work.size", "25165824", assignment({ work: blob({ sha256, size: 25165825 }) })],
    [
      "assign.work",
      "has 3 bytes, its size is 4",
      assignment({ work: blob({ sha256, size: 4, inline: new Uint8Array(3) }) }),
    ],
    [
      "assign.work",
      "another SHA-256",
      assignment({ work: blob({ sha256, size: 3, inline: new Uint8Array(3) }) }),
    ],
    ["assign.deadline_at_ms", "Infinity", assignment({ deadlineAtMs: Infinity })],
    ["assign.fence_at_ms", "NaN", assignment({ fenceAtMs: NaN })],
    ["assign.rotation", "is 1", assignment({ rotation: 1 })],
    ["assign.attempt", "from 1", assignment({ attempt: 0n })],
    ["assign.digest", "64 hex", assignment({ digest: workDigest.toUpperCase() })],
    [
      "kill.reason",
      "is 6",
      toHost({ kind: { case: "kill", value: { device: "cpu", attempt: 1n, reason: 6 } } }),
    ],
    [
      "command",
      "of no kind",
      toHost({ kind: { case: "command", value: { device: "cpu", number: 1n } } }),
    ],
    [
      "fetch.offset",
      "multiple of a chunk",
      toHost({ kind: { case: "fetch", value: { sha256, offset: 1 } } }),
    ],
    [
      "fetch.offset",
      "from 0 to",
      toHost({ kind: { case: "fetch", value: { sha256, offset: 2 ** 31 } } }),
    ],
    ["verify", "either a message or claims", claimed([])],
    ["verify", "either a message or claims", claimed([{ root: sha256, keyBytes: 1 }], sha256)],
    ["verify.claims", "more than 16", claimed(many(17, { root: sha256, keyBytes: 1 }))],
    ["verify.claims.root", "has 31 bytes", claimed([{ root: sha256.subarray(1), keyBytes: 1 }])],
    ["verify.claims.key_bytes", "from 1", claimed([{ root: sha256 }])],
    ["verify.claims.key_bytes", "to 25165824", claimed([{ root: sha256, keyBytes: 2 ** 31 }])],
    [
      "verify.proof.size",
      "to 524288",
      toHost({
        kind: {
          case: "verify",
          value: {
            root: sha256,
            keys: blob({ sha256, size: 1 }),
            proof: blob({ sha256, size: 524_289 }),
          },
        },
      }),
    ],
    ["", "at most 1048576", new Uint8Array(limits.fleetMessageBytesMax + 1)],
  ])("%s: %s", (field, detail, bytes) => {
    const { field: at, message } = refusal(() => decodeToHost(bytes));
    expect([at, message]).toEqual([field, expect.stringContaining(detail)]);
  });
});

/** An assignment whose work is left away. */
function noWork(): MessageInitShape<typeof AssignSchema> {
  return { work: undefined } as unknown as MessageInitShape<typeof AssignSchema>;
}

const ended = (init: MessageInitShape<typeof EndedSchema>) =>
  toBinary(
    ToDoorSchema,
    create(ToDoorSchema, {
      version: 1,
      run,
      doorRun,
      kind: { case: "ended", value: create(EndedSchema, { device: "cpu", attempt: 1n, ...init }) },
    }),
  );
const leftOut = (...inputs: object[]) => ({
  result: {
    kind: { case: "rejected" as const, value: {} },
    leftOut: inputs.map((each) => ({ reason: 1, digest: sha256, ...each })),
  },
});
const raw = (at: number) => ({ input: { case: "raw" as const, value: at } });
const child = (at: number) => ({ input: { case: "child" as const, value: at } });
const component = (at: number) => ({ input: { case: "component" as const, value: at } });

describe("how a lane host says that an attempt ended", () => {
  test.each<[field: string, string, Uint8Array]>([
    ["ended.result", "is missing", ended({})],
    ["ended.result", "of no kind", ended({ result: {} })],
    ["ended.result.left_out", "of no kind", ended(leftOut({}))],
    ["ended.result.left_out.raw", "to 4095", ended(leftOut(raw(4096)))],
    ["ended.result.left_out.child", "to 63", ended(leftOut({ ...child(64), reason: 3 }))],
    ["ended.result.left_out.reason", "is 6", ended(leftOut({ ...raw(0), reason: 6 }))],
    [
      "ended.result.left_out.digest",
      "has 3 bytes",
      ended(leftOut({ ...raw(0), digest: sha256.subarray(29) })),
    ],
    ["ended.result.left_out", "a raw is not bad_child", ended(leftOut({ ...raw(0), reason: 3 }))],
    ["ended.result.left_out", "a child is not covered", ended(leftOut({ ...child(0), reason: 4 }))],
    ["ended.result.left_out.component", "to 15", ended(leftOut(component(16)))],
    [
      "ended.result.left_out",
      "a component is not shed",
      ended(leftOut({ ...component(0), reason: 5 })),
    ],
    ["ended.result", "twice", ended(leftOut(component(1), component(1)))],
    [
      "ended.result",
      "twice",
      ended(leftOut(raw(0), child(0), raw(0)).result && leftOut(raw(0), raw(0))),
    ],
    ["ended.result.left_out", "more than 4160", ended(leftOut(...many(4161, raw(0))))],
    [
      "ended.result.proved.proof",
      "is missing",
      ended({ result: { kind: { case: "proved", value: { proveMs: 1 } } } }),
    ],
    [
      "ended.result.proved.prove_ms",
      "NaN",
      ended({
        result: {
          kind: { case: "proved", value: { proveMs: NaN, proof: blob({ sha256, size: 1 }) } },
        },
      }),
    ],
    [
      "ended.result.failed.deaths",
      "to 16",
      ended({ result: { kind: { case: "failed", value: { deaths: 17 } } } }),
    ],
  ])("%s: %s", (field, detail, bytes) => {
    const { field: at, message } = refusal(() => decodeToDoor(bytes));
    expect([at, message]).toEqual([field, expect.stringContaining(detail)]);
  });

  test("a verdict says something, and a chunk is no larger than one", () => {
    const none = toBinary(VerdictSchema, create(VerdictSchema));
    expect(refusal(() => decodeVerdict(none)).message).toContain("of no kind");
    const large = create(ChunkSchema, { bytes: new Uint8Array(512 * 1024 + 1) });
    expect(refusal(() => decodeChunk(toBinary(ChunkSchema, large))).field).toBe("bytes");
  });
});
