/** Does what the faults of the scenario say, when they say, and undoes each at its end. */
import { isServed, type Mode } from "../node/aggregators/aggregator.js";
import type { Network } from "./network.js";
import type { RunRecord } from "./run-file.js";
import { FAULT_AT, type Fault } from "./scenario.js";

interface FaultContext {
  network: Pick<Network, "node" | "nodes" | "service" | "killNode" | "killService">;
  mode: Mode;
  aggregator: number;
}

interface ScheduleModules extends FaultContext {
  add(record: RunRecord): void;
  /** Takes what the service has counted of its prover's work, which is lost when it is killed. */
  countService(): Promise<void>;
  /** A fault could not be begun or ended. */
  onError(error: Error): void;
}

/**
 * Nothing is asked of a node before it is killed: in mid-proof it may answer when that is over.
 *
 * @param at when a slot starts, or a part of it has passed, in milliseconds since 1970
 */
export function scheduleFaults(
  faults: readonly Fault[],
  at: (slot: number) => number,
  { add, countService, onError, ...context }: ScheduleModules,
): NodeJS.Timeout[] {
  const when = (slot: number, run: () => Promise<void> | void) =>
    setTimeout(() => void Promise.resolve().then(run).catch(onError), at(slot) - Date.now());
  return faults.flatMap((fault) => {
    const begin = when(fault.slot + FAULT_AT, async () => {
      if (fault.kind === "kill-service") await countService();
      add({ kind: "fault", slot: fault.slot, text: beginFault(fault, context) });
    });
    if (!("untilSlot" in fault)) return [begin];
    const end = when(fault.untilSlot, () => {
      const text = endFault(fault, context);
      if (text !== undefined) add({ kind: "fault", slot: fault.untilSlot, text });
    });
    return [begin, end];
  });
}

/** Returns in words what was done. Restarts go on after it. */
function beginFault(fault: Fault, { network, mode, aggregator }: FaultContext): string {
  const hasService = isServed(mode);
  switch (fault.kind) {
    case "freeze":
      for (const node of fault.nodes) network.node(node).signal("SIGSTOP");
      return `froze nodes ${fault.nodes.join(", ")} until slot ${fault.untilSlot}`;
    case "drop":
      setLinks(network, fault.nodes, true);
      return `dropped the links of nodes ${fault.nodes.join(", ")} until slot ${fault.untilSlot}`;
    case "kill-prover": {
      if (!hasService) {
        network.killNode(aggregator);
        return `killed node ${aggregator}, whose process the prover is part of`;
      }
      const [pid] = network.service?.provers() ?? [];
      if (pid === undefined) return "no prover to kill";
      process.kill(pid, "SIGKILL");
      return "killed the service's prover";
    }
    case "kill-service":
      if (!hasService) return "nothing: this mode has no service";
      network.killService();
      return "killed the service";
    case "kill-node":
      for (const node of fault.nodes) network.killNode(node);
      return `killed nodes ${fault.nodes.join(", ")}`;
  }
}

function endFault(fault: Fault, { network }: FaultContext): string | undefined {
  switch (fault.kind) {
    case "freeze":
      for (const node of fault.nodes) network.node(node).signal("SIGCONT");
      return `thawed nodes ${fault.nodes.join(", ")}`;
    case "drop":
      setLinks(network, fault.nodes, false);
      return `restored the links of nodes ${fault.nodes.join(", ")}`;
    default:
      return undefined;
  }
}

/** Both ends: the nodes of the fault lose the others, and the others lose them. */
function setLinks(
  network: FaultContext["network"],
  cut: readonly number[],
  isDropped: boolean,
): void {
  const all = network.nodes.map((_, index) => index);
  const others = all.filter((node) => !cut.includes(node));
  for (const node of all) {
    const peers = cut.includes(node) ? others : cut;
    network.node(node).tell({ type: "drop", peers: isDropped ? [...peers] : [] });
  }
}
