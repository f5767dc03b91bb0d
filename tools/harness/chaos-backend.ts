/** Compiles `test/chaos/faulty-backend.c` for one test file, and orders its faults. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BackendOptions } from "../../server/prover/device/backend-file.js";
import { publicKey, raw } from "./vectors.js";

export type Fault =
  | "abort"
  | "segfault"
  | "illegal"
  | "exit"
  | "quit"
  | "hang"
  | "print"
  | "garbage"
  | "close"
  | "leak"
  | "swell"
  | "internal"
  | "lie"
  | "empty"
  | "starve"
  | "slow";
export type FaultyCall = "open" | "describe" | "prove" | "verify_signatures" | "verify";

const GROUPS = "/sys/fs/cgroup/memory";

/** Makes a memory control group for one process; undefined where this process may not. */
export function memoryGroup(limitBytes: number): MemoryGroup | undefined {
  const path = join(GROUPS, `lean-chaos-${String(process.pid)}`);
  try {
    mkdirSync(path);
    writeFileSync(join(path, "memory.limit_in_bytes"), String(limitBytes));
  } catch {
    return undefined;
  }
  return {
    hold: (pid) => writeFileSync(join(path, "cgroup.procs"), String(pid)),
    dispose: () => rmdirSync(path),
  };
}

export interface MemoryGroup {
  /** Moves the process into the group. */
  hold(pid: number): void;
  /** Removes the group. Throws while a process is in it. */
  dispose(): void;
}

export class FaultyBackend {
  private readonly folder = mkdtempSync(join(tmpdir(), "lean-faulty-"));
  readonly options: BackendOptions;

  /**
   * Compiles the backend. Throws with the compiler's messages.
   *
   * @param limits C initialisers in the backend's description of itself, for example
   * `.fold.raws_max = 64`; default: no limits
   * @param defines C macros by name, which `faulty-backend.c` lists
   */
  constructor(limits = ".kinds = LP_FOLD", defines: Readonly<Record<string, string>> = {}) {
    const library = join(this.folder, "faulty.so");
    const keyBytes = String(publicKey(0).length);
    const signatureBytes = String(raw(0, 0).signature.length);
    const compiled = spawnSync(
      process.env.CC ?? "cc",
      [
        ...["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-O1"],
        ...["-fPIC", "-shared", "-fvisibility=hidden", "-Inative/include"],
        `-DFAULTY_PUBLIC_KEY_BYTES=${keyBytes}`,
        `-DFAULTY_SIGNATURE_BYTES=${signatureBytes}`,
        `-DFAULTY_LIMITS=${limits}`,
        ...Object.entries(defines).map(([name, value]) => `-D${name}=${value}`),
        ...["-o", library, "test/chaos/faulty-backend.c"],
      ],
      { encoding: "utf8" },
    );
    if (compiled.status !== 0) throw new Error(`cannot compile: ${compiled.stderr}`);
    this.options = { library, config: this.folder };
  }

  /** Orders `fault` for the next such call, in whichever prover it comes. */
  orderOnce(call: FaultyCall, fault: Fault): void {
    writeFileSync(join(this.folder, call), fault);
  }

  /** Orders `fault` for every such call about a message of this slot. */
  orderForSlot(call: FaultyCall, slot: number, fault: Fault): void {
    writeFileSync(join(this.folder, `${call}.${String(slot)}`), fault);
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
