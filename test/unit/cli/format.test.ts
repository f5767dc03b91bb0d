/** What the commands print and read, without a service. */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { callError } from "../../../cli/io/call-error.js";
import { infoText } from "../../../cli/info.js";
import { eventJsonLine } from "../../../cli/io/json-lines.js";
import {
  isComplete,
  outcomeHeader,
  outcomeLine,
  outcomeTable,
  summaryLine,
} from "../../../cli/io/outcome-line.js";
import { Progress } from "../../../cli/io/progress.js";
import { proofsInFile, verifyRequestOf } from "../../../cli/proofs-in-file.js";
import { AggregatorError } from "../../../client/errors.js";
import {
  GetServerInfoResponseSchema,
  LeftOutReason,
  OutcomeReason,
  OutcomeSchema,
  OutcomeStatus,
  ServiceState,
  ValidatorKeySchema,
  SummarySchema,
  VerifiedBy,
  VotesSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { encodeSszBitlist } from "../../../proto/bitlist.js";
import { fakeTerminal } from "../../helpers/command-line.js";

const proved = create(OutcomeSchema, {
  groupIndex: 0,
  slot: 1_234_567n,
  status: OutcomeStatus.PROVED_LATE,
  participants: new Uint8Array([0b101, 0b1]),
  proof: new Uint8Array(3 * 1024),
  proveMs: 812,
  queueMs: 3,
  votes: { proved: [2, 1], wrongLeaf: 1, notStarted: 0 },
});
const stopped = create(OutcomeSchema, {
  groupIndex: 12,
  slot: 7n,
  status: OutcomeStatus.STOPPED,
  reason: OutcomeReason.FENCE,
  detail: "killed",
  votes: { proved: [0, 0], badSignature: 5, stopped: 7 },
  leftOut: [0, 1, 2, 3, 4, 5].map((value) => ({
    $typeName: "lean.aggregator.v1.LeftOut" as const,
    reason: LeftOutReason.BAD_SIGNATURE,
    input: { case: value === 0 ? ("childIndex" as const) : ("validatorIndex" as const), value },
    digest: new Uint8Array(),
  })),
});

describe("a table of outcomes", () => {
  test("is in order of group, its columns aligned, what has no proof a dash", () => {
    expect(outcomeTable([stopped, proved]).split("\n")).toEqual([
      "group     slot  status       reason    votes  in no proof                 proof KiB  " +
        "queue ms  prove ms  left out",
      "    0  1234567  proved_late  -        3 of 4  1 wrong_leaf                        3  " +
        "       3       812  -",
      "   12        7  stopped      fence   0 of 12  5 bad_signature, 7 stopped          -  " +
        "       0         -  child 0 " +
        "bad_signature, validator 1 bad_signature, validator 2 bad_signature, validator 3 " +
        "bad_signature, 2 more: killed",
      "",
    ]);
  });

  test("printed a line at a time keeps its columns under the header", () => {
    const header = outcomeHeader();
    for (const line of [outcomeLine(proved), outcomeLine(stopped)]) {
      for (const title of ["status", "reason"]) {
        expect(line[header.indexOf(title)], title).not.toBe(" ");
        expect(line[header.indexOf(title) - 1], title).toBe(" ");
      }
    }
  });

  test("marks the fake prover's results", () => {
    expect(outcomeLine({ ...proved, fake: true })).toContain("proved_late FAKE");
    expect(outcomeLine({ ...proved, verifiedBy: VerifiedBy.SAME_HOST })).toContain(
      "verified by the host that made it",
    );
  });
});

describe("a summary", () => {
  const summary = create(SummarySchema, { slot: 7n, groups: 2, proved: 1, durationMs: 9 });
  const of = (votes?: MessageInitShape<typeof VotesSchema>) =>
    votes === undefined ? summary : { ...summary, votes: create(VotesSchema, votes) };

  test.each([
    [
      "counts votes, and what became of those in no proof",
      { proved: [1, 0], shed: 29, badSignature: 2 },
      "1 of 32 votes proved (29 shed, 2 bad_signature), 1 of 2 groups proved",
      false,
    ],
    [
      "is complete when the other votes are in children already",
      { proved: [0, 3], covered: 9 },
      "3 of 12 votes proved (9 covered), 1 of 2 groups proved",
      true,
    ],
    ["of an older service counts groups", undefined, "1 of 2 groups proved", false],
  ])("%s", (_what, votes, text, isWhole) => {
    expect(summaryLine(of(votes))).toBe(`slot 7: ${text}, in 9 ms`);
    expect(isComplete(of(votes))).toBe(isWhole);
  });
});

describe("info", () => {
  const linesOf = (info: MessageInitShape<typeof GetServerInfoResponseSchema>) =>
    infoText(create(GetServerInfoResponseSchema, info)).split("\n");

  test("shows a service that shuts down, its devices and what it proves", () => {
    const offer = {
      proofSystem: { scheme: "fake", revision: "r1" },
      ...{ kinds: [1], logInvRates: [0, 1], childrenMax: 3, proofBytesMax: 2048 },
      ...{ publicKeyBytes: 52, signatureBytes: 0, deviceIds: ["gpu"], fake: true },
    };
    const lines = linesOf({
      serverVersion: "1.2.3",
      status: { state: ServiceState.DRAINING, detail: "it shuts down", offers: [offer] },
      devices: [
        { id: "cpu", state: 5, detail: "no memory", learnedCosts: [{ proveMs: 9, proveMsLow: 7 }] },
        { id: "gpu", state: 2, standbyReady: true, drained: true },
      ],
    });
    expect(lines).toEqual(
      expect.arrayContaining([
        "version      1.2.3",
        "state        draining, accepts no snapshots: it shuts down",
        "scheme       fake (FAKE: simulated, not real proofs)",
        "proof kinds  aggregate",
        "rates        log_inv_rate 0, 1",
        "public key   52 bytes",
        "signature    any size",
        "children     at most 3 in a group",
        "proof        at most 2 KiB",
        "on devices   gpu",
        "cpu     failed         -             -            no memory",
        "gpu     idle, drained  fake r1       standby      -",
        "cpu                  0         0         1     0         9    7     0          -",
      ]),
    );
  });

  test.each([
    ["accepting snapshots", { state: ServiceState.READY }],
    [
      "no_prover, accepts no snapshots: device cpu is starting",
      { state: ServiceState.NO_PROVER, detail: "device cpu is starting" },
    ],
  ])("says '%s' by the service's state", (text, status) => {
    const lines = linesOf({ status, limits: {} });
    expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^state +${text}$`)));
    expect(lines).toContainEqual(expect.stringMatching(/^scheme +none: no prover has been ready$/));
  });
});

describe("progress", () => {
  test("a line is cut to the width of a narrow terminal, where it would wrap", () => {
    const terminal = { ...fakeTerminal(true), errColumns: () => 20 };
    let printed = "";
    terminal.err = (text) => void (printed += text);
    const progress = new Progress(() => "0123456789".repeat(4), terminal);
    vi.advanceTimersByTime(250);
    expect(printed).toBe("\r\u001b[K0123456789012345678");
    progress.stop();
  });

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const text = (elapsedMs: number) => `proving, ${elapsedMs} ms`;

  test("rewrites one line on a terminal, and clears it at the end", () => {
    const terminal = fakeTerminal(true);
    const progress = new Progress(text, terminal);
    vi.advanceTimersByTime(500);
    progress.stop();
    vi.advanceTimersByTime(10_000);
    const clear = "\r\u001b[K";
    expect(terminal.stderr).toBe(`${clear}proving, 250 ms${clear}proving, 500 ms${clear}`);
  });

  test("prints a line every few seconds elsewhere, without control characters", () => {
    const terminal = fakeTerminal(false);
    const progress = new Progress(text, terminal);
    vi.advanceTimersByTime(10_000);
    progress.stop();
    expect(terminal.stderr).toBe("proving, 5000 ms\nproving, 10000 ms\n");
  });
});

describe("the proofs in a file", () => {
  const read = (text: string, file = "o.json") =>
    proofsInFile(new TextEncoder().encode(text), file);
  const groups = (text: string) => {
    const proofs = read(text);
    return proofs.kind === "outcomes" ? proofs.outcomes.map((each) => each.groupIndex) : [];
  };

  test.each([
    ["an outcome alone", '{"groupIndex": 1}', [1]],
    ["lines of --json", '{"accepted":{}}\n{"outcome":{"groupIndex":2}}\n{"summary":{}}\n', [2]],
    [
      "grpcurl's own style",
      '{\n  "opened": {}\n}\n{\n  "outcome": {\n"group_index": 3\n}\n}\n',
      [3],
    ],
    ["the answer of GetSession", '{"session":{"outcomes":[{},{"groupIndex":4}]}}', [0, 4]],
    ["a session", '{"outcomes":[{"groupIndex":5}]}', [5]],
  ])("are found in %s", (_form, text, expected) => {
    expect(groups(text)).toEqual(expected);
  });

  test("are a request when it has keys", () => {
    expect(read('{"publicKeys": ["AAAA"]}')).toMatchObject({ kind: "request" });
    expect(read('{"public_keys": []}')).toMatchObject({ kind: "request" });
  });

  test.each([
    [
      "an unknown field",
      '{"groupIndx": 1}',
      /^o.json: groupIndx: no such field; did you mean "groupIndex"; fix that field$/,
    ],
    ["no object", "[1]", /^o.json has no outcomes: /],
    ["broken JSON", '{"a": }', /^o.json is not JSON at line 1 column 7: .*; fix the text there$/],
    ["nothing", "", /^o.json is not JSON at line 1 column 1: /],
  ])("are refused when it has %s", (_fault, text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  test("are refused when a binary file is not a request", () => {
    expect(() => read("\u0001\u0002{", "r.bin")).toThrow(
      "r.bin is not a VerifyAggregateRequest in binary: ",
    );
  });
});

test("a line of --json has hex for bytes, and is read back as it was", () => {
  const bytes = (length: number, first: number) =>
    Uint8Array.from({ length }, (_, at) => (first + at) & 0xff);
  const outcome = create(OutcomeSchema, {
    groupIndex: 1,
    status: OutcomeStatus.PROVED,
    message: bytes(32, 0xf0),
    proof: bytes(3000, 7),
    // In base64 this would be "0x0x".
    participants: new Uint8Array([0xd3, 0x1d, 0x31]),
    data: { slot: 2n ** 63n, head: { root: new Uint8Array(32), slot: 2n ** 53n + 1n } },
    leftOut: [{ digest: bytes(32, 1), input: { case: "childIndex", value: 0 } }],
  });
  const line = eventJsonLine({ case: "outcome", value: outcome });
  expect(line).toContain('"participants":"0xd31d31"');
  expect(line).toContain(`"message":"0x${Buffer.from(outcome.message).toString("hex")}"`);
  expect(line).not.toContain("=");
  const read = proofsInFile(new TextEncoder().encode(`\uFEFF${line}${line}`), "o.json");
  expect(read).toEqual({ kind: "outcomes", outcomes: [outcome, outcome] });
});

describe("the request that verifies an outcome", () => {
  const keys = [0, 2, 8].map((validatorIndex) =>
    create(ValidatorKeySchema, { validatorIndex, publicKey: new Uint8Array([validatorIndex]) }),
  );
  const snapshotWith = (of: typeof keys, sszBitlists = false) => ({ keys: of, sszBitlists });

  test("names the keys of exactly its participants", () => {
    const { publicKeys, proof } = verifyRequestOf(
      proved,
      snapshotWith(keys.toReversed()),
      "s.json",
    );
    expect(publicKeys).toEqual([new Uint8Array([0]), new Uint8Array([2]), new Uint8Array([8])]);
    expect(proof).toBe(proved.proof);
  });

  test("takes the length bit from participants of a snapshot with SSZ bitlists", () => {
    const ssz = { ...proved, participants: encodeSszBitlist([0, 2], 9) };
    const { publicKeys } = verifyRequestOf(ssz, snapshotWith(keys, true), "s.json");
    expect(publicKeys).toEqual([new Uint8Array([0]), new Uint8Array([2])]);
  });

  test("is refused when the key of a participant is missing", () => {
    expect(() => verifyRequestOf(proved, snapshotWith(keys.slice(1)), "s.json")).toThrow(
      "--keys s.json has no key for validator 0; name the snapshot that was submitted",
    );
  });
});

test("every kind of failed call says where and what to do", async () => {
  const kinds = [
    ...([
      "unavailable",
      "deadline_exceeded",
      "cancelled",
      "invalid_argument",
      "not_found",
    ] as const),
    ...(["overloaded", "unauthorized", "unsupported", "internal"] as const),
  ];
  const server = "unix:/nonexistent/a.sock";
  for (const kind of kinds) {
    for (const listener of ["service", "operator"] as const) {
      const error = await callError(new AggregatorError(kind, "some field"), { server }, listener);
      expect(error.message, kind).toMatch(/^[^;]+(nonexistent|some field)[^;]*; [^;]+$/);
      expect(error.exitCode).toBe(1);
    }
  }
});

test("a field that asks for what is not offered differs from a method that is not there", async () => {
  const refused = (text: string) => callError(new AggregatorError("unsupported", text), { server });
  const server = "127.0.0.1:1";
  expect((await refused("snapshot.groups[0].kind: MERGE is not offered")).message).toBe(
    "the service does not offer this: snapshot.groups[0].kind: MERGE is not offered; " +
      "change that field; 'lean-aggregator info' shows what it offers",
  );
  expect((await refused("/a.B/C is not served here")).message).toContain("--listen address");
});
