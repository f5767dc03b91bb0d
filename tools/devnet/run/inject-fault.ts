/** Does what one fault of the scenario says, and undoes it at its end. */
import { isServed, type Mode } from "../node/aggregators/aggregator.js";
import type { Network } from "./network.js";
import type { Fault } from "./scenario.js";

export interface FaultContext {
  network: Network;
  mode: Mode;
  aggregator: number;
}

/** Returns in words what was done. Restarts go on after it. */
export function beginFault(fault: Fault, { network, mode, aggregator }: FaultContext): string {
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

export function endFault(fault: Fault, { network }: FaultContext): string | undefined {
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
function setLinks(network: Network, cut: readonly number[], isDropped: boolean): void {
  const all = network.nodes.map((_, index) => index);
  const others = all.filter((node) => !cut.includes(node));
  for (const node of all) {
    const peers = cut.includes(node) ? others : cut;
    network.node(node).tell({ type: "drop", peers: isDropped ? [...peers] : [] });
  }
}
