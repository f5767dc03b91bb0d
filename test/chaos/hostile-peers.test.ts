/**
 * Lane hosts and doors that lie, flood and act for others, with certificates of their own at a real
 * server with deploy/nats/permissions.conf, beside a fleet that a node uses. What SECURITY.md promises
 * of them: the node's proofs come in time, the processes stay small, and a log line names the culprit.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { subjects } from "../../server/fleet/wire/subjects.js";
import type { RemoteResult, SharedReport } from "../../server/fleet/wire/messages.js";
import { blobOf } from "../../server/fleet/wire/blobs.js";
import { madeUp } from "../../tools/fleet/snapshots.js";
import { VotesNode } from "../../tools/fleet/votes-node.js";
import type { SlotAccount } from "../../tools/fleet/votes-node.js";
import { Authority } from "../../tools/harness/processes/authority.js";
import { Fleet } from "../../tools/harness/processes/fleet-processes.js";
import { cpuMsOf, residentOf } from "../../tools/harness/processes/processes.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { filesOf } from "../transport/certificates.js";
import type { Client } from "../transport/engine-clients.js";
import { openClient, userFiles } from "../transport/engine-clients.js";
import { until } from "./chaos-service.js";
import { HostileDoor, HostileHost } from "./hostile-peer.js";

const GROUPS = 2;
const VOTES = 4;
const PROOF_MS = 250;
/**
 * A proof beside an attack may come so much later than without: a second for a host that ignores what
 * it is assigned and half a second to see it, one for a verifier that gives no answer, a turn more.
 */
const DELAY_MS_MAX = 3000;
/** So that a slot is skipped only when its predecessor took longer than that. */
const SLOT_MS = PROOF_MS + DELAY_MS_MAX;
const GROWTH_BYTES_MAX = 64 * 1024 * 1024;
const LINES_MAX = 40;
const CPU_SHARE_MAX = 0.8;

const names = subjects("main");
const authority = new Authority("fleet");
const clients: Client[] = [];
const log = new Map<string, string[]>();
let fleet: Fleet;
let node: VotesNode;
let door: HostileDoor;
let report: SharedReport;

/** A client of the engine with the certificate of this user. */
async function clientOf(user: string, role: "door" | "host"): Promise<Client> {
  const tls = userFiles(authority, user);
  const inboxPrefix = names.inbox(role, user);
  const client = await openClient({ servers: fleet.nats.urls, inboxPrefix, tls });
  clients.push(client);
  await client.until(({ isUp }) => isUp);
  return client;
}

async function hostileHost(id: string): Promise<HostileHost> {
  const host = new HostileHost((await clientOf(id, "host")).engine, id, report);
  joined.push(host);
  return host;
}
const joined: HostileHost[] = [];
afterEach(() => joined.splice(0).forEach((host) => host.leave()));

/** The permissions with an entry for each of these. */
function permissionsOf(doors: readonly string[], hosts: readonly string[]): string {
  const text = readFileSync("deploy/nats/permissions.conf", "utf8");
  const [head = "", doorEntry = "", hostEntry = "", tail = ""] =
    /^([\s\S]*users: \[\n)( {4}\{\n[\s\S]*?\n {4}\}\n)( {4}\{\n[\s\S]*?\n {4}\}\n)([\s\S]*)$/
      .exec(text)
      ?.slice(1) ?? [];
  const entries = [
    ...doors.map((id) => doorEntry.replaceAll("door-0", id)),
    ...hosts.map((id) => hostEntry.replaceAll("host-0", id)),
  ];
  return [head, ...entries, tail].join("");
}

// A wait that fails says so before the suite is ended.
vi.setConfig({ testTimeout: 40_000 });

beforeAll(async () => {
  const include = join(temporaryFolder(), "permissions.conf");
  const hosts = ["host-0", "host-1", ...["liar", "dropper", "flooder", "thief"]];
  writeFileSync(include, permissionsOf(["door-0", "bad-door"], hosts));
  const tls = filesOf({ ca: authority.certificate, ...authority.issue() });
  fleet = await Fleet.start({
    nats: { tls, include },
    doors: 1,
    hostFlags: ["--prover", "fake", "--fake-accepts", "any", "--fake-time", String(PROOF_MS)],
    flagsOf: (id) => {
      const { ca, certificate, key } = userFiles(authority, id);
      return ["--engine-ca", ca, "--engine-certificate", certificate, "--engine-key", key];
    },
    onLine: (name, line) => void log.set(name, [...(log.get(name) ?? []), line]),
  });
  await fleet.ready();
  node = new VotesNode({
    ...{ id: "node", doors: await fleet.addresses(), slotMs: SLOT_MS, votesOfGroup: VOTES },
    ...{ deadlineMs: 2000, fenceMs: 6000 },
    snapshot: (slot) => madeUp(0, slot, GROUPS, VOTES),
  });
  door = new HostileDoor((await clientOf("bad-door", "door")).engine, "bad-door");
  report = await until(() => door.hosts.get("host-0")?.report);
  node.start();
  await until(() => (node.accounts.at(-1)?.lastProofMs ?? 0) > 0);
});
afterAll(async () => {
  await node.stop();
  await Promise.all(clients.map(({ engine }) => engine.close()));
  await fleet.close();
});

/** Attacks each 10 ms for some slots; expects that the node and the processes hardly notice. */
async function expectUnharmed(attack: () => void, slots = 2): Promise<void> {
  const processes = [...fleet.doors, ...fleet.hosts];
  const measure = () =>
    processes.map(({ id, process: { pid } }) => {
      return { id, bytes: residentOf(pid).now, cpuMs: cpuMsOf(pid), lines: lines(id).length };
    });
  const [before, from, startMs] = [measure(), node.accounts.length, performance.now()];
  const timer = setInterval(attack, 10);
  await until(() => node.accounts.length > from + slots);
  clearInterval(timer);
  const tookMs = performance.now() - startMs;
  const struck = node.accounts.slice(from, from + slots);
  const isOver = ({ proved, otherwise, votes, skipped }: SlotAccount) =>
    skipped !== undefined || proved + VOTES * otherwise.length >= votes;
  await until(() => struck.every(isOver));
  for (const { otherwise, skipped, lastProofMs } of struck) {
    expect({ otherwise, skipped }).toEqual({ otherwise: [], skipped: undefined });
    expect(lastProofMs).toBeLessThan(PROOF_MS + DELAY_MS_MAX);
  }
  for (const [at, { id, bytes, cpuMs, lines: count }] of measure().entries()) {
    const earlier = before[at];
    if (earlier === undefined) continue;
    expect(bytes - earlier.bytes, `memory of ${id}`).toBeLessThan(GROWTH_BYTES_MAX);
    expect((cpuMs - earlier.cpuMs) / tookMs, `CPU of ${id}`).toBeLessThan(CPU_SHARE_MAX);
    expect(count - earlier.lines, `log of ${id}`).toBeLessThan(LINES_MAX);
  }
}

const lines = (id: string) => log.get(id) ?? [];
const named = (id: string, ...words: readonly string[]) =>
  until(() => lines(id).some((line) => words.every((word) => line.includes(word))));

const proofOfNothing: RemoteResult = {
  ...{ kind: "proved", proveMs: 1, leftOut: [] },
  proof: blobOf(new Uint8Array(200).fill(9)),
};

describe("a lane host", () => {
  test("that sends false proofs at once is left out after three, by name", async () => {
    const liar = await hostileHost("liar");
    liar.onAssign = (to, { run: doorRun, device, attempt }) => {
      liar.tell(to, { kind: "ended", doorRun, device, attempt, result: proofOfNothing });
      liar.nextLease();
    };
    liar.join();
    await named("door-0", "lane host is left out", "liar", "3 of its proofs or verdicts");
    expect(liar.assigned).toHaveLength(3);
    await expectUnharmed(() => liar.announce());
    expect(liar.assigned).toHaveLength(3);
  });

  test("that drops what it is given, in new leases and with a clock that jumps, delays nobody", async () => {
    const dropper = await hostileHost("dropper");
    dropper.onAssign = () => dropper.nextLease();
    dropper.join();
    await until(() => dropper.assigned.length > 0);
    await expectUnharmed(() => undefined, 3);
    await named("door-0", "lane host breaks the rules", "dropper", "without a result");
    dropper.nowMs = () => performance.now() + Math.sin(performance.now()) * 1e6;
    await expectUnharmed(() => undefined);
  });

  test("that floods, sends garbage, huge messages and results of attempts that it was not given", async () => {
    const flooder = await hostileHost("flooder");
    const [{ id: to = "" } = {}] = fleet.doors;
    const huge = new Uint8Array(900_000);
    let turn = 0;
    flooder.join();
    await expectUnharmed(() => {
      for (let nth = 0; nth < 50; nth++) flooder.announce({}, `d${turn++ % 1000}`);
      flooder.tell(to, {
        ...{ kind: "ended", doorRun: doorRun(), device: "cpu", attempt: turn },
        result: proofOfNothing,
      });
      if (turn % 500 === 0) flooder.engine.publish(names.fromHost("flooder"), huge);
      if (turn % 500 === 0) flooder.engine.publish(names.toDoor(to, "flooder"), huge);
    });
    await named("door-0", "lane host breaks the rules", "flooder");
  });

  test("cannot act for another: the engine refuses, and its own log says so", async () => {
    const client = await clientOf("thief", "host");
    const thief = new HostileHost(client.engine, "thief", report);
    await expectUnharmed(() => {
      thief.publish({ kind: "bye", run: door.hosts.get("host-0")?.run ?? "" }, "host-0");
      const ended = { kind: "ended", doorRun: doorRun(), device: "cpu", attempt: 1 } as const;
      thief.tell("door-0", { ...ended, result: proofOfNothing }, "host-0");
    });
    const refused = client.warnings.map(({ fields }) => fields["subject"]);
    expect(refused).toContain(names.fromHost("host-0"));
    expect(refused).toContain(names.toDoor("door-0", "host-0"));
    const gone = (line: string) => line.includes("host is gone") && line.includes("host-0");
    expect(lines("door-0").filter(gone)).toEqual([]);
  });
});

describe("a door", () => {
  test("that floods a lane host with assignments of bytes that it never has loses its share, not others theirs", async () => {
    const absent = { sha256: "ab".repeat(32), size: 10_000_000, inline: undefined };
    let attempt = 0;
    await expectUnharmed(() => {
      for (let nth = 0; nth < 50; nth++) {
        attempt++;
        door.send("host-1", assignOf(attempt, 1e6 + attempt, absent));
        door.send("host-1", { kind: "fetch", sha256: absent.sha256, offset: 0 });
      }
    });
    await named("host-1", "a service sends too many messages", "bad-door");
  });

  test("that takes each lease of a lane for bytes that it never has blocks that lane alone", async () => {
    const absent = { sha256: "cd".repeat(32), size: 10_000_000, inline: undefined };
    let attempt = 1e6;
    await expectUnharmed(() => {
      const lease = door.hosts.get("host-1")?.report?.lease ?? 0;
      door.send("host-1", assignOf(++attempt, lease, absent));
    }, 3);
    await named("host-1", "work was not fetched", "bad-door");
  });

  test("cannot act for another", async () => {
    const client = await clientOf("bad-door", "door");
    const bad = new HostileDoor(client.engine, "bad-door");
    await until(() => bad.hosts.get("host-0")?.report);
    await expectUnharmed(() => {
      const kill = { kind: "kill", device: "cpu", lease: 1, attempt: 1, reason: "fence" } as const;
      bad.send("host-0", kill, "door-0");
    });
    const refused = client.warnings.map(({ fields }) => fields["subject"]);
    expect(refused).toContain(names.toHost("host-0", "door-0"));
  });
});

test.each([
  ["without a certificate", () => ({ ca: caFile() }), "the server wants a certificate"],
  [
    "with an expired certificate",
    () => userFiles(authority, "host-0", { notAfterMs: Date.now() - 1000 }),
    "the certificate has expired",
  ],
  [
    "with a certificate of another authority",
    () => ({ ...userFiles(new Authority("other"), "host-0"), ca: caFile() }),
    "refused|does not know|ended the connection",
  ],
])("a stranger %s gets in nowhere, and learns why", async (_, filesFor, why) => {
  const client = await openClient({ servers: fleet.nats.urls, tls: filesFor() });
  clients.push(client);
  const { detail } = await client.until((status) => status.detail.startsWith("not"));
  expect(detail).toMatch(new RegExp(why));
});

const caFile = () => filesOf({ ca: authority.certificate }).ca;

/** The run of the fleet's door, as its log names it. */
function doorRun(): string {
  const heard = lines("door-0").find((line) => line.includes("lane hosts are heard"));
  return /"run":"([0-9a-f]{16})"/.exec(heard ?? "")?.[1] ?? "0".repeat(16);
}

function assignOf(attempt: number, lease: number, work: ReturnType<typeof blobOf>) {
  const instants = { deadlineAtMs: 1e12, fenceAtMs: 1e12 };
  const flags = { isFirstOfSession: true, isExploration: false, isRetry: false, mayShed: false };
  const assignment = {
    ...{ work, digest: "ef".repeat(32), minInputs: 1, rotation: 0, steps: [] },
    ...instants,
    ...flags,
  };
  return { kind: "assign", device: "cpu", lease, attempt, assignment } as const;
}
