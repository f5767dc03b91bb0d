/**
 * HTTP/2 frame by frame, on a bare socket: sends what node:http2 would never send, and records what
 * the peer sends and how the connection ends. SETTINGS and PING of the peer are answered.
 */
import { connect } from "node:net";
import type { Socket } from "node:net";

export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;
export const FLAG = { ACK: 1, END_STREAM: 1, END_HEADERS: 4 } as const;
export const SETTING = { HEADER_TABLE_SIZE: 1, INITIAL_WINDOW_SIZE: 4 } as const;
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

const HEADER_BYTES = 9;
const ERRORS = [
  ...["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT"],
  ...["STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR"],
  ...["CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"],
];

export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function settings(values: Record<number, number> = {}): Buffer {
  const entries = Object.entries(values).map(([id, value]) => {
    return Buffer.concat([Buffer.from([0, Number(id)]), u32(value)]);
  });
  return frame(FRAME.SETTINGS, 0, 0, Buffer.concat(entries));
}

export const ping = () => frame(FRAME.PING, 0, 0, Buffer.alloc(8));
/** A frame that resets a stream, by default with error code CANCEL (8). */
export const reset = (stream: number, code = 8) => frame(FRAME.RST_STREAM, 0, stream, u32(code));

/**
 * An integer as HPACK encodes it: in the low `prefixBits` of the first byte, and more if needed.
 */
export function hpackInteger(value: number, prefixBits: number, flags = 0): Buffer {
  const most = 2 ** prefixBits - 1;
  if (value < most) return Buffer.from([flags | value]);
  const bytes = [flags | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

/** A header as an HPACK literal. With `isIndexed` the peer adds it to its header table. */
export function hpackLiteral(name: string, value: string, isIndexed = false): Buffer {
  const text = (of: string) => Buffer.concat([hpackInteger(of.length, 7), Buffer.from(of)]);
  return Buffer.concat([Buffer.from([isIndexed ? 0x40 : 0]), text(name), text(value)]);
}

/** The header block of a gRPC call. */
export function callHeaders(path: string, more: Record<string, string> = {}): Buffer {
  const headers = {
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "localhost",
    "content-type": "application/grpc",
    te: "trailers",
    ...more,
  };
  return Buffer.concat(Object.entries(headers).map(([name, value]) => hpackLiteral(name, value)));
}

export const headersFrame = (stream: number, block: Uint8Array, flags: number = FLAG.END_HEADERS) =>
  frame(FRAME.HEADERS, flags, stream, block);

export class RawConnection {
  /** Number of frames received, by type. */
  readonly received = new Map<number, number>();
  /** How the other side ended each stream, in order: with its last frame, by a reset, or both. */
  readonly streamEnds = new Map<number, ("last frame" | "reset")[]>();
  readonly closed: Promise<void>;
  /** The error of the peer's GOAWAY, the socket's error, or `closed`; undefined before these. */
  ending: string | undefined;
  private held = Buffer.alloc(0);
  private nextStream = -1;

  private constructor(
    readonly socket: Socket,
    /** Does not answer the peer's SETTINGS and PING. */
    private readonly isMute: boolean,
  ) {
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        this.ending ??= "closed";
        resolve();
      });
    });
    socket.on("error", (error: NodeJS.ErrnoException) => (this.ending ??= error.code));
    // A GOAWAY of the peer is recorded; the socket is left for the peer to close.
    socket.on("data", (chunk) => this.read(chunk));
  }

  /** Connects and sends `start`. Never rejects: if connecting fails, the connection is not open. */
  static async open(
    address: string,
    start: Uint8Array = PREFACE,
    isMute = false,
    localAddress?: string,
  ): Promise<RawConnection> {
    const at = address.lastIndexOf(":");
    const [host, port] = [address.slice(0, at), Number(address.slice(at + 1))];
    const socket = connect({ host, port, ...(localAddress !== undefined && { localAddress }) });
    const connection = new RawConnection(socket, isMute);
    const connected = new Promise((resolve) => socket.once("connect", resolve));
    await Promise.race([connected, connection.closed]);
    if (start.length > 0) await connection.write(start);
    return connection;
  }

  /** False after a GOAWAY of the peer, an error or the end of the connection. */
  get isOpen(): boolean {
    return this.ending === undefined;
  }

  /** Returns the id of a new stream. */
  stream(): number {
    return (this.nextStream += 2);
  }

  /** Sends the parts. Resolves once the socket has room for more, or has closed. */
  async write(...parts: readonly Uint8Array[]): Promise<void> {
    if (!this.isOpen || this.socket.write(Buffer.concat(parts))) return;
    const drained = new Promise<void>((resolve) => this.socket.once("drain", resolve));
    await Promise.race([drained, this.closed]);
  }

  close(): void {
    this.socket.destroy();
  }

  private read(chunk: Buffer): void {
    this.held = Buffer.concat([this.held, chunk]);
    while (this.held.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + this.held.readUIntBE(0, 3);
      if (this.held.length < end) return;
      const [type, flags] = [this.held.readUInt8(3), this.held.readUInt8(4)];
      this.noteEnd(this.held.readUInt32BE(5), type, flags);
      this.take(type, flags, this.held.subarray(HEADER_BYTES, end));
      this.held = this.held.subarray(end);
    }
  }

  private noteEnd(stream: number, type: number, flags: number): void {
    const isContent = type === FRAME.DATA || type === FRAME.HEADERS;
    const isLast = isContent && (flags & FLAG.END_STREAM) !== 0;
    if (!isLast && type !== FRAME.RST_STREAM) return;
    const ends = this.streamEnds.get(stream) ?? [];
    this.streamEnds.set(stream, [...ends, isLast ? "last frame" : "reset"]);
  }

  private take(type: number, flags: number, payload: Buffer): void {
    this.received.set(type, (this.received.get(type) ?? 0) + 1);
    if (type === FRAME.GOAWAY) {
      this.ending ??= ERRORS[payload.readUInt32BE(4)] ?? "unknown error";
    } else if ((flags & FLAG.ACK) === 0 && this.socket.writable && !this.isMute) {
      if (type === FRAME.SETTINGS) {
        this.socket.write(frame(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(0)));
      } else if (type === FRAME.PING) this.socket.write(frame(FRAME.PING, FLAG.ACK, 0, payload));
    }
  }
}
