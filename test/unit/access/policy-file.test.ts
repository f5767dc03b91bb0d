/** The policy file: all its errors are reported at once, with their places. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import { parsePolicy, PolicyError, readPolicyText } from "../../../server/access/policy-file.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

function problemsOf(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof PolicyError)
      return error.problems.map(({ place, text }) => `${place}: ${text}`);
    throw error;
  }
  return [];
}
const ofPolicy = (principals: unknown) =>
  problemsOf(() => parsePolicy(JSON.stringify({ principals })));
const HASH = "a".repeat(64);

test("every error is reported at once, each with its place", () => {
  const problems = ofPolicy([
    {
      name: "one",
      certificates: ["node-1"],
      calls: ["Submit"],
      quota: { streams: 0, spam: 1, callsPerMinute: 1e7 },
    },
    { name: "two", tokens: [{ sha256: "secret" }, { sha256: HASH, expires: "soon" }] },
    { name: "three", colour: "red", sockets: ["run.sock"], nodes: ["a*b"] },
  ]);
  const places = problems.map((problem) => problem.split(": ")[0]).toSorted();
  expect(places).toEqual([
    "principals[0].calls[0]",
    "principals[0].certificates[0]",
    "principals[0].quota.callsPerMinute",
    "principals[0].quota.spam",
    "principals[0].quota.streams",
    "principals[1].tokens[0].sha256",
    "principals[1].tokens[1].expires",
    "principals[2].colour",
    "principals[2].nodes[0]",
    "principals[2].sockets[0]",
  ]);
  expect(problems.join()).toContain("expected SubmitSnapshot, ");
  expect(problems.join()).not.toContain("secret");
});

test("a principal that matches no caller, or whose permission can never be used, is an error", () => {
  expect(ofPolicy([{ name: "ghost" }])).toEqual([expect.stringContaining("matches no caller")]);
  const at = { sockets: ["/a"] };
  expect(ofPolicy([{ name: "a", ...at, calls: ["SubmitSnapshot"] }])).toEqual([
    expect.stringMatching(/^principals\[0\]\.priorities: is empty/),
    expect.stringMatching(/^principals\[0\]\.nodes: is empty/),
  ]);
  expect(ofPolicy([{ name: "a", ...at, calls: ["GetServerInfo", "Metrics"] }])).toEqual([]);
});

test("a credential that a second principal repeats is an error: it would never match", () => {
  const twin = {
    name: "a",
    certificates: ["DNS:a"],
    tokens: [{ sha256: HASH }],
    sockets: ["/a"],
    anonymous: true,
  };
  expect(ofPolicy([twin, twin])).toEqual([
    "principals[1].name: repeats principals[0].name",
    "principals[1].anonymous: repeats principals[0].anonymous",
    "principals[1].certificates[0]: repeats principals[0].certificates[0]",
    "principals[1].tokens[0]: repeats principals[0].tokens[0]",
    "principals[1].sockets[0]: repeats principals[0].sockets[0]",
  ]);
});

test("text that is not JSON is reported with its line and column, another shape with its field", () => {
  const text = '{\n  "principals": [],\n}';
  expect(problemsOf(() => parsePolicy(text))).toEqual([
    expect.stringMatching(/^the file: is not JSON at line 3 column 1: /),
  ]);
  expect(problemsOf(() => parsePolicy("[]"))).toEqual([expect.stringMatching(/^the whole file: /)]);
  expect(problemsOf(() => parsePolicy("{}"))).toEqual([expect.stringMatching(/^principals: /)]);
  const many = Array.from({ length: limits.principalsMax + 1 }, () => ({}));
  expect(ofPolicy(many)).toEqual([expect.stringMatching(/^principals: /)]);
});

test("a byte order mark is skipped; a key that is there twice is reported with its place", () => {
  const principal = '{"name": "a", "anonymous": true}';
  const policy = parsePolicy(`\uFEFF{"principals": [${principal}]}`);
  expect(policy.principals.map(({ name }) => name)).toEqual(["a"]);
  const twice = `{"principals": [${principal.replace("}", ', "name": "b"}')}]}`;
  expect(problemsOf(() => parsePolicy(twice))).toEqual([
    "principals[0].name: is there twice, again at line 1 column 50",
  ]);
});

test("an object with a strange length is reported, and does not throw", () => {
  const text = '{"principals": {"length": [{"toString": true}]}}';
  expect(() => parsePolicy(text)).toThrow(PolicyError);
});

test("a file that is missing or too large is reported", () => {
  const folder = temporaryFolder();
  expect(problemsOf(() => readPolicyText(join(folder, "none")))).toEqual([
    expect.stringContaining("it does not exist"),
  ]);
  const large = join(folder, "large.json");
  writeFileSync(large, " ".repeat(limits.policyBytesMax + 1));
  expect(problemsOf(() => readPolicyText(large))).toEqual([
    "the file: cannot be read: it has more than 1048576 bytes",
  ]);
});

test("the example in deploy/ is valid", () => {
  const { principals } = parsePolicy(readFileSync("deploy/policy.json", "utf8"));
  expect(principals.map(({ name }) => name)).toContain("operator");
});
