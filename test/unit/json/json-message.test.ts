import { create, toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import {
  CancelSessionRequestSchema,
  OutcomeSchema,
  Priority,
  SubmitSnapshotRequestSchema,
  VerifyAggregateRequestSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { messageFromJson, messageToHexJson } from "../../../server/json/json-message.js";
import type { BytesForm } from "../../../server/json/json-message.js";
import { JsonError, parseJsonText } from "../../../server/json/json-text.js";

const read = (text: string, form: BytesForm = "base64") =>
  messageFromJson(SubmitSnapshotRequestSchema, parseJsonText(text), form);

function problemOf(text: string, form: BytesForm = "base64"): string {
  try {
    read(text, form);
  } catch (error) {
    if (error instanceof JsonError) return error.message;
    throw error;
  }
  return "none";
}

const HEX32 = "ab".repeat(32);

test.each([
  ['{"deadlineMS":1}', 'deadlineMS: no such field; did you mean "deadlineMs"'],
  ['{"dedline_ms":1}', 'dedline_ms: no such field; did you mean "deadline_ms"'],
  ['{"node":{"nodeID":"a"}}', 'node.nodeID: no such field; did you mean "nodeId"'],
  [
    '{"snapshot":{"groups":[{},{},{},{"headd":{}}]}}',
    "snapshot.groups[3].headd: no such field; Group has data, message, rawSignatures, children",
  ],
  [
    '{"snapshot":{"groups":[{"data":{"headd":{}}}]}}',
    'snapshot.groups[0].data.headd: no such field; did you mean "head"',
  ],
  [
    '{"snapshot":{"groups":[{"rawSignatures":[{"validatorIndx":1}]}]}}',
    'snapshot.groups[0].rawSignatures[0].validatorIndx: no such field; did you mean "validatorIndex"',
  ],
  ['{"__proto__":{}}', "__proto__: no such field; SubmitSnapshotRequest has"],
  ['{"constructor":{}}', "constructor: no such field; SubmitSnapshotRequest has"],
  ['{"":1}', '"": no such field; SubmitSnapshotRequest has'],
  [`{"${"x".repeat(10_000)}":1}`, `${"x".repeat(100)}…: no such field; SubmitSnapshotRequest has`],
  ['{"deadlineMs":1,"deadline_ms":2}', 'deadline_ms: is there twice, also as "deadlineMs"'],
])("the field in %s is refused with its path", (text, message) => {
  expect(problemOf(text).slice(0, message.length)).toBe(message);
});

test.each([
  ['"backlog"', "PRIORITY_BACKLOG"],
  ['"Proposal"', "PRIORITY_PROPOSAL"],
  ['"PRIORITY_BACKLOGG"', "PRIORITY_BACKLOG"],
  ['"nonsense"', undefined],
  ['"2"', undefined],
  ["99", undefined],
  ["1.5", undefined],
  ["true", undefined],
  ["{}", undefined],
])("the priority %s is refused with all names", (value, similar) => {
  const mean = similar === undefined ? "" : `; did you mean "${similar}"`;
  const is = value === "{}" ? "an object" : value;
  expect(problemOf(`{"priority":${value}}`)).toBe(
    `priority: is ${is}, expected PRIORITY_UNSPECIFIED, PRIORITY_PROPOSAL, ` +
      `PRIORITY_AGGREGATION or PRIORITY_BACKLOG${mean}`,
  );
});

describe("whole numbers", () => {
  test.each([
    "9007199254740992",
    "9007199254740993",
    "-9007199254740993",
    "18446744073709551615",
    "1e19",
  ])("%s without quotes is refused, at every depth", (number) => {
    const places = [
      [`{"node":{"nodeEpoch":${number}}}`, "node.nodeEpoch"],
      [
        `{"snapshot":{"groups":[{"data":{"head":{"slot":${number}}}}]}}`,
        "snapshot.groups[0].data.head.slot",
      ],
      [`{"deadlineMs":${number}}`, "deadlineMs"],
    ] as const;
    for (const [text, place] of places) {
      expect(problemOf(text)).toBe(
        `${place}: is a number of 2^53 or more without quotes, which JSON rounds: put it in quotes`,
      );
    }
  });

  test("are refused in lists, too", () => {
    const json = parseJsonText('{"groupIndices":[0,1.5]}');
    expect(() => messageFromJson(CancelSessionRequestSchema, json, "base64")).toThrow(
      "groupIndices[1]: is 1.5, expected a whole number from 0 to 4294967295",
    );
  });

  test.each([
    "1.5",
    "-1",
    "4294967296",
    '"1.5"',
    '""',
    '" 5"',
    '"0x10"',
    "true",
    "[1]",
    '{"toString":1}',
    "1e400",
  ])("%s is refused for a uint32", (value) => {
    expect(problemOf(`{"deadlineMs":${value}}`)).toMatch(
      /^deadlineMs: is .*, expected a whole number from 0 to 4294967295$/,
    );
  });

  test.each([
    ["9007199254740991", 2n ** 53n - 1n],
    ['"9007199254740993"', 2n ** 53n + 1n],
    ['"18446744073709551615"', 2n ** 64n - 1n],
    ["2e3", 2000n],
    ["2000.0", 2000n],
    ["-0", 0n],
  ])("%s is read exactly", (value, expected) => {
    expect(read(`{"node":{"nodeEpoch":${value}}}`).node?.nodeEpoch).toBe(expected);
  });

  test('"18446744073709551616" is refused for a uint64', () => {
    expect(problemOf('{"node":{"nodeEpoch":"18446744073709551616"}}')).toBe(
      'node.nodeEpoch: is "18446744073709551616", ' +
        "expected a whole number from 0 to 18446744073709551615",
    );
  });
});

test.each([
  ["[]", "is a list, expected an object"],
  ["null", "is null, expected an object"],
  ['{"node":"x"}', 'node: is "x", expected an object'],
  ['{"node":{"nodeId":1}}', "node.nodeId: is 1, expected text"],
  ['{"snapshot":{"groups":{}}}', "snapshot.groups: is an object, expected a list"],
  ['{"snapshot":{"groups":[null]}}', "snapshot.groups[0]: is null, expected a value"],
  ['{"snapshot":{"head":{"root":5}}}', "snapshot.head.root: is 5, expected base64"],
  ['{"snapshot":{"head":{"root":"a?"}}}', 'snapshot.head.root: is "a?", expected base64'],
])("%s is refused: %s", (text, message) => {
  expect(problemOf(text)).toBe(message);
});

test("null means that a field is absent", () => {
  const request = read('{"node":null,"deadlineMs":null,"priority":null,"snapshot":null}');
  expect(request).toEqual(create(SubmitSnapshotRequestSchema));
});

test("snake case, enums by number, and base64 of both alphabets are read", () => {
  const request = read(
    '{"request_id":"r","priority":3,"snapshot":{"head":{"root":"-_8"},"justified":{"root":"+/8="}}}',
  );
  expect(request.priority).toBe(Priority.BACKLOG);
  expect(request.snapshot?.head?.root).toEqual(request.snapshot?.justified?.root);
});

describe("hex", () => {
  const root = (text: string) => `{"snapshot":{"head":{"root":"${text}"}}}`;

  test.each([HEX32, HEX32.toUpperCase(), "", "00"])("0x%s is read in files", (digits) => {
    const bytes = read(root(`0x${digits}`), "hex").snapshot?.head?.root;
    expect(bytes).toEqual(new Uint8Array(Buffer.from(digits, "hex")));
  });

  test.each(["0xabc", "0xzz", "0x 00", "0xab=="])("%s is refused in files", (text) => {
    expect(problemOf(root(text), "hex")).toBe(
      `snapshot.head.root: is "${text}", expected an even number of hex digits after 0x`,
    );
  });

  test.each([`0x${HEX32}`, `0X${HEX32}`, `0x${"00".repeat(1000)}`])(
    "%s over HTTP is refused: base64 would read it as other bytes",
    (text) => {
      expect(problemOf(root(text))).toMatch(
        /^snapshot.head.root: is ".*": JSON over HTTP takes base64/,
      );
    },
  );

  test("short base64 that looks like hex is base64 over HTTP", () => {
    expect(read(root("0x0f")).snapshot?.head?.root).toEqual(new Uint8Array([0xd3, 0x1d, 0x1f]));
  });

  test("is read in lists and printed for all bytes", () => {
    const request = create(VerifyAggregateRequestSchema, {
      publicKeys: [new Uint8Array([1, 2]), new Uint8Array([0xd3, 0x1d, 0x1f])],
      proof: new Uint8Array(0),
      message: new Uint8Array(32).fill(0xab),
    });
    const printed = messageToHexJson(VerifyAggregateRequestSchema, request);
    expect(printed).toEqual({ publicKeys: ["0x0102", "0xd31d1f"], message: `0x${HEX32}` });
    expect(messageFromJson(VerifyAggregateRequestSchema, printed, "hex")).toEqual(request);
    const plain = toJson(VerifyAggregateRequestSchema, request);
    expect(messageFromJson(VerifyAggregateRequestSchema, plain, "base64")).toEqual(request);
  });

  test("is printed beside an enum value of a later version", () => {
    const reason: number = 99;
    const outcome = create(OutcomeSchema, { reason, leftOut: [{ reason }] });
    expect(messageToHexJson(OutcomeSchema, outcome)).toEqual({ reason, leftOut: [{ reason }] });
  });
});

test.each([
  ["blanks and a wrong character", `${" ".repeat(500_000)}!`],
  ["blanks between padding", `A${" ".repeat(250_000)}=${" ".repeat(250_000)}!`],
  ["hex digits and a wrong character", `0x${"ab".repeat(250_000)}!`],
  ["hex digits, an odd number", `0x${"ab".repeat(250_000)}a!`],
])("the time to refuse bytes grows with their length alone: %s", (_, value) => {
  const begin = performance.now();
  for (const form of ["base64", "hex"] as const) {
    expect(problemOf(JSON.stringify({ snapshot: { keys: [{ publicKey: value }] } }), form)).toMatch(
      /^snapshot\.keys\[0\]\.publicKey: is ".*…", expected /,
    );
  }
  expect(performance.now() - begin).toBeLessThan(2000);
});

test("bytes that are cut off are refused with their path", () => {
  const text = '{"snapshot":{"keys":[{"publicKey":"AAAAA"}]}}';
  expect(problemOf(text)).toBe(
    'snapshot.keys[0].publicKey: is "AAAAA", expected base64: ' +
      "has 5 characters of base64, which are no whole number of bytes; is it cut off?",
  );
});

test("half of a surrogate pair is refused with its path", () => {
  expect(problemOf('{"node":{"nodeId":"a\\ud800"}}')).toBe(
    'node.nodeId: is "a\\ud800", which has half of a surrogate pair: write the whole',
  );
});
