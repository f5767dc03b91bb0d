/**
 * Names for shell completion that only a service knows: its devices, nodes and sessions. They come from
 * the operator's listener that the command line names. A service that is down, slow or refuses gives none,
 * in silence: a shell shows no error while somebody types.
 */
import { callAdmin, streamActivity } from "../client/rpc/operator-client.js";
import { DeviceState } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { OPERATOR_SERVER } from "./admin/ask.js";
import { tokenOf } from "./io/connect.js";

/** Time for the whole answer, in milliseconds: a person waits for it. */
const ANSWER_MS = 300;
/** Names go onto a command line as they are, so those that a shell could take for more are left out. */
const SAFE = /^[\w.:/@+-]{1,200}$/;

export interface Completion {
  word: string;
  /** What the word means, for shells that show it; may be empty. */
  text: string;
}

/** What a value on the command line names. */
export type NameKind = "device" | "node" | "session";

const kinds: ReadonlyMap<string, NameKind> = new Map([
  ["device", "device"],
  ["--node", "node"],
  ["session", "session"],
]);

/** @param name of an argument, or of an option with its dashes; undefined when no service knows its values */
export const nameKind = (name: string): NameKind | undefined => kinds.get(name);

export interface OperatorPlace {
  /** As on the command line; undefined: the variable's, or the default. */
  server: string | undefined;
  tokenFile: string | undefined;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Returns the names that the service knows; none when it does not answer in 300 ms. */
export async function namesOf(
  kind: NameKind,
  { server, tokenFile }: OperatorPlace,
  env: Env,
): Promise<Completion[]> {
  const address = server ?? env[OPERATOR_SERVER.variable] ?? OPERATOR_SERVER.address;
  try {
    const token = tokenOf(withHome(tokenFile ?? env["LEAN_AGGREGATOR_TOKEN_FILE"], env));
    const found = await readers[kind](address, token && { token });
    return found.filter(({ word }) => SAFE.test(word));
  } catch {
    return [];
  }
}

type Token = { token: () => string } | undefined;
type Reader = (address: string, token: Token) => Promise<Completion[]>;

const readers: Readonly<Record<NameKind, Reader>> = {
  device: async (address, token) => {
    const { devices } = await callAdmin(
      address,
      "listProvers",
      {},
      { timeoutMs: ANSWER_MS, ...token },
    );
    return devices.map(({ deviceId: word, state }) => ({
      word,
      text: (DeviceState[state] ?? "").toLowerCase(),
    }));
  },
  session: async (address, token) => {
    const options = { timeoutMs: ANSWER_MS, ...token };
    const { sessions } = await callAdmin(address, "listSessions", {}, options);
    return sessions.map(({ sessionId: word, nodeId, slot }) => ({
      word,
      text: `${nodeId}, slot ${slot}`,
    }));
  },
  node: async (address, token) => {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const words: string[] = [];
    for await (const { nodes } of streamActivity(address, { noFollow: true, signal, ...token })) {
      words.push(...nodes.map(({ nodeId }) => nodeId));
    }
    return words.map((word) => ({ word, text: "" }));
  },
};

/** The shell leaves `~/` as it is in words that are being completed. */
const withHome = (path: string | undefined, { HOME = "~" }: Env) => path?.replace(/^~(?=\/)/, HOME);
