/**
 * `doctor`'s check of the library of each device: sets a prover up in a process of its own, as the
 * service does, and reports how the library describes itself, or why it cannot be used.
 */
import { existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { BackendName, BackendOptions } from "../../server/prover/device/backend-file.js";
import type { DeviceConfig } from "../../server/prover/device/device.js";
import { backendOf, proverOptions } from "../../server/prover/device/device.js";
import type { ForkedProverOptions } from "../../server/prover/forked-prover.js";
import { forkProver } from "../../server/prover/forked-prover.js";
import { proofSystemOf } from "../../server/work/prover-description.js";
import { offeredRates } from "../../server/work/prover-description.js";
import type { ProverDescription } from "../../server/work/prover-description.js";
import type { Terminal } from "../io/command.js";
import { Progress } from "../io/progress.js";
import type { Finding } from "./finding.js";
import { fail, ok } from "./finding.js";

/** A library that could be set up. */
export interface LoadedLibrary {
  description: ProverDescription;
  /** Resident memory of its process after the setup. */
  residentBytes: number;
}

export interface LibraryCheck {
  device: string;
  finding: Finding;
  /** Undefined when the library could not be set up. */
  loaded: LoadedLibrary | undefined;
}

export interface LibraryCheckModules {
  readBackend(name?: BackendName): BackendOptions;
  /** Number of threads of a prover of the device. */
  threadsOf(device: DeviceConfig): number;
  env: Readonly<Record<string, string | undefined>>;
  terminal: Pick<Terminal, "err" | "isErrTty">;
}

const CHILD_PATH = fileURLToPath(new URL("../../server/prover/child-main.js", import.meta.url));

/**
 * Sets a prover of the device up, and ends it. Takes as long as the service waits for one. Leaves no
 * cache folder that was not there.
 */
export async function checkLibrary(
  device: DeviceConfig,
  { readBackend, threadsOf, env, terminal }: LibraryCheckModules,
): Promise<LibraryCheck> {
  const failed = (why: string) => ({ device: device.id, finding: fail(why), loaded: undefined });
  let backend: BackendOptions;
  try {
    backend = backendOf(device, readBackend);
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error));
  }
  const { library } = backend;
  const { cacheFolder } = device;
  const isNewFolder = cacheFolder !== undefined && !existsSync(cacheFolder);
  let options: () => ForkedProverOptions;
  try {
    options = proverOptions(device, backend, { childPath: CHILD_PATH, env, threadsOf });
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error));
  }
  const progress = new Progress(
    (ms) => `device ${device.id}: setting up ${library}, ${Math.round(ms / 1000)} s`,
    terminal,
  );
  const startedMs = performance.now();
  const prover = forkProver(options());
  try {
    const description = await prover.ready;
    const loaded = { description, residentBytes: prover.residentBytes() };
    const text = libraryText(loaded, performance.now() - startedMs);
    return { device: device.id, finding: ok(`${library}: ${text}`), loaded };
  } catch {
    const { detail } = await prover.exited;
    const todo = "fix the library or the device's settings";
    return failed(`${library} cannot be used: ${detail}: ${todo}`);
  } finally {
    progress.stop();
    prover.kill();
    await prover.exited;
    if (isNewFolder) rmSync(cacheFolder, { recursive: true, force: true });
  }
}

function libraryText({ description, residentBytes }: LoadedLibrary, tookMs: number): string {
  const { backend, scheme, revision, publicKeyBytes, signatureBytes } = description;
  const { proofBytesMax, childrenMax } = description;
  return [
    `${backend} proves ${scheme} ${revision}`,
    `keys of ${publicKeyBytes} bytes, signatures of ${signatureBytes}`,
    proofBytesMax === 0 ? "proofs without a limit of its own" : `proofs up to ${proofBytesMax}`,
    childrenMax === 0 ? "any number of children" : `up to ${childrenMax} children`,
    `log_inv_rate ${offeredRates(description).join(", ")}`,
    `set up in ${(tookMs / 1000).toFixed(1)} s, ${Math.round(residentBytes / 1e6)} MB resident`,
  ].join("; ");
}

/** Says which proof systems the devices have, when there are several devices; the first decides. */
export function checkProofSystems(checks: readonly LibraryCheck[]): Finding | undefined {
  const devices = new Map<string, string[]>();
  for (const { device, loaded } of checks) {
    if (loaded === undefined) continue;
    const system = proofSystemOf(loaded.description);
    devices.set(system, [...(devices.get(system) ?? []), device]);
  }
  const [first, ...others] = [...devices].map(([system, ids]) => `${system} (${ids.join(", ")})`);
  if (first === undefined || checks.length < 2) return undefined;
  if (others.length === 0) return ok(`every device proves ${[...devices.keys()].join("")}`);
  return ok(
    `${first} is the default, which requests get that name none; also ${others.join(", ")}`,
  );
}
