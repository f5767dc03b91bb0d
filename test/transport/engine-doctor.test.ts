/** What `doctor` says of an engine: its servers, permissions and certificates. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { checkEngine } from "../../cli/doctor/engine-checks.js";
import { parseConfig } from "../../server/config/config.js";
import { startNats } from "../../tools/harness/processes/nats.js";
import type { Nats, NatsOptions } from "../../tools/harness/processes/nats.js";
import { commandInProcess } from "../helpers/command-line.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { Authority } from "../../tools/harness/processes/authority.js";
import { filesOf } from "./certificates.js";
import { userFiles } from "./engine-clients.js";

const door = { role: "door", id: "door-0", isNeeded: false } as const;
const host = { role: "host", id: "host-0", isNeeded: true } as const;
const authority = new Authority("engine");
let servers: Nats[] = [];
afterEach(async () => {
  await Promise.all(servers.map((each) => each.close()));
  servers = [];
});

async function start(options: NatsOptions): Promise<string> {
  const nats = await startNats(options);
  servers.push(nats);
  return nats.urls[0] ?? "";
}

/** Its findings, each as its level and text. */
async function findings(
  settings: Record<string, string>,
  role: Parameters<typeof checkEngine>[1] = door,
): Promise<string[]> {
  const found = await checkEngine(parseConfig(settings), role, Date.now());
  return found.map(([name, { level, text }]) => `${name} ${level} ${text}`);
}

test("a server that allows everything is fine, one that is missing is a warning", async () => {
  const url = await start({});
  const lines = await findings({ engine: `${url},nats://localhost:1` });
  expect(lines).toEqual([
    expect.stringMatching(
      /^engine ok nats:\/\/localhost:\d+ is nats-0, nats-server 2[\d.]+, round trip \d+\.\d ms; it allows what a door needs$/,
    ),
    "engine warn nats://localhost:1 cannot be used: " +
      "nothing listens there: start the server, or name another one",
  ]);
});

test("no server at all is a failure where nothing else proves", async () => {
  const settings = { engine: "nats://localhost:1" };
  expect(await findings(settings, door)).toEqual([expect.stringMatching(/^engine warn /)]);
  expect(await findings(settings, host)).toEqual([expect.stringMatching(/^engine fail /)]);
});

test("a door without devices is not asked for what provers need", async () => {
  const flags = ["--devices", "none", "--engine", await start({}), "--runtime-dir", "/dev/null/a"];
  const folder = temporaryFolder();
  const listeners = ["listen", "admin"].flatMap((of) => [`--${of}`, `unix:${join(folder, of)}`]);
  const others = [...listeners, "--probes", "off", "--state-dir", join(folder, "state")];
  const { code, stdout } = await commandInProcess(["doctor", ...flags, ...others]);
  expect(code, stdout).toBe(0);
  expect(stdout).toMatch(/^ok +state folder /m);
  expect(stdout).not.toMatch(/runtime folder|confinement|verification|standby|threads/);
});

test("a server that takes only small messages cannot be used, and its setting is named", async () => {
  const url = await start({ config: "max_payload: 524288" });
  expect(await findings({ engine: url })).toEqual([
    `engine warn ${url} cannot be used: the server takes 524288 bytes a message: ` +
      "set its max_payload to 1048576",
  ]);
});

test("permissions that a role lacks are named with what to do", async () => {
  const include = join(temporaryFolder(), "permissions.conf");
  writeFileSync(include, readFileSync("deploy/nats/permissions.conf", "utf8"));
  const { certificate, key } = authority.issue();
  const tls = filesOf({ ca: authority.certificate, certificate, key });
  const url = await start({ tls, include });
  const as = (user: string) => {
    const files = userFiles(authority, user);
    const { ca: engineCa, certificate: engineCertificate, key: engineKey } = files;
    return { engine: url, engineCa, engineCertificate, engineKey };
  };
  const [renew, allowed] = await findings(as("door-0"));
  expect(renew).toMatch(/^engine warn certificates for it are valid until .*: renew them$/);
  expect(allowed).toMatch(/it allows what a door needs; its certificate is valid until .*: renew/);
  expect((await findings(as("host-0"), host))[1]).toContain("it allows what a host needs");
  const unnamed = (await findings(as("door-0"), { ...door, id: undefined }))[1];
  expect(unnamed).toContain("engine fail");
  expect(unnamed).toContain("set --service-id to the name in the certificate");
  expect(unnamed).toContain("publish to lean.main.host.doctor.doctor");
  const other = (await findings({ ...as("door-0"), engineCell: "other" }))[1];
  expect(other).toContain("subscribe to lean.other.hosts.*");
  expect(other).toContain("allow it for user door-0, as in deploy/nats/permissions.conf");
});
