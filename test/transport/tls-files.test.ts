/** What is said of certificate files that cannot be used. */
import { expect, test } from "vitest";
import { ConfigError } from "../../server/config/config-error.js";
import { checkTlsFiles, readTlsFiles } from "../../server/net/tls-files.js";
import type { TlsSettings } from "../../server/net/tls-files.js";
import { Authority } from "../../tools/harness/processes/authority.js";
import { filesOf } from "./certificates.js";

const DAY_MS = 86_400_000;
const authority = new Authority("fleet");
const good = authority.issue({ notAfterMs: Date.now() + 3 * DAY_MS });
const next = new Authority("next", { notAfterMs: Date.now() + 9 * DAY_MS });
const files = filesOf({
  both: authority.certificate + next.certificate,
  ca: authority.certificate,
  certificate: good.certificate,
  key: good.key,
  chain: good.certificate + authority.certificate,
  other: authority.issue().key,
  text: "hello",
  broken: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
  encrypted: "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
});
const settings = { tlsCertificate: files.certificate, tlsKey: files.key };

async function problemsOf(wrong: Partial<TlsSettings>, nowUnixMs = Date.now()) {
  try {
    checkTlsFiles(await readTlsFiles({ ...settings, ...wrong }), nowUnixMs);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

test("a pair, a chain, and a client authority are taken", async () => {
  expect(await problemsOf({})).toEqual([]);
  expect(await problemsOf({ tlsCertificate: files.chain, tlsClientCa: files.ca })).toEqual([]);
});

test.each([
  [
    "tlsCertificate",
    "/no/such.pem",
    "cannot be read: the folder /no does not exist; name a readable file",
  ],
  ["tlsCertificate", "/", "cannot be read: it is a folder; name a readable file"],
  ["tlsCertificate", files.text, "is not a certificate in PEM (-----BEGIN CERTIFICATE-----)"],
  ["tlsCertificate", files.broken, "has a certificate that cannot be decoded"],
  ["tlsKey", files.text, "is not a private key in PEM (-----BEGIN PRIVATE KEY-----)"],
  ["tlsKey", files.encrypted, "is encrypted: name a key without a passphrase"],
  ["tlsKey", files.other, "is not the key of the certificate in {tlsCertificate}"],
  ["tlsClientCa", files.certificate, "has a certificate that is not an authority's"],
  ["tlsClientCa", files.key, "is not a certificate in PEM"],
] as const)("%s %s: setting, file and fault are named", async (key, path, fault) => {
  const text = expect.stringContaining(`${path} ${fault}`);
  expect(await problemsOf({ [key]: path })).toEqual([{ key, text }]);
});

test("what is over, and what is still to come, is named with its time", async () => {
  const late = await problemsOf({}, Date.now() + 4 * DAY_MS);
  expect(late).toEqual([
    { key: "tlsCertificate", text: expect.stringMatching(/expired at .* GMT: renew it/) },
  ]);
  const early = await problemsOf({}, Date.now() - 2 * DAY_MS);
  expect(early).toEqual([
    { key: "tlsCertificate", text: expect.stringMatching(/not valid before .*clock/) },
  ]);
});

test("an authority that has expired hinders no other in its file", async () => {
  const inTwoDays = Date.now() + 2 * DAY_MS;
  const paths = { ...settings, tlsClientCa: files.both };
  const { expiresAtMs } = checkTlsFiles(await readTlsFiles(paths), inTwoDays);
  expect(expiresAtMs.clientCa).toBeGreaterThan(Date.now() + 8 * DAY_MS);
  expect(await problemsOf({ tlsClientCa: files.ca }, inTwoDays)).toEqual([
    { key: "tlsClientCa", text: expect.stringMatching(/expired at .* GMT: renew it/) },
  ]);
});

test("every problem is reported at once", async () => {
  const wrong = { tlsCertificate: "/no", tlsKey: files.text, tlsClientCa: files.text };
  expect((await problemsOf(wrong)).map(({ key }) => key)).toEqual(Object.keys(wrong));
});
