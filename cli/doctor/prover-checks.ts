/** `doctor`'s checks of what a prover process needs: addon, backend, rights, device lock. */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, lstatSync } from "node:fs";
import { dirname } from "node:path";
import { loadAddon } from "../../native/addon.js";
import type { Addon } from "../../native/addon.js";
import { setupCommand } from "../../native/setup-command.js";
import { limits } from "../../server/limits.js";
import { readBackendFile } from "../../server/prover/device/backend-file.js";
import type { DeviceConfig } from "../../server/prover/device/device.js";
import { lockHolder } from "../../server/prover/device/device-lock.js";
import { ownerText } from "../../server/files/file-reason.js";
import { RUNTIME_ADVICE } from "../run/folders.js";
import type { Finding } from "./finding.js";
import { fail, ok, warn } from "./finding.js";

/** In milliseconds. The first import of the wheel `py_lean_pq` reads about 30 MB from disk. */
const IMPORT_TIMEOUT_MS = 30_000;

export function checkAddon(load: () => unknown = loadAddon): Finding {
  try {
    load();
    return ok("loads");
  } catch (error) {
    return fail(textOf(error));
  }
}

/** Checks that the backend's files exist and that its Python imports the prover. */
export function checkBackend(rootPath: string): Finding {
  const setup = setupCommand(rootPath);
  try {
    const { library, config } = readBackendFile(rootPath);
    const lines = config.trim().split("\n");
    const paths = [library, ...lines.map((line) => line.slice(line.indexOf("=") + 1))];
    const missing = paths.filter((path) => !existsSync(path));
    if (missing.length > 0) return fail(`missing: ${missing.join(", ")}: run '${setup}'`);
    const python = lines.find((line) => line.startsWith("python="))?.slice("python=".length) ?? "";
    const script = "import sys, py_lean_pq; print(sys.version.split()[0])";
    // -B: a check writes no compiled files beside the sources.
    const ran = spawnSync(python, ["-I", "-B", "-c", script], {
      encoding: "utf8",
      timeout: IMPORT_TIMEOUT_MS,
    });
    if (ran.status === 0) return ok(`Python ${ran.stdout.trim()} imports py_lean_pq`);
    const why = ran.error?.message ?? (ran.stderr.trim().split("\n").at(-1) || "no message");
    return fail(
      `${python} cannot import py_lean_pq (${why}): remove ${dirname(dirname(python))}, then run '${setup}'`,
    );
  } catch (error) {
    return fail(textOf(error));
  }
}

/**
 * Only warns if the device is locked: the service that locked it may be the wanted one. Makes no
 * file: a device without a lock file is free.
 */
export function checkDeviceLock(
  lockPath: string,
  load: () => Pick<Addon, "lockFile"> = loadAddon,
): Finding {
  try {
    if (lstatSync(lockPath, { throwIfNoEntry: false }) === undefined)
      return ok(`${lockPath} is free`);
    const descriptor = load().lockFile(lockPath);
    if (descriptor >= 0) {
      closeSync(descriptor);
      return ok(`${lockPath} is free`);
    }
    const holder = lockHolder(lockPath);
    return warn(
      `the service with pid ${holder} holds ${lockPath}, so its library is not tried here: ` +
        "'lean-aggregator admin provers' says how it is; stop the service to start another",
    );
  } catch (error) {
    const owner = ownerText(lockPath);
    return fail(`${textOf(error)}${owner === undefined ? "" : `, ${owner}`}: ${RUNTIME_ADVICE}`);
  }
}

export interface ConfinementFacts {
  platform: NodeJS.Platform;
  /** The service's user id; undefined if this system has none. */
  uid: number | undefined;
  devices: readonly { id: string; user?: DeviceConfig["user"] }[];
}

/** Reports how provers are confined, and fails or warns about the user as which they run. */
export function checkConfinement({ platform, uid, devices }: ConfinementFacts): Finding {
  const always = `no core dump, ${limits.proverFilesMax} descriptors, bounded files`;
  const onLinux = "no new privileges, no inspection of the service";
  const text =
    platform === "linux" ? `${always}, ${onLinux}` : `${always}; nothing more on ${platform}`;
  const own = devices.filter(({ user }) => user !== undefined).map(({ id }) => id);
  if (own.length > 0 && uid !== 0) {
    return fail(
      `devices ${own.join(", ")} set "user", which only root can: remove it, or serve as root`,
    );
  }
  const asRoot = uid === 0 ? devices.filter(({ user = { uid: 0 } }) => user.uid === 0) : [];
  if (asRoot.length === 0) return ok(text);
  const ids = asRoot.map(({ id }) => id).join(", ");
  return warn(
    `${text}; devices ${ids} would prove as root: set their "user", or do not serve as root`,
  );
}

/**
 * @param wanted most bytes that a standby may hold by the settings; 0: no standby is kept
 * @param room bytes for which memory has room in a standby
 * @param setupBytes what a prover of each device holds after its setup, as far as one was set up
 */
export function checkVerification(
  wanted: number,
  room: number,
  setupBytes: readonly number[],
): Finding {
  const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  const largest = Math.max(1, ...setupBytes);
  const sizes = `a standby takes ${mb(largest)}, memory has room for ${mb(room)}`;
  if (largest < wanted && largest >= room) {
    return warn(
      `${sizes}, so the kernel may kill provers: add memory, lower --prover-memory-mb, ` +
        "or leave --standby at auto",
    );
  }
  if (largest < wanted) return ok("a standby process verifies what the other one proved");
  const todo = "so a prover verifies its own proofs: add memory";
  if (wanted > 0) return warn(`no standby: ${sizes}, ${todo}`);
  if (room < largest) return warn(`no standby: memory has no room for one, ${todo}`);
  return warn("no standby, so a prover verifies its own proofs: set --standby auto");
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
