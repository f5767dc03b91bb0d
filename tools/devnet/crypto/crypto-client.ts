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

  constructor(path: string) {
    this.#socket = connect(path);
    createInterface({ input: this.#socket }).on("line", (line) => {
      const answer = JSON.parse(line) as Answer;
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    this.#socket.on("error", () => undefined); // `close` follows
    this.#socket.on("close", () => {
      for (const settle of this.#waiting.values()) settle(new Error(`${path} is closed`));
      this.#waiting.clear();
    });
  }

  ask(question: Record<string, unknown>): Promise<Answer> {
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

export class CryptoClient {
  readonly #signer: LineClient;
  readonly #verifier: LineClient;

  constructor(paths: { signer: string; verifier: string }) {
    this.#signer = new LineClient(paths.signer);
    this.#verifier = new LineClient(paths.verifier);
  }

  async sign(validator: number, { message, slot }: SignedMessage): Promise<Uint8Array> {
    const question = { op: "sign", validator, message: base64(message), slot };
    const { signature = "" } = await this.#signer.ask(question);
    return new Uint8Array(Buffer.from(signature, "base64"));
  }

  async verifyVote(
    key: Uint8Array,
    { message, slot }: SignedMessage,
    signature: Uint8Array,
  ): Promise<boolean> {
    const bytes = { key: base64(key), message: base64(message), signature: base64(signature) };
    const { valid } = await this.#verifier.ask({ op: "verify_vote", slot, ...bytes });
    return valid === true;
  }

  /** True when the proof attests exactly these keys. */
  async verifyAggregate(
    keys: readonly Uint8Array[],
    message: Uint8Array,
    proof: Uint8Array,
  ): Promise<boolean> {
    const bytes = { keys: keys.map(base64), message: base64(message), proof: base64(proof) };
    const { valid } = await this.#verifier.ask({ op: "verify_aggregate", ...bytes });
    return valid === true;
  }

  close(): void {
    this.#signer.close();
    this.#verifier.close();
  }
}
