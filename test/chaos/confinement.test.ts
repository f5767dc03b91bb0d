/**
 * What a prover process has of the service that started it, seen from outside in `/proc`: nothing
 * but its pipe, the device's lock and three variables, under limits that it cannot lift.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { FaultyBackend } from "../../tools/harness/chaos-backend.js";
import { Site } from "./chaos-service.js";
import type { ServiceProcess } from "../../tools/harness/processes/service-process.js";

const isRoot = process.getuid?.() === 0;
/** Any other user: it owns nothing here. */
const NOBODY = 65_534;
/** A folder above what runs here that other users may not enter, such as root's own. */
const privateFolder = [process.cwd(), process.execPath]
  .flatMap((path) => path.split("/").map((_, at, parts) => parts.slice(0, at).join("/") || "/"))
  .concat(process.cwd())
  .find((folder) => (statSync(folder).mode & 0o001) === 0);
const reason =
  privateFolder === undefined ? "" : ` (skipped: other users may not enter ${privateFolder})`;
const SECRETS = { API_TOKEN: "secret", NODE_OPTIONS: "--no-warnings", LD_BIND_NOW: "1" };

const read = (pid: number, file: string) => readFileSync(`/proc/${String(pid)}/${file}`, "utf8");
const variables = (pid: number) =>
  read(pid, "environ")
    .split("\0")
    .flatMap((line) => line.split("=", 1))
    .filter((name) => name !== "");

/** What each descriptor is open on. */
function descriptors(pid: number): Map<number, string> {
  const folder = `/proc/${String(pid)}/fd`;
  return new Map(readdirSync(folder).map((fd) => [Number(fd), readlinkSync(`${folder}/${fd}`)]));
}

/** The words of one row of `/proc/PID/status`, for every thread. */
function ofThreads(pid: number, row: string): string[] {
  const tasks = readdirSync(`/proc/${String(pid)}/task`);
  const found = new RegExp(`^${row}:[ \\t]*(.*)$`, "m");
  const values = tasks.map((task) => found.exec(read(pid, `task/${task}/status`))?.[1] ?? "");
  return [...new Set(values)];
}

let backend: FaultyBackend;
let site: Site;
let service: ServiceProcess;
beforeAll(() => {
  backend = new FaultyBackend();
  chmodSync(backend.options.config, 0o755);
});
afterEach(async () => {
  service.signal("SIGTERM");
  await service.exited;
  try {
    expect(await site.leftovers()).toEqual([]);
  } finally {
    site.dispose();
  }
});
afterAll(() => backend.dispose());

async function start(extra: Record<string, unknown> = {}, user = {}): Promise<void> {
  site = new Site(backend.options, extra);
  if ("uid" in user) chownSync(site.folder, NOBODY, NOBODY);
  service = site.spawn({ ...SECRETS, LEAN_AGGREGATOR_ADMIN: "127.0.0.1:0" }, user);
  await service.fullStrength();
}

const needsRoot = isRoot ? "" : " (skipped: needs root)";
describe.skipIf(!isRoot)(`seen by root, active prover and standby${needsRoot}`, () => {
  test("have three variables and the device's own", async () => {
    await start({ env: { CUDA_VISIBLE_DEVICES: "0" } });
    for (const pid of service.provers()) {
      const allowed = ["CUDA_VISIBLE_DEVICES", "HOME", "LANG", "PATH"];
      expect(allowed).toEqual(expect.arrayContaining(variables(pid)));
    }
    expect(variables(service.pid)).toContain("API_TOKEN");
  });

  test("share the lock with the service and no socket, pipe or file else", async () => {
    await start();
    const ofService = new Set(descriptors(service.pid).values());
    for (const pid of service.provers()) {
      const open = descriptors(pid);
      const kind = (fd: number) => open.get(fd)?.replace(/:.*/, "");
      expect([0, 1, 2, 3].map(kind)).toEqual(["/dev/null", "/dev/null", "socket", "socket"]);
      const lock = open.get(4);
      expect(lock).toMatch(/lean-aggregator-chaos-.*\.lock$/);
      const shared = [...open.values()].filter((what) => ofService.has(what));
      // What Node opens for itself is anonymous, and of the same name everywhere.
      const named = shared.filter((what) => what !== lock && what !== "/dev/null");
      expect(named.filter((what) => !what.startsWith("anon_inode:"))).toEqual([]);
      const sockets = [...open].filter(([, what]) => what.startsWith("socket:"));
      expect(sockets.map(([fd]) => fd)).toEqual([2, 3]);
    }
  });

  describe.skipIf(privateFolder !== undefined)(`with other users${reason}`, () => {
    test("run as the device's user where it has one, in no other group", async () => {
      await start({ user: `${String(NOBODY)}:${String(NOBODY)}` });
      const all = Array.from({ length: 4 }, () => NOBODY).join("\t");
      for (const pid of service.provers()) {
        expect(ofThreads(pid, "Uid")).toEqual([all]);
        expect(ofThreads(pid, "Gid")).toEqual([all]);
        expect(ofThreads(pid, "Groups")).toEqual([""]);
        expect(ofThreads(pid, "CapEff")).toEqual(["0000000000000000"]);
      }
    });

    test("could not look into a service of their own user", async () => {
      const nobody = { uid: NOBODY, gid: NOBODY };
      await start({}, nobody);
      const look = (file: string) =>
        spawnSync("cat", [`/proc/${String(service.pid)}/${file}`], { ...nobody, encoding: "utf8" });
      for (const file of ["environ", "maps", "fd/0"]) {
        expect(look(file).stderr).toContain("Permission denied");
      }
      expect(look("stat").status).toBe(0);
    });
  });
});

test.runIf(process.platform === "linux")(
  "active prover and standby have limits, gain no privileges and leave no core",
  async () => {
    await start({ fileMb: 1 });
    for (const pid of service.provers()) {
      const limits = read(pid, "limits");
      expect(limits).toMatch(/^Max core file size +0 +0 /m);
      expect(limits).toMatch(/^Max open files +256 +256 /m);
      expect(limits).toMatch(/^Max file size +1000000 +1000000 /m);
      expect(ofThreads(pid, "NoNewPrivs")).toEqual(["1"]);
      // Owned by root for every runner: so the kernel says that a process may not be inspected.
      expect(statSync(`/proc/${String(pid)}/environ`).uid).toBe(0);
    }
  },
);
