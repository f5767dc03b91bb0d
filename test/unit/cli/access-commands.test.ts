/** `token` and `policy check` as their users read them. */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { exitCodes } from "../../../cli/io/command.js";
import { parsePolicy } from "../../../server/access/policy-file.js";
import { tokenHash } from "../../../server/access/token.js";
import type { PolicyCheckOptions } from "../../../cli/policy.js";
import { policyCheckCommand } from "../../../cli/policy.js";
import { checkPolicy } from "../../../cli/doctor/file-checks.js";
import { tokenCommand } from "../../../cli/token.js";
import { commandInProcess, fakeTerminal, freshPath } from "../../helpers/command-line.js";

const usage = (text: string) =>
  expect.objectContaining({ exitCode: exitCodes.usage, message: expect.stringContaining(text) });

test("a token is printed once, with its entry for the policy file", async () => {
  const terminal = fakeTerminal();
  expect(await tokenCommand({}, terminal)).toBe(exitCodes.ok);
  const [token = "", line = "", ...more] = terminal.stdout.trimEnd().split("\n");
  expect(token).toMatch(/^lagg_[\w-]{43}$/);
  expect(JSON.parse(line)).toEqual({ sha256: tokenHash(token).toString("hex") });
  expect(more).toEqual([]);
});

test("--out keeps the token from the terminal and from others, and replaces no file", async () => {
  const out = freshPath("token");
  const terminal = fakeTerminal();
  await tokenCommand({ out }, terminal);
  const token = readFileSync(out, "utf8").trimEnd();
  expect(terminal.stdout).toBe(`${JSON.stringify({ sha256: tokenHash(token).toString("hex") })}\n`);
  expect(statSync(out).mode & 0o777).toBe(0o600);
  await expect(tokenCommand({ out }, terminal)).rejects.toEqual(usage(out));
  expect(readFileSync(out, "utf8").trimEnd()).toBe(token);
});

const file = freshPath("policy.json");
const node1 = {
  name: "node-1",
  certificates: ["DNS:node-1.example"],
  tokens: [{ sha256: "a".repeat(64), expires: "2027-01-31T00:00:00Z" }],
  nodes: ["node-1", "node-1-*"],
  calls: ["SubmitSnapshot"],
  priorities: ["aggregation"],
  quota: { streams: 4, callsPerMinute: 60 },
};
const operator = { name: "operator", anonymous: true, operatorCalls: ["DrainDevice"] };
writeFileSync(file, JSON.stringify({ principals: [node1, operator] }));

function check(options: PolicyCheckOptions) {
  const terminal = fakeTerminal();
  return { code: policyCheckCommand(file, options, terminal), text: terminal.stdout };
}

test("a valid policy is shown, one line for each principal", () => {
  const { code, text } = check({});
  expect(code).toBe(exitCodes.ok);
  const [, first, second] = text.split("\n").map((line) => line.replaceAll(/ {2,}/g, "  "));
  expect(first).toBe(
    "node-1  DNS:node-1.example token until 2027-01-31T00:00:00.000Z  node-1 node-1-*" +
      "  SubmitSnapshot  -  aggregation  streams=4 callsPerMinute=60",
  );
  expect(second).toBe("operator  loopback  -  -  DrainDevice  -  -");
});

test("the check says what a principal may do, and why something is denied", () => {
  const asked = { principal: "node-1", call: "SubmitSnapshot", node: "node-1-b" } as const;
  expect(check({ ...asked, priority: "aggregation" })).toEqual({
    code: exitCodes.ok,
    text: "allowed: principal node-1 may call SubmitSnapshot for node node-1-b at priority aggregation\n",
  });
  expect(check({ ...asked, priority: "backlog" })).toEqual({
    code: exitCodes.notAll,
    text: "denied: principal node-1 may not submit at priority backlog\n",
  });
  expect(check({ principal: "operator", call: "DrainDevice" }).code).toBe(exitCodes.ok);
  expect(check({ principal: "node-1", call: "DrainDevice" }).code).toBe(exitCodes.notAll);
});

test("the policy in the help is valid, and lets a node's adapter make its calls", async () => {
  const { stdout } = await commandInProcess(["policy", "--help"]);
  const [text = ""] = /^ {2}\{"principals"[^]*?^ {2}\}\]\}$/m.exec(stdout) ?? [];
  const { principals } = parsePolicy(text.replace("…", "a".repeat(64)));
  const needed = ["SubmitSnapshot", "StreamResults", "CancelSession"];
  expect(principals[0]?.calls).toEqual(expect.arrayContaining(needed));
  const deployed = parsePolicy(readFileSync("deploy/policy.json", "utf8")).principals;
  const node = deployed.find(({ calls }) => calls.includes("SubmitSnapshot"));
  expect(node?.calls).toEqual(expect.arrayContaining(needed));
});

test("a question without principal, or about an unknown one, is a wrong flag", () => {
  expect(() => check({ call: "GetSession" })).toThrow(usage("--principal"));
  expect(() => check({ principal: "node-2" })).toThrow(usage("node-1, operator"));
});

test("a policy without principals is valid, and its check says that it denies every call", () => {
  const empty = freshPath("empty.json");
  writeFileSync(empty, '{"principals": []}');
  const terminal = fakeTerminal();
  expect(policyCheckCommand(empty, {}, terminal)).toBe(exitCodes.ok);
  expect(terminal.stdout).toBe(
    "the policy is valid, and denies every call: it has no principals\n",
  );
});

test("doctor says how many principals a policy has, or what is wrong with it", () => {
  const addresses = { listen: ["127.0.0.1:9190"], admin: "off" };
  expect(checkPolicy(file, addresses)).toEqual({
    level: "ok",
    text: `${file} is valid: 2 principals`,
  });
  const wrong = freshPath("wrong.json");
  expect(checkPolicy(wrong, addresses)).toMatchObject({
    level: "fail",
    text: expect.stringMatching(/is invalid: the file: cannot be read: it does not exist/),
  });
});

test("an invalid policy ends with 2, and has a line for every error", () => {
  const wrong = freshPath("wrong.json");
  writeFileSync(wrong, JSON.stringify({ principals: [{ name: "ghost" }, { name: "?" }] }));
  expect(() => policyCheckCommand(wrong, {}, fakeTerminal())).toThrow(
    usage(": 3 errors; see 'lean-aggregator policy --help'\n  principals[0].name: "),
  );
});
