/** What the nodes of a simulated fleet submit. */
import type { AdapterPriority } from "../../../client/machine/index.js";
import type { DecodedGroup } from "../../../server/work/group.js";

/** What a node submits; the same object at every door. */
export interface Snapshot {
  nodeId: string;
  requestId: string;
  slot: number;
  priority: AdapterPriority;
  groups: readonly DecodedGroup[];
  mayShed: boolean;
  minInputs: number;
}
