/**
 * Signer and verifier of a call's runs, each started when a run first needs it, and anew when it has ended.
 * One signer at a time: to make a key takes seconds, and runs of one seed have the same.
 */
import { join } from "node:path";
import type { CryptoProcess, CryptoRole } from "../crypto/crypto-process.js";
import type { RunModules, RunOptions } from "./run-mode.js";

const KEYS = "lean-aggregator devnet validator";

/** Starts a process at a socket, with arguments of its role. */
type Start = (
  role: CryptoRole,
  socketPath: string,
  args: readonly string[],
) => Promise<CryptoProcess>;

export class CryptoProcesses {
  readonly #held = new Map<CryptoRole, { process: CryptoProcess; args: string }>();
  #count = 0;

  /** @param folder of their sockets */
  constructor(
    private readonly folder: string,
    private readonly start: Start,
  ) {}

  /** Those of a run, with the keys of its seed. Rejects where one cannot be started. */
  async of({ seed, validators, scenario }: RunOptions): Promise<Crypto> {
    const keys = seed === 1 ? KEYS : `${KEYS} ${seed}`;
    const proposers = scenario.componentsMax > 0 ? validators : 0;
    return {
      verifier: await this.#running("verifier", []),
      signer: await this.#running("signer", [keys, String(validators), String(proposers)]),
    };
  }

  async close(): Promise<void> {
    for (const role of [...this.#held.keys()]) await this.#end(role);
  }

  async #running(role: CryptoRole, args: readonly string[]): Promise<CryptoProcess> {
    const held = this.#held.get(role);
    if (held?.process.isAlive() === true && held.args === args.join()) return held.process;
    await this.#end(role);
    const path = join(this.folder, `${role}-${this.#count++}`);
    const process = await this.start(role, path, args);
    this.#held.set(role, { process, args: args.join() });
    return process;
  }

  async #end(role: CryptoRole): Promise<void> {
    const held = this.#held.get(role);
    this.#held.delete(role);
    await held?.process.close();
  }
}

type Crypto = Pick<RunModules, "signer" | "verifier">;
