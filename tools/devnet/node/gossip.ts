/**
 * Gossip over loopback TCP: every node is connected to every other, frames are a length, a kind
 * and SSZ bytes. A dropped link is closed at once, and opened again by the lower node's dialling.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { HelloSsz } from "../chain/containers.js";

const HEADER_BYTES = 5;
/** A few hundred blocks with their proofs, for a peer that was away. */
const FRAME_BYTES_MAX = 256 * 1024 * 1024;
const REDIAL_MS = 200;

const KINDS = ["hello", "vote", "aggregate", "block", "syncRequest", "blocks"] as const;
export type FrameKind = (typeof KINDS)[number];

export interface GossipOptions {
  node: number;
  /** By node. */
  ports: readonly number[];
}

export interface GossipEvents {
  /** A link is up, for the first time or again. */
  onPeer(peer: number): void;
  onFrame(peer: number, kind: FrameKind, bytes: Uint8Array): void;
}

export class Gossip {
  readonly #server: Server;
  readonly #sockets = new Map<number, Socket>();
  readonly #dropped = new Set<number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isClosed = false;

  private constructor(
    private readonly options: GossipOptions,
    private readonly events: GossipEvents,
  ) {
    this.#server = createServer((socket) => this.#listenTo(socket, null));
  }

  static async start(options: GossipOptions, events: GossipEvents): Promise<Gossip> {
    const gossip = new Gossip(options, events);
    await new Promise<void>((resolve, reject) => {
      gossip.#server.once("error", reject);
      gossip.#server.listen(options.ports[options.node], "127.0.0.1", resolve);
    });
    options.ports.forEach((_, peer) => {
      if (peer > options.node) gossip.#dial(peer);
    });
    return gossip;
  }

  broadcast(kind: FrameKind, bytes: Uint8Array): void {
    const framed = frame(kind, bytes);
    for (const socket of this.#sockets.values()) socket.write(framed);
  }

  send(peer: number, kind: FrameKind, bytes: Uint8Array): void {
    this.#sockets.get(peer)?.write(frame(kind, bytes));
  }

  /** Closes the links to these peers and keeps them closed until another set is given. */
  setDropped(peers: readonly number[]): void {
    this.#dropped.clear();
    for (const peer of peers) {
      this.#dropped.add(peer);
      this.#sockets.get(peer)?.destroy();
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#server.close();
    for (const socket of this.#sockets.values()) socket.destroy();
  }

  #dial(peer: number): void {
    const port = this.options.ports[peer] ?? 0;
    if (this.#dropped.has(peer)) return this.#dialLater(peer);
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      const hello = HelloSsz.serialize({ node: this.options.node });
      socket.write(frame("hello", hello));
      this.#use(peer, socket);
    });
    socket.once("close", () => this.#dialLater(peer));
    this.#listenTo(socket, peer);
  }

  #dialLater(peer: number): void {
    if (this.#isClosed) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#dial(peer);
    }, REDIAL_MS);
    this.#timers.add(timer);
  }

  #use(peer: number, socket: Socket): void {
    if (this.#dropped.has(peer)) return void socket.destroy();
    this.#sockets.get(peer)?.destroy();
    this.#sockets.set(peer, socket);
    socket.once("close", () => {
      if (this.#sockets.get(peer) === socket) this.#sockets.delete(peer);
    });
    this.events.onPeer(peer);
  }

  /** `peer` is null until the one who dialled has said who it is. */
  #listenTo(socket: Socket, peer: number | null): void {
    socket.setNoDelay(true);
    socket.on("error", () => undefined); // `close` follows
    let from = peer;
    const read = frameReader((kind, bytes) => {
      if (kind === "hello") {
        from = HelloSsz.deserialize(bytes).node;
        this.#use(from, socket);
      } else if (from !== null && !this.#dropped.has(from)) {
        this.events.onFrame(from, kind, bytes);
      }
    });
    socket.on("data", (chunk: Buffer) => {
      if (!read(chunk)) socket.destroy();
    });
  }
}

function frame(kind: FrameKind, bytes: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(HEADER_BYTES + bytes.length);
  framed.writeUInt32LE(bytes.length, 0);
  framed.writeUInt8(KINDS.indexOf(kind), 4);
  framed.set(bytes, HEADER_BYTES);
  return framed;
}

/** Takes chunks and gives whole frames; false once the peer sends what no node sends. */
export function frameReader(
  onFrame: (kind: FrameKind, bytes: Uint8Array) => void,
): (chunk: Buffer) => boolean {
  let chunks: Buffer[] = [];
  let held = 0;
  let wanted = HEADER_BYTES;
  return (chunk) => {
    chunks.push(chunk);
    held += chunk.length;
    while (held >= wanted) {
      const buffer = Buffer.concat(chunks);
      chunks = [buffer];
      const length = buffer.readUInt32LE(0);
      const kind = KINDS[buffer.readUInt8(4)];
      if (kind === undefined || length > FRAME_BYTES_MAX) return false;
      wanted = HEADER_BYTES + length;
      if (held < wanted) break;
      onFrame(kind, new Uint8Array(buffer.subarray(HEADER_BYTES, wanted)));
      const rest = buffer.subarray(wanted);
      chunks = rest.length > 0 ? [rest] : [];
      held = rest.length;
      wanted = HEADER_BYTES;
    }
    return true;
  };
}
