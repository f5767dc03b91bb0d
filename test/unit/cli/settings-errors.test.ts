/** What the user reads for each wrong setting: under the name typed, with the value, and what to do. */
import { writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { exitCodes } from "../../../cli/io/command.js";
import type { SettingSources } from "../../../cli/run/settings-sources.js";
import { readSettings } from "../../../cli/run/settings.js";
import { freshPath } from "../../helpers/command-line.js";

/** The lines of the error, the first one apart; none when the settings are valid. */
function errorsOf(sources: Partial<SettingSources>): string[] {
  try {
    readSettings({ flags: {}, env: {}, file: undefined, ...sources });
    return [];
  } catch (error) {
    expect(error).toMatchObject({ name: "CommandError", exitCode: exitCodes.usage });
    const [head = "", ...lines] = (error as Error).message.split("\n  ");
    const count = lines.length === 1 ? "1 error" : `${lines.length} errors`;
    expect(head).toBe(`invalid settings: ${count}; see 'lean-aggregator serve --help'`);
    return lines;
  }
}

describe("flags", () => {
  test.each<[flags: Record<string, unknown>, ...errors: string[]]>([
    [
      { deadlineMs: "fast" },
      '--deadline-ms is "fast": expected whole milliseconds from 1 to 120000',
    ],
    [
      { deadlineMs: "130000" },
      '--deadline-ms is "130000": expected whole milliseconds from 1 to 120000',
    ],
    [{ fenceMs: "0" }, '--fence-ms is "0": expected whole milliseconds from 1 to 120000'],
    [{ fenceMs: "" }, '--fence-ms is "": expected whole milliseconds from 1 to 120000'],
    [{ drainMs: "1.5" }, '--drain-ms is "1.5": expected whole milliseconds from 1 to 60000'],
    [
      { proverMemoryMb: "12" },
      '--prover-memory-mb is "12": expected whole megabytes from 256 to 1000000',
    ],
    [{ listen: "here" }, '--listen is "here": expected host:port or unix:/path'],
    [
      { listen: "127.0.0.1:99999" },
      '--listen is "127.0.0.1:99999": expected a port from 0 to 65535',
    ],
    [{ listen: "127.0.0.1:1,nowhere" }, '--listen is "nowhere": expected host:port or unix:/path'],
    [
      { admin: "0.0.0.0:1" },
      '--admin is "0.0.0.0:1": expected a loopback host:port, unix:/path or "off"',
    ],
    [{ probes: "on" }, '--probes is "on": expected host:port, unix:/path or "off"'],
    [
      { listen: "0.0.0.0:1" },
      '--listen is "0.0.0.0:1": other machines can reach it in plain text: use a loopback address' +
        " or a Unix socket, or set --tls-certificate and --tls-key",
    ],
    [
      { tlsCertificate: "tls.crt" },
      "--tls-key is not given: name the private key of --tls-certificate",
    ],
    [{ tlsKey: "tls.key" }, "--tls-certificate is not given: name the certificate of --tls-key"],
    [
      { tlsClientCa: "ca.crt" },
      '--tls-client-ca is "ca.crt": needs TLS: set --tls-certificate and --tls-key',
    ],
    [
      { listen: "0.0.0.0:1", tlsCertificate: "tls.crt", tlsKey: "tls.key" },
      "--policy is not given: other machines can call: name a policy file that says who may do what",
    ],
    [{ policy: "" }, '--policy is "": expected the path of a file'],
    [
      { socketMode: "rw" },
      '--socket-mode is "rw": expected permission bits in octal, such as "0660"',
    ],
    [{ socketGroup: "" }, '--socket-group is "": expected the name or number of a group'],
    [{ runtimeDir: "locks" }, '--runtime-dir is "locks": expected the absolute path of a folder'],
    [{ stateDir: "" }, '--state-dir is "": expected the absolute path of a folder'],
    [{ prover: "real" }, '--prover is "real": expected lean_pq or fake'],
    [
      { fakeAccepts: "any" },
      '--fake-accepts is "any": only the fake prover takes it: set --prover to fake, or leave ' +
        "--fake-accepts out",
    ],
    [
      { prover: "lean_pq", fakeTime: "1", fakeFailures: "error:1" },
      '--fake-time is "1": only the fake prover takes it: set --prover to fake, or leave ' +
        "--fake-time out",
      '--fake-failures is "error:1": only the fake prover takes it: set --prover to fake, or ' +
        "leave --fake-failures out",
    ],
    [{ prover: "fake", fakeAccepts: "all" }, '--fake-accepts is "all": expected own or any'],
    [
      { prover: "fake", fakeSeed: "7" },
      '--fake-seed is "7": no time is random: set --fake-time to a range such as 100-900',
    ],
    ...["fast", "900-100", "100+4/key", "100-900-1000", "700000"].map(
      (fakeTime): [Record<string, unknown>, string] => [
        { prover: "fake", fakeTime },
        `--fake-time is "${fakeTime}": expected milliseconds such as 200, 100-900 (random) or ` +
          "100+4/raw+60/child (for each input), each at most 600000",
      ],
    ),
    ...["error", "error:0", "crash:3", "error:3,error:4"].map(
      (fakeFailures): [Record<string, unknown>, string] => [
        { prover: "fake", fakeFailures },
        `--fake-failures is "${fakeFailures}": expected failures such as error:10, which fails ` +
          "every 10th proof; a failure is error, death, hang or invalid, and is named once",
      ],
    ),
    [
      { devices: '[{"id": "a", "fake": {"revision": "r2"}}]' },
      '--devices is "[{\\"id\\": \\"a\\", \\"fake\\": {\\"revision\\": \\"r2\\"}}]": device a has "fake", ' +
        "which only the fake prover takes: set --prover to fake, or leave it out",
    ],
    [{ standby: "2" }, '--standby is "2": expected auto, 0 or 1'],
    [{ engineCell: "a" }, '--engine-cell is "a": is for an engine: name its servers in --engine'],
    [{ otlpRatio: "0.5" }, '--otlp-ratio is "0.5": is for a collector: name --otlp'],
    [
      { recordMb: "64", recordContent: "shapes" },
      '--record-mb is "64": is for a recording: name its folder in --record',
      '--record-content is "shapes": is for a recording: name its folder in --record',
    ],
    [{ logLevel: "loud" }, '--log-level is "loud": expected debug, info, warn, error or silent'],
    [
      { devices: "GPU 0" },
      '--devices[0].id is "GPU 0": expected a name of 1 to 32 characters of a-z, 0-9 and -',
    ],
    [
      { devices: "[{]" },
      '--devices is "[{]": the list is not JSON at line 1 column 3: quoted object key ' +
        "expected but got ']'",
    ],
    [
      { devices: '[{"id": "gpu", "backend": {"library": "/prover.so"}}]' },
      "--devices[0].backend.config is not given: expected the backend's configuration as text",
    ],
    [
      { devices: '[{"id": "gpu", "corez": "0-3"}]' },
      '--devices[0].corez is "0-3": there is no such setting',
    ],
    [
      { devices: '[{"id": "gpu", "cores": "0-x"}]' },
      '--devices[0].cores[0] is "0-x": expected core numbers from 0 to 1023, such as "0-3,6"',
    ],
    [
      { devices: '[{"id": "gpu", "nice": 20}]' },
      "--devices[0].nice is 20: expected a whole number from -20 to 19",
    ],
    [
      { devices: '[{"id": "gpu", "user": "root"}]' },
      '--devices[0].user is "root": expected numbers, such as "1000:1000"',
    ],
    [
      { devices: '[{"id": "a", "id": "b"}]' },
      '--devices is "[{\\"id\\": \\"a\\", \\"id\\": \\"b\\"}]": ' +
        "the list [0].id: is there twice, again at line 1 column 14",
    ],
    [{ devices: "a,a" }, '--devices is "a,a": two devices are named a: give each its own name'],
    [
      { devices: "a,b" },
      '--devices is "a,b": device a uses all cores: give each of several devices its own "cores"',
    ],
    [
      { fenceMs: "soon", logLevel: "loud" },
      '--fence-ms is "soon": expected whole milliseconds from 1 to 120000',
      '--log-level is "loud": expected debug, info, warn, error or silent',
    ],
  ])("%j", (flags, ...errors) => {
    expect(errorsOf({ flags })).toEqual(errors);
  });
});

describe("variables", () => {
  test.each<[env: Record<string, string>, ...errors: string[]]>([
    [
      { LEAN_AGGREGATOR_DEADLINE_MS: "soon" },
      'LEAN_AGGREGATOR_DEADLINE_MS is "soon": expected whole milliseconds from 1 to 120000',
    ],
    [
      { LEAN_AGGREGATOR_TLS_CERTIFICATE: "tls.crt" },
      "LEAN_AGGREGATOR_TLS_KEY is not given: name the private key of LEAN_AGGREGATOR_TLS_CERTIFICATE",
    ],
    [
      { LEAN_AGGREGATOR_INSECURE_PLAINTEXT_ON_NETWORK: "yes" },
      'LEAN_AGGREGATOR_INSECURE_PLAINTEXT_ON_NETWORK is "yes": expected true or false',
    ],
    [
      { LEAN_AGGREGATOR_DEVICES: "CPU" },
      'LEAN_AGGREGATOR_DEVICES[0].id is "CPU": expected a name of 1 to 32 characters of a-z, 0-9 and -',
    ],
    [
      { LEAN_AGGREGATOR_POLICI: "p.json", LEAN_AGGREGATOR_FENCE_MS: "soon" },
      'LEAN_AGGREGATOR_FENCE_MS is "soon": expected whole milliseconds from 1 to 120000',
      "LEAN_AGGREGATOR_POLICI is set: there is no such variable: did you mean LEAN_AGGREGATOR_POLICY?",
    ],
  ])("%j", (env, ...errors) => {
    expect(errorsOf({ env })).toEqual(errors);
  });
});

describe("the file", () => {
  test.each<[settings: Record<string, unknown>, ...errors: string[]]>([
    [{ lisen: "127.0.0.1:1" }, 'lisen is "127.0.0.1:1": there is no such setting'],
    [{ fenceMs: null }, "fenceMs is null: expected whole milliseconds from 1 to 120000"],
    [{ refreshPercent: null }, "refreshPercent is null: expected whole percent from 0 to 10"],
    [{ refreshPercent: false }, "refreshPercent is false: expected whole percent from 0 to 10"],
    [{ refreshPercent: [] }, "refreshPercent is []: expected whole percent from 0 to 10"],
    [{ refreshPercent: ["7"] }, 'refreshPercent is ["7"]: expected whole percent from 0 to 10'],
    [{ otlpRatio: " " }, 'otlpRatio is " ": expected a number from 0 to 1'],
    [{ otlpRatio: true }, "otlpRatio is true: expected a number from 0 to 1"],
    [
      { listen: 9190 },
      "listen is 9190: expected addresses, host:port or unix:/path, as a list or separated by commas",
    ],
    [{ listen: ["127.0.0.1:1", 5] }, "listen[1] is 5: expected host:port or unix:/path"],
    [{ policy: 7 }, "policy is 7: expected the path of a file"],
    [{ socketMode: 660 }, 'socketMode is 660: expected permission bits in octal, such as "0660"'],
    [
      { devices: [{ id: "a", threads: "all" }] },
      'devices[0].threads is "all": expected a whole number from 0 to 1024',
    ],
    [
      { devices: [{ id: "a", env: { "A-B": "1" } }] },
      'devices[0].env.A-B is "A-B": expected a variable name of A-Z, a-z, 0-9 and _',
    ],
    [{ devices: [5] }, "devices[0] is 5: expected an object"],
    [{ tlsCertificate: "c.pem" }, "tlsKey is not given: name the private key of tlsCertificate"],
  ])("%j", (settings, ...errors) => {
    const file = freshPath("settings.json");
    writeFileSync(file, JSON.stringify(settings));
    expect(errorsOf({ file })).toEqual(errors.map((error) => `${file}: ${error}`));
  });
});

test("a long value is cut", () => {
  const [error = ""] = errorsOf({ flags: { logLevel: "x".repeat(5000) } });
  expect(error).toMatch(/^--log-level is "x{99}…: expected debug/);
});
