/** A node's connection to the signer and to the verifier. Calls reject once the peer is gone. */
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

interface Answer {
  id: number;
  error?: string;
  signature?: string;
  valid?: boolean;
}

/** Asks one process by lines of JSON. */
class LineClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (answer: Answer | Error) => void>();
  #lastId = 0;
  #isClosed = false;

  constructor(private readonly path: string) {
    this.#socket = connect(path);
    const lines = createInterface({ input: this.#socket });
    lines.on("error", () => undefined); // the socket's
    lines.on("line", (line) => {
      const answer = JSON.parse(line) as Answer;
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    this.#socket.on("error", () => undefined); // `close` follows
    this.#socket.on("close", () => {
      this.#isClosed = true;
      for (const settle of this.#waiting.values()) settle(new Error(`${path} is closed`));
      this.#waiting.clear();
    });
  }

  ask(question: Record<string, unknown>): Promise<Answer> {
    if (this.#isClosed) return Promise.reject(new Error(`${this.path} is closed`));
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#waiting.set(id, (answer) => {
        if (answer instanceof Error) reject(answer);
        else if (answer.error !== undefined) reject(new Error(answer.error));
        else resolve(answer);
      });
      this.#socket.write(`${JSON.stringify({ id, ...question })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

export interface SignedMessage {
  message: Uint8Array;
  /** The leaf index. */
  slot: number;
}

/** Which of a validator's keys signs: a leaf of a key signs once. */
export type KeyRole = "attestation" | "proposal";

/** That the holders of these keys have signed the message. */
export interface MessageClaim {
  message: Uint8Array;
  keys: readonly Uint8Array[];
}

export class CryptoClient {
  readonly #signer: LineClient;
  readonly #verifier: LineClient;

  constructor(paths: { signer: string; verifier: string }) {
    this.#signer = new LineClient(paths.signer);
    this.#verifier = new LineClient(paths.verifier);
  }

  /** Signs with the validator's key for votes, or with its key for its own blocks. */
  async sign(validator: number, signed: SignedMessage, role: KeyRole): Promise<Uint8Array> {
    const { message, slot } = signed;
    const question = { op: "sign", validator, role, message: base64(message), slot };
    const { signature = "" } = await this.#signer.ask(question);
    return new Uint8Array(Buffer.from(signature, "base64"));
  }

  async verifySignature(
    key: Uint8Array,
    { message, slot }: SignedMessage,
    signature: Uint8Array,
  ): Promise<boolean> {
    const bytes = { key: base64(key), message: base64(message), signature: base64(signature) };
    const { valid } = await this.#verifier.ask({ op: "verify_signature", slot, ...bytes });
    return valid === true;
  }

  /** True when the proof attests exactly these claims. */
  async verifyProof(claims: readonly MessageClaim[], proof: Uint8Array): Promise<boolean> {
    const encoded = claims.map(({ message, keys }) => ({
      message: base64(message),
      keys: keys.map(base64),
    }));
    const question = { op: "verify_proof", claims: encoded, proof: base64(proof) };
    const { valid } = await this.#verifier.ask(question);
    return valid === true;
  }

  close(): void {
    this.#signer.close();
    this.#verifier.close();
  }
}
