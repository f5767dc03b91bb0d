/** What `make drill` does to a fleet: each scenario with its fault, and how that is repaired. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Random } from "../sim/random.js";
import { Authority } from "../harness/processes/authority.js";
import type { Identity } from "../harness/processes/authority.js";
import type { Fleet, FleetMember, FleetOptions } from "../harness/processes/fleet-processes.js";
import { wholeNumberOf } from "../harness/whole-number.js";

const FAKE = ["--prover", "fake", "--fake-accepts", "any", "--fake-time", "300-500"];
const DAY_MS = 86_400_000;
const DISK_BYTES = 1024 * 1024;

/** A scenario on stage: what the fleet needs from the start, and the fault. */
export interface Stage {
  options: FleetOptions;
  strike(fleet: Fleet): Promise<void>;
  repair(fleet: Fleet): Promise<void>;
  /** Whether every second node names the doors in the other order, so that both are in use. */
  areDoorsShared?: boolean;
  /** Removes what was prepared, before it returns: it is called at an exit too. */
  clear(): Promise<void>;
}

export interface Scenario {
  name: string;
  /** What happens, for people. */
  story: string;
  /** Why it cannot be run on this machine; undefined: it can. */
  whyNot?(): string | undefined;
  prepare(): Promise<Stage>;
}

const plain = (fault: Pick<Stage, "strike" | "repair">): Stage => ({
  options: { hostFlags: FAKE },
  ...fault,
  clear: () => Promise.resolve(),
});

const killAll = async (members: readonly FleetMember[]) => {
  await Promise.all(members.map(({ process }) => process.kill()));
};
const restartAll = (members: readonly FleetMember[]) => {
  for (const member of members) member.restart();
  return Promise.resolve();
};

const allHosts: Scenario = {
  name: "hosts-gone",
  story: "every lane host is killed; later all start again",
  prepare: () =>
    Promise.resolve(
      plain({ strike: ({ hosts }) => killAll(hosts), repair: ({ hosts }) => restartAll(hosts) }),
    ),
};

const allDoors: Scenario = {
  name: "doors-gone",
  story: "every door is killed; later all start again",
  prepare: () =>
    Promise.resolve(
      plain({ strike: ({ doors }) => killAll(doors), repair: ({ doors }) => restartAll(doors) }),
    ),
};

const servers = [0, 1, 2] as const;
const killServers = async ({ nats }: Fleet) => {
  for (const at of servers) await nats.kill(at);
};
const startServers = async ({ nats }: Fleet) => {
  for (const at of servers) await nats.start(at);
};

const engine: Scenario = {
  name: "engine-gone",
  story: "every nats-server is killed; later all start again",
  prepare: () => {
    const stage = plain({ strike: killServers, repair: startServers });
    return Promise.resolve({ ...stage, options: { ...stage.options, nats: { servers: 3 } } });
  },
};

const upgrade: Scenario = {
  name: "upgrade",
  story: "nats-servers, doors and hosts are ended in order and started again, one by one",
  prepare: () =>
    Promise.resolve({
      // So many that the others have room for the work of the one that is ended.
      options: { hostFlags: FAKE, hosts: 3, nats: { servers: 3 } },
      areDoorsShared: true,
      strike: async (fleet: Fleet) => {
        for (const at of servers) {
          await fleet.nats.lameDuck(at);
          await fleet.nats.start(at);
        }
        for (const member of [...fleet.doors, ...fleet.hosts]) {
          await member.process.stop();
          member.restart();
          await fleet.ready();
        }
      },
      repair: () => Promise.resolve(),
      clear: () => Promise.resolve(),
    }),
};

/** Each part stands still in turns, by chance: so many, for 0.5 to 5 s each. */
const FREEZES = 24;
const FREEZE_MS = { min: 500, max: 5000 };

const freezes: Scenario = {
  name: "freezes",
  story: "for two minutes doors, hosts and nats-servers stand still in turns, for 0.5 to 5 s each",
  prepare: () =>
    Promise.resolve({
      options: { hostFlags: FAKE, nats: { servers: 3 } },
      strike: async (fleet: Fleet) => {
        const random = new Random(wholeNumberOf(process.env, "SEED", 1, 0));
        const parts = [
          ...[...fleet.doors, ...fleet.hosts].map((member) => (isFrozen: boolean) => {
            member.process.signal(isFrozen ? "SIGSTOP" : "SIGCONT");
          }),
          ...servers.map((at) => (isFrozen: boolean) => {
            if (isFrozen) fleet.nats.freeze(at);
            else fleet.nats.thaw(at);
          }),
        ];
        for (let nth = 0; nth < FREEZES; nth++) {
          const set = random.pick(parts);
          set(true);
          await pause(random.between(FREEZE_MS.min, FREEZE_MS.max));
          set(false);
          await pause(random.between(0, FREEZE_MS.max));
        }
      },
      repair: () => Promise.resolve(),
      clear: () => Promise.resolve(),
    }),
};

/** Files of an identity, which `write` replaces. */
function identityFiles(folder: string, name: string) {
  const files = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  const write = ({ certificate, key }: Identity) => {
    writeFileSync(files.certificate, certificate);
    writeFileSync(files.key, key, { mode: 0o600 });
  };
  return { ...files, write };
}

const certificate: Scenario = {
  name: "certificate-expired",
  story: "the hosts' certificate expires, and the engine is restarted; later it is renewed",
  prepare: () => {
    const folder = mkdtempSync(join(tmpdir(), "lean-drill-"));
    const authority = new Authority("drill");
    const ca = join(folder, "ca.crt");
    writeFileSync(ca, authority.certificate);
    const server = identityFiles(folder, "engine");
    server.write(authority.issue());
    const [door, host] = ["door", "host"].map((name) => identityFiles(folder, name));
    if (door === undefined || host === undefined) throw new Error("no identities");
    door.write(authority.issue({ commonName: "door" }));
    const fresh = () => host.write(authority.issue({ commonName: "host" }));
    fresh();
    const flags = ({ certificate: file, key }: { certificate: string; key: string }) => [
      ...["--engine-ca", ca, "--engine-certificate", file, "--engine-key", key],
    ];
    const tls = { ca, certificate: server.certificate, key: server.key };
    return Promise.resolve({
      options: {
        nats: { servers: 3, tls },
        doorFlags: flags(door),
        hostFlags: [...FAKE, ...flags(host)],
      },
      strike: async (fleet: Fleet) => {
        const past = { notBeforeMs: Date.now() - 2 * DAY_MS, notAfterMs: Date.now() - DAY_MS };
        host.write(authority.issue({ commonName: "host", ...past }));
        await killServers(fleet);
        await startServers(fleet);
      },
      repair: () => Promise.resolve(fresh()),
      clear: () => Promise.resolve(rmSync(folder, { recursive: true, force: true })),
    });
  },
};

const clockJump: Scenario = {
  name: "clock-jump",
  story: "the wall clocks of a door and a host jump ahead by 2 s, and later back",
  whyNot: () => (process.platform === "linux" ? undefined : "needs Linux"),
  prepare: () => {
    const folder = mkdtempSync(join(tmpdir(), "lean-drill-"));
    const [library, file] = [join(folder, "wall-clock.so"), join(folder, "ahead")];
    const compile = ["-shared", "-fPIC", "-O1", "-o", library, "tools/fleet/wall-clock.c", "-ldl"];
    execFileSync(process.env.CC ?? "cc", compile);
    const set = (seconds: number) => Promise.resolve(writeFileSync(file, String(seconds)));
    writeFileSync(file, "0");
    return Promise.resolve({
      options: { hostFlags: FAKE, env: { LD_PRELOAD: library, WALL_CLOCK_FILE: file } },
      strike: () => set(2),
      repair: () => set(0),
      clear: () => Promise.resolve(rmSync(folder, { recursive: true, force: true })),
    });
  },
};

const fullDisk: Scenario = {
  name: "disk-full",
  story: "the disk with every folder of the doors and hosts is full; later there is room again",
  whyNot: () => {
    const isRoot = process.platform === "linux" && process.getuid?.() === 0;
    return isRoot ? undefined : "needs root on Linux, to mount a small disk";
  },
  prepare: () => {
    const folder = mkdtempSync(join(tmpdir(), "lean-drill-"));
    const disk = join(folder, "disk");
    const filler = join(disk, "filler");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", disk]);
    return Promise.resolve({
      options: { hostFlags: FAKE, folder: disk },
      strike: () => {
        const { bavail, bsize } = statfsSync(disk);
        writeFileSync(filler, new Uint8Array(bavail * bsize));
        return Promise.resolve();
      },
      repair: () => Promise.resolve(rmSync(filler)),
      clear: () => {
        execFileSync("umount", ["-l", disk]); // a process that was just killed may have files there
        rmSync(folder, { recursive: true, force: true });
        return Promise.resolve();
      },
    });
  },
};

export const scenarios: readonly Scenario[] = [
  allHosts,
  allDoors,
  engine,
  upgrade,
  freezes,
  certificate,
  clockJump,
  fullDisk,
];
