/**
 * The connections from one node to the door behind one of its endpoints: calls and result streams, in
 * virtual time. They behave as TCP does: nothing is lost or overtaken while both ends live and the
 * way between them is open; a dead door resets them; a frozen door, or a way that is cut, is silent.
 */
import type { SimDoor } from "./sim-door.js";
import type { SimProcess } from "./sim-process.js";

export interface NodeLinkModules {
  /** The node's process. */
  node: SimProcess;
  /** The door that runs behind the endpoint now; undefined: nobody listens there. */
  door: () => SimDoor | undefined;
  /** False while nothing gets through between the node and the endpoint. */
  isOpen: () => boolean;
  /** Milliseconds one way. */
  wayMs: number;
}

/** The door's end of a connection. */
export interface Connection {
  /** Acts in the node's process, unless the node has left by then. */
  reply(act: () => void): void;
  /** Aborts, in the door's process, when the node has left. */
  readonly left: AbortSignal;
}

/** Costs less than the error that `abort` would make for each call. */
const LEFT = "the node has left";

export class NodeLink {
  constructor(private readonly modules: NodeLinkModules) {}

  /**
   * Connects to the door, where `serve` is called. `broken` is called in the node's process when the
   * connection is refused or reset.
   *
   * @returns what the node calls to leave: after that nothing is called in its process
   */
  connect(serve: (door: SimDoor, connection: Connection) => void, broken: () => void): () => void {
    const { node, door: find, isOpen, wayMs } = this.modules;
    let hasLeft = false;
    const left = new AbortController();
    const reply = (act: () => void) => {
      if (isOpen()) node.postIn(wayMs, () => (hasLeft ? undefined : act()));
    };
    const door = find();
    const forget = door?.process.onDeath(() => reply(broken));
    if (door === undefined) reply(broken);
    else if (isOpen()) door.process.postIn(wayMs, () => serve(door, { reply, left: left.signal }));
    return () => {
      hasLeft = true;
      forget?.();
      if (isOpen()) door?.process.postIn(wayMs, () => left.abort(LEFT));
    };
  }
}
