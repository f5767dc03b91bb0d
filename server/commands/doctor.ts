/** `lean-aggregator doctor`: what this machine has and lacks, a line each. */
import { existsSync, readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { loadAddon } from "../../native/addon.js";
import { readBackendFile } from "../prover/backend-file.js";
import { deviceLockPath } from "../prover/device.js";
import { packageRoot } from "./serve.js";

/** The prover's peak with a few children, and room for the service. */
const MEMORY_BYTES_MIN = 3 * 1024 ** 3;

type Check = { name: string; problem: string | undefined };

function attempt(check: () => string | undefined): string | undefined {
  try {
    return check();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function cpuProblem(): string | undefined {
  if (process.arch !== "x64" || !existsSync("/proc/cpuinfo")) return undefined;
  const flags = readFileSync("/proc/cpuinfo", "utf8");
  const missing = ["avx2", "pclmulqdq"].filter((flag) => !new RegExp(`\\b${flag}\\b`).test(flags));
  return missing.length === 0 ? undefined : `the processor lacks ${missing.join(" and ")}`;
}

/** Prints the checks; the exit code is 0 when all are ok. */
export function doctor(): number {
  const gib = (bytes: number) => (bytes / 1024 ** 3).toFixed(1);
  const checks: Check[] = [
    { name: "CPU features", problem: attempt(cpuProblem) },
    {
      name: "memory",
      problem:
        totalmem() >= MEMORY_BYTES_MIN
          ? undefined
          : `${gib(totalmem())} GiB in all, ${gib(freemem())} free; proofs with children take up to 2.6`,
    },
    { name: "native addon", problem: attempt(() => void loadAddon()) },
    {
      name: "Python and the lean_pq backend",
      problem: attempt(() => void readBackendFile(packageRoot)),
    },
    {
      name: "device lock",
      problem: attempt(() =>
        loadAddon().lockFile(deviceLockPath("/tmp", "cpu")) >= 0
          ? undefined
          : `another prover holds ${deviceLockPath("/tmp", "cpu")}: a service is running`,
      ),
    },
  ];
  for (const { name, problem } of checks) {
    process.stdout.write(
      `${problem === undefined ? "ok  " : "FAIL"}  ${name}${problem === undefined ? "" : `: ${problem}`}\n`,
    );
  }
  return checks.every(({ problem }) => problem === undefined) ? 0 : 1;
}
