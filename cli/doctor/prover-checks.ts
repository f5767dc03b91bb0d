/** `doctor`'s checks of what a prover process needs: the addon, the backend, the device's lock. */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync } from "node:fs";
import { loadAddon } from "../../native/addon.js";
import type { Addon } from "../../native/addon.js";
import { limits } from "../../server/limits.js";
import { readBackendFile } from "../../server/prover/backend-file.js";
import type { DeviceConfig } from "../../server/prover/device.js";
import { lockHolder } from "../../server/prover/device-lock.js";
import type { Finding } from "./finding.js";
import { fail, ok, warn } from "./finding.js";

/** A cold import of the wheel reads about 30 MB. */
const IMPORT_TIMEOUT_MS = 30_000;

export function checkAddon(load: () => unknown = loadAddon): Finding {
  try {
    load();
    return ok("loads");
  } catch (error) {
    return fail(textOf(error));
  }
}

/** The backend's files are there, and its Python imports the prover. */
export function checkBackend(rootPath: string): Finding {
  try {
    const { library, config } = readBackendFile(rootPath);
    const lines = config.trim().split("\n");
    const paths = [library, ...lines.map((line) => line.slice(line.indexOf("=") + 1))];
    const missing = paths.filter((path) => !existsSync(path));
    if (missing.length > 0) return fail(`${missing.join(", ")} missing: run 'make setup'`);
    const python = lines.find((line) => line.startsWith("python="))?.slice("python=".length) ?? "";
    const script = "import sys, py_lean_pq; print(sys.version.split()[0])";
    const ran = spawnSync(python, ["-I", "-c", script], {
      encoding: "utf8",
      timeout: IMPORT_TIMEOUT_MS,
    });
    if (ran.status === 0) return ok(`Python ${ran.stdout.trim()} imports py_lean_pq`);
    const why = ran.error?.message ?? (ran.stderr.trim().split("\n").at(-1) || "no message");
    return fail(`${python} cannot import py_lean_pq (${why}): run 'make clean setup'`);
  } catch (error) {
    return fail(textOf(error));
  }
}

/** Free, or who holds it: a running service is no fault, but a second one would be refused. */
export function checkDeviceLock(
  lockPath: string,
  load: () => Pick<Addon, "lockFile"> = loadAddon,
): Finding {
  try {
    const descriptor = load().lockFile(lockPath);
    if (descriptor >= 0) {
      closeSync(descriptor);
      return ok(`${lockPath} is free`);
    }
    const holder = lockHolder(lockPath);
    return warn(`the service with pid ${holder} holds ${lockPath}: stop it to start another`);
  } catch (error) {
    return fail(textOf(error));
  }
}

export interface ConfinementFacts {
  platform: NodeJS.Platform;
  /** The service's user; undefined where there are none. */
  uid: number | undefined;
  devices: readonly { id: string; user?: DeviceConfig["user"] }[];
}

/** What provers are kept from, and whose rights they have. */
export function checkConfinement({ platform, uid, devices }: ConfinementFacts): Finding {
  const always = `no core dump, ${limits.proverFilesMax} descriptors, bounded files`;
  const onLinux = "no new privileges, no inspection of the service";
  const text = platform === "linux" ? `${always}, ${onLinux}` : `${always}; no more here`;
  const own = devices.filter(({ user }) => user !== undefined).map(({ id }) => id);
  if (own.length > 0 && uid !== 0) {
    return fail(`${own.join(", ")} has a user of its own: only root can give one`);
  }
  const asRoot = uid === 0 ? devices.filter(({ user = { uid: 0 } }) => user.uid === 0) : [];
  if (asRoot.length === 0) return ok(text);
  const ids = asRoot.map(({ id }) => id).join(", ");
  return warn(`${text}; ${ids} would prove as root: give it a "user", or run as another`);
}

/** Who vouches for a proof: `standbys` a device, as configured or as memory allows. */
export function checkVerification(standbys: 0 | 1): Finding {
  if (standbys === 1) return ok("a standby verifies what the other process proved");
  return warn("no standby, by its setting or for want of memory: a prover verifies its own proofs");
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
