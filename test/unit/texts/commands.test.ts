/**
 * What each command says to a wrong file, flag or argument: input, exact text, exit code 2. Settings
 * are in `unit/cli/settings-errors`, addresses in `addresses`, connections in `transport/unreachable`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { commandInProcess } from "../../helpers/command-line.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const folder = temporaryFolder();
const files: Record<string, string> = {
  "comma.json": '{\n  "a": 1,\n}',
  "empty.json": "",
  "list.json": "[]",
  "object.json": "{}",
  "damaged.bin": "garbage!!",
  "two-words.token": "two words",
  "taken.token": "",
  "no-principals.json": '{"principals":[]}',
  "policy.json": JSON.stringify({
    principals: [
      {
        name: "a b",
        nodes: [5],
        calls: ["Foo"],
        quota: { streams: 0, x: 1 },
        tokens: [{ sha256: "x" }],
        certificates: ["foo"],
        sockets: ["rel"],
        anonymous: "yes",
      },
      7,
      {},
    ],
  }),
};
mkdirSync(join(folder, "folder"));
for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);

const cwd = process.cwd();
afterEach(() => process.chdir(cwd));

const CHECK = "; check the file's name and permissions";
const COMMA = "is not JSON at line 3 column 1: quoted object key expected but got '}'";
const policy = (...lines: string[]) =>
  `: ${lines.length} error${lines.length === 1 ? "" : "s"}; see 'lean-aggregator policy --help'` +
  lines.map((line) => `\n  ${line}`).join("");
const flag = (name: string, value: string, expected: string) =>
  `option '${name}' argument '${value}' is invalid. ${expected}`;
const ms = (max: number) => `Expected whole milliseconds from 1 to ${max}.`;
const NODE = "Expected 1 to 64 characters of A-Z a-z 0-9 . _ -";

test.each<[command: string, text: string]>([
  ["serve --config missing.json", `cannot read --config missing.json: it does not exist${CHECK}`],
  ["serve --config folder", `cannot read --config folder: it is a folder${CHECK}`],
  ["serve --config comma.json", `comma.json: ${COMMA}; fix the text there`.replace(": is", " is")],
  [
    "serve --config list.json",
    '--config list.json is not a JSON object; write it as {"deadlineMs": 750}',
  ],
  ["serve extra", "too many arguments for 'serve'. Expected 0 arguments but got 1."],
  ["serve --nope", "unknown option '--nope'"],
  ["serve --deadline-ms", "option '--deadline-ms <ms>' argument missing"],
  [
    "serve --log-level loud",
    flag("--log-level <level>", "loud", "Allowed choices are debug, info, warn, error, silent."),
  ],
  ["serve --prover real", flag("--prover <name>", "real", "Allowed choices are lean_pq, fake.")],
  ["serve --standby 2", flag("--standby <count>", "2", "Allowed choices are auto, 0, 1.")],
  [
    "policy check missing.json",
    `invalid policy missing.json${policy("the file: cannot be read: it does not exist")}`,
  ],
  [
    "policy check folder",
    `invalid policy folder${policy("the file: cannot be read: it is a folder")}`,
  ],
  ["policy check comma.json", `invalid policy comma.json${policy(`the file: ${COMMA}`)}`],
  [
    "policy check list.json",
    `invalid policy list.json${policy("the whole file: expected an object")}`,
  ],
  [
    "policy check object.json",
    `invalid policy object.json${policy("principals: expected a list")}`,
  ],
  [
    "policy check policy.json",
    `invalid policy policy.json${policy(
      "principals[0].name: expected 1 to 128 characters of A-Z a-z 0-9 . _ : / @ -",
      "principals[0].certificates[0]: expected DNS:…, URI:…, IP Address:…, email:…, CN:… or *",
      "principals[0].tokens[0].sha256: expected 64 lower-case hexadecimal digits, as 'lean-aggregator token' prints",
      "principals[0].sockets[0]: expected an absolute path",
      "principals[0].anonymous: expected true or false",
      "principals[0].nodes[0]: expected text",
      "principals[0].calls[0]: expected SubmitSnapshot, StreamResults, GetSession, CancelSession, VerifyAggregate, GetServerInfo, Metrics or *",
      "principals[0].quota.streams: expected a whole number from 1 to 2048",
      "principals[0].quota.x: there is no such setting",
      "principals[1]: expected an object",
      "principals[2].name: expected text",
    )}`,
  ],
  [
    "policy check no-principals.json --principal x",
    "--principal x is not in no-principals.json; add it to the policy",
  ],
  [
    "policy check no-principals.json --call SubmitSnapshot",
    "--call needs --principal; name a principal of the policy",
  ],
  ["policy check object.json --node a/b", flag("--node <id>", "a/b", NODE)],
  [
    "policy check object.json --priority first",
    flag("--priority <name>", "first", "Allowed choices are proposal, aggregation, backlog."),
  ],
  ["policy check", "missing required argument 'file'"],
  ["submit missing.json", `cannot read missing.json: it does not exist${CHECK}`],
  [
    "submit nowhere/a.json",
    `cannot read nowhere/a.json: the folder nowhere does not exist${CHECK}`,
  ],
  [
    "submit comma.json/a",
    `cannot read comma.json/a: a part of the path is a file, not a folder${CHECK}`,
  ],
  ["submit folder", `cannot read folder: it is a folder${CHECK}`],
  ["submit comma.json", `comma.json ${COMMA}; fix the text there`],
  ["submit list.json", "list.json is a list, expected an object; fix the text there"],
  [
    "submit damaged.bin",
    "damaged.bin is not a SubmitSnapshotRequest in binary: its bytes are of another kind, or cut; " +
      "write it again, or give JSON a name without .bin",
  ],
  ["submit x --deadline-ms 0", flag("--deadline-ms <ms>", "0", ms(120_000))],
  ["submit x --deadline-ms 120001", flag("--deadline-ms <ms>", "120001", ms(120_000))],
  ["submit x --fence-ms 1e3", flag("--fence-ms <ms>", "1e3", ms(120_000))],
  ["submit x --fence-ms 120001", flag("--fence-ms <ms>", "120001", ms(120_000))],
  [
    "submit object.json --out nowhere/x",
    "cannot write --out nowhere/x: the folder nowhere does not exist; name another file",
  ],
  [
    "submit object.json --token-file missing",
    "cannot read the token from --token-file missing: it does not exist; name a file that holds one token",
  ],
  [
    "submit object.json --token-file empty.json",
    "cannot read the token from --token-file empty.json: the file is empty; name a file that holds one token",
  ],
  [
    "submit object.json --token-file two-words.token",
    "cannot read the token from --token-file two-words.token: it has spaces, or characters other " +
      "than printable ASCII; name a file that holds one token",
  ],
  [
    "info --server node-1:1 --token-file policy.json",
    "cannot read the token from --token-file policy.json: it has spaces, or characters other " +
      "than printable ASCII; name a file that holds one token",
  ],
  ["submit", "missing required argument 'file'"],
  [
    "verify list.json",
    "list.json has no outcomes: expected JSON objects; name a file that 'submit --out' wrote",
  ],
  [
    "verify object.json",
    "--keys is missing: the outcomes in object.json name validators, not keys; " +
      "name the submitted snapshot with --keys",
  ],
  [
    "verify damaged.bin",
    "damaged.bin is not a VerifyAggregateRequest in binary: its bytes are of another kind, or cut; " +
      "write it again, or give JSON a name without .bin",
  ],
  ["watch --node bad!", flag("--node <id>", "bad!", NODE)],
  ["info --server nope", flag("--server <address>", "nope", "Expected host:port or unix:/path.")],
  [
    "info --server 127.0.0.1:99999",
    flag("--server <address>", "127.0.0.1:99999", "Expected a port from 0 to 65535."),
  ],
  [
    "admin provers --server 127.0.0.1",
    flag(
      "--server <address>",
      "127.0.0.1",
      "Expected a port after the host, as in 127.0.0.1:9190.",
    ),
  ],
  [
    "admin drain cpu --wait x",
    flag("--wait <ms>", "x", "Expected whole milliseconds from 1 to 60000."),
  ],
  ["admin drain", "missing required argument 'device'"],
  ["admin unknown", "unknown command 'unknown'"],
  [
    "token --out folder",
    "cannot write the token to --out folder: it exists already; name a new file",
  ],
  [
    "token --out taken.token",
    "cannot write the token to --out taken.token: it exists already; name a new file",
  ],
  ["sbmit", "unknown command 'sbmit'\n(Did you mean submit?)"],
])("%s", async (command, text) => {
  process.chdir(folder);
  const { code, stdout, stderr } = await commandInProcess(command.split(" "));
  const said = stderr.replace(/\nAdd --help for the usage and examples of the command\.\n/, "");
  expect({ said: said.trim(), stdout, code }).toEqual({
    said: `lean-aggregator: ${text}`,
    stdout: "",
    code: 2,
  });
});

test("'version' prints what --version does", async () => {
  const { code, stdout } = await commandInProcess(["version"]);
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: (await commandInProcess(["--version"])).stdout,
  });
});
