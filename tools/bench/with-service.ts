/** Runs a measurement against a new service in a process of its own, as its users run it. */
import { processFolder } from "../harness/processes/process-folder.js";
import { ServiceProcess } from "../harness/processes/service-process.js";

export interface BenchService {
  process: ServiceProcess;
  /** Address of the listener for nodes. */
  address: string;
  /** Address of the operator's listener. */
  operatorAddress: string;
  /**
   * Reads the service's metrics by name, without those that have labels. Each reading starts the
   * measurement of the event loop's lag anew.
   */
  metrics(): Promise<ReadonlyMap<string, number>>;
}

/**
 * Starts a service, calls `run` once it can prove, and stops the service in any case, also when this process
 * exits. `flags` and `script` are as in `ServeOptions`.
 */
export async function withService<T>(
  run: (service: BenchService) => Promise<T>,
  flags: readonly string[] = [],
  script?: string,
): Promise<T> {
  // Folders of its own, so that another service on this machine does not stop this one, and none
  // gets the other's costs.
  const folder = processFolder("lean-bench-");
  // A process session of its own, so that the bench does not use the service's processor share.
  const options = {
    flags: ["--runtime-dir", folder.path, "--state-dir", folder.path, ...flags],
    hasOwnSession: true,
  };
  const service = ServiceProcess.spawn(script === undefined ? options : { ...options, script });
  try {
    await service.ready();
    const { nodes, operator } = await service.listening();
    const metrics = async () => samplesOf(await service.metrics());
    return await run({ process: service, address: nodes, operatorAddress: operator, metrics });
  } finally {
    await service.stop();
    folder.remove();
  }
}

function samplesOf(text: string): ReadonlyMap<string, number> {
  const samples = text.matchAll(/^([a-z0-9_]+) (\S+)$/gm);
  return new Map([...samples].map(([, name = "", value]) => [name, Number(value)]));
}
