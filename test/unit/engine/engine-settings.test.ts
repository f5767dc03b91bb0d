/** The settings of the engine: what they may be, and what the user reads about the others. */
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../../server/config/config.js";
import { ConfigError } from "../../../server/config/config-error.js";
import { checkEngineFiles } from "../../../server/engine/engine-files.js";
import { Authority } from "../../../tools/harness/processes/authority.js";
import { filesOf } from "../../transport/certificates.js";

function problemsOf(settings: Record<string, unknown>): string[] {
  try {
    parseConfig(settings);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split("\n");
  }
}

test("there is no engine unless one is named, and its cell is main", () => {
  expect(parseConfig()).toMatchObject({ engine: [], engineCell: "main" });
});

test.each([
  ["nats://localhost", ["nats://localhost:4222"]],
  ["NATS://127.0.0.1:1/, tls://[::1]", ["nats://127.0.0.1:1", "tls://[::1]:4222"]],
  [["tls://localhost:5"], ["tls://localhost:5"]],
])("servers %j are read as %j", (given, engine) => {
  expect(parseConfig({ engine: given }).engine).toEqual(engine);
});

describe("a server that is refused", () => {
  const expected = "expected 1 to 16 servers of NATS, such as tls://nats-0.example:4222";
  const plain = "other machines can read and change what is sent there in plain text";
  test.each([
    ["", "a server is empty: remove a comma, or name one"],
    ["nats://localhost,", "a server is empty: remove a comma, or name one"],
    ["localhost:4222", "has no scheme: put tls:// or nats:// before it"],
    ["http://localhost:4222", "http:// is not the scheme of a server of NATS: write tls://"],
    ["nats://", expected],
    ["nats://localhost:4222/path", expected],
    ["nats://localhost:0", expected],
    ["nats://local host", "expected a host name"],
    ["nats://localhost:99999", "expected a port from 0 to 65535"],
    ["nats://user:secret@localhost", "a user or password is not taken"],
    ["nats://user:pa/secret@localhost", "a user or password is not taken"],
    [Array.from({ length: 17 }, () => "nats://localhost"), expected],
    ["nats://nats.example", plain],
    ["tls://nats.example,nats://10.0.0.1", plain],
    ["tls://nats.example", "engineCertificate is not given: other machines can reach the servers"],
  ])("%j: %s", (engine, text) => {
    const problems = problemsOf({ engine });
    expect(problems).toEqual([expect.stringContaining(text)]);
    expect(problems[0]).not.toContain("secret");
  });
});

test.each(['nats://me:a"secret,secret/:@localhost', ["nats://me:secret@localhost,secret@b"]])(
  "no part of a password in %j is shown",
  (engine) => {
    const problems = problemsOf({ engine });
    expect(problems.join(" ")).toContain("a user or password is not taken");
    expect(problems.join(" ")).not.toContain("secret");
  },
);

test("plain text to other machines has to be allowed", () => {
  const settings = { engine: "nats://nats.example", insecurePlaintextOnNetwork: true };
  expect(problemsOf(settings)).toEqual([]);
});

test.each([
  [{ engine: "tls://localhost", engineCertificate: "c" }, "engineKey is not given"],
  [{ engine: "tls://localhost", engineKey: "k" }, "engineCertificate is not given"],
  [{ engineCa: "ca" }, 'engineCa is "ca": is for servers with TLS'],
  [{ engine: "nats://localhost", engineCa: "ca" }, 'engineCa is "ca": is for servers with TLS'],
  [{ engine: "nats://localhost", engineCell: "a.b" }, "engineCell is"],
  [{ engineCell: "east" }, 'engineCell is "east": is for an engine'],
  [{ engine: "nats://localhost", serviceId: "a.b" }, 'serviceId is "a.b": names this door'],
])("%j: %s", (settings, text) => {
  expect(problemsOf(settings)).toEqual([expect.stringContaining(text)]);
});

describe("the engine's certificates", () => {
  const authority = new Authority("engine");
  const [one, other] = [authority.issue(), authority.issue()];
  const expired = authority.issue({ notAfterMs: Date.now() - 1000 });
  const files = filesOf({
    ca: authority.certificate,
    certificate: one.certificate,
    key: one.key,
    otherKey: other.key,
    expired: expired.certificate,
    expiredKey: expired.key,
    text: "no certificate",
  });
  const check = (settings: Record<string, string>, nowUnixMs?: number) => {
    const found = checkEngineFiles(
      parseConfig({ engine: "tls://localhost", ...settings }),
      nowUnixMs,
    );
    return found.problems.map(({ key, text }) => `${key} ${text}`);
  };

  test("of one pair are fine", () => {
    const { ca, certificate, key } = files;
    const settings = { engineCa: ca, engineCertificate: certificate, engineKey: key };
    expect(check(settings, Date.now())).toEqual([]);
  });

  test("of two pairs, missing or undecodable ones are named with what to do", () => {
    const { certificate, otherKey, text } = files;
    expect(check({ engineCertificate: certificate, engineKey: otherKey })).toEqual([
      `engineKey ${otherKey} is not the key of the certificate in {engineCertificate}: name a pair`,
    ]);
    expect(check({ engineCa: text })).toEqual([
      `engineCa ${text} is not a certificate in PEM (-----BEGIN CERTIFICATE-----): convert it`,
    ]);
    expect(check({ engineCa: "/nowhere/ca.pem" })).toEqual([
      "engineCa /nowhere/ca.pem cannot be read: the folder /nowhere does not exist; name a readable file",
    ]);
  });

  test("that have expired stop no start, and are named where dates are checked", () => {
    const settings = { engineCertificate: files.expired, engineKey: files.expiredKey };
    expect(check(settings)).toEqual([]);
    expect(check(settings, Date.now())).toEqual([expect.stringContaining("expired at")]);
  });
});
