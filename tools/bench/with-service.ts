/** A fresh service for a measurement, as its users run it; stopped whatever happens. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServiceProcess } from "../harness/service-process.js";

export interface BenchService {
  process: ServiceProcess;
  /** Of the gRPC listener. */
  address: string;
  /** Of the operator's listener. */
  operatorAddress: string;
  /** The server's own metrics by name, those with labels left out. Resets the loop's lag. */
  metrics(): Promise<ReadonlyMap<string, number>>;
}

/** Runs a measurement against a service that is ready to prove; `script` as in `ServeOptions`. */
export async function withService<T>(
  run: (service: BenchService) => Promise<T>,
  flags: readonly string[] = [],
  script?: string,
): Promise<T> {
  // A lock of its own: another service on this machine is no obstacle.
  const tmp = mkdtempSync(join(tmpdir(), "lean-bench-"));
  // A session of its own, so that the bench's share of the processor is not the server's.
  const options = { flags: ["--lock-dir", tmp, ...flags], hasOwnSession: true };
  const service = ServiceProcess.spawn(script === undefined ? options : { ...options, script });
  try {
    await service.ready();
    const { nodes, operator } = await service.listening();
    const metrics = async () => samplesOf(await service.metrics());
    return await run({ process: service, address: nodes, operatorAddress: operator, metrics });
  } finally {
    await service.stop();
    rmSync(tmp, { recursive: true, force: true });
  }
}

function samplesOf(text: string): ReadonlyMap<string, number> {
  const samples = text.matchAll(/^([a-z0-9_]+) (\S+)$/gm);
  return new Map([...samples].map(([, name = "", value]) => [name, Number(value)]));
}
