/** The options of `make bench`, read from the environment that `bench.ts` passes. Pure. */

export interface BenchOptions {
  /** For `overhead`: pairs of a bare proof and one by the service, for each shape. */
  pairs: number;
  /** For `ack`: answers to time while idle, and as many while proving. */
  acks: number;
  /** For `tick`: ticks for each size of snapshot while proving. */
  ticks: number;
  /** For `merge`: numbers of messages to merge, each from 1 to 8. */
  messages: readonly number[];
  /** Names of the measurements to take. */
  only: readonly string[];
}

const MESSAGES = [2, 3, 4, 8];
const MESSAGES_MAX = 8;
const DEFAULTS = { PAIRS: 30, ACKS: 400, TICKS: 2000 };

export function usage(names: readonly string[]): string {
  return [
    "make bench [ARGS=--help]: what the service costs, measured against a server process with the real prover",
    "",
    "  PAIRS=30              pairs of bare and service proofs a shape, for overhead and merge",
    "  ACKS=400              acknowledgements for ack, idle and again while proving; for record",
    "  TICKS=2000            ticks a size of snapshot, for tick",
    `  MESSAGES=${MESSAGES.join(",")}      numbers of messages to merge, for merge`,
    `  ONLY=${names.join(",")}`,
    "                        what to measure; default all but merge, which takes half an hour",
    "",
    "Progress goes to stderr, tables to stdout, the same figures to out/bench.json. Exit code 0",
    "whether or not a goal is met, 1 on an error.",
  ].join("\n");
}

/**
 * Reads the options. Throws an error that names the invalid variable.
 *
 * @param byDefault what is measured where ONLY names nothing
 */
export function parseOptions(
  env: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
  byDefault = names,
): BenchOptions {
  const count = (name: keyof typeof DEFAULTS) => {
    const value = Number(env[name] ?? DEFAULTS[name]);
    if (Number.isInteger(value) && value >= 1) return value;
    throw new Error(`${name} is ${JSON.stringify(env[name])}, expected a whole number from 1`);
  };
  const asked = (env["ONLY"] ?? "").split(",").filter((name) => name !== "");
  const unknown = asked.filter((name) => !names.includes(name));
  if (unknown.length > 0)
    throw new Error(`ONLY names ${unknown.join(", ")}, expected some of ${names.join(", ")}`);
  return {
    pairs: count("PAIRS"),
    acks: count("ACKS"),
    ticks: count("TICKS"),
    messages: messagesOf(env["MESSAGES"]),
    only: asked.length === 0 ? byDefault : asked,
  };
}

function messagesOf(text: string | undefined): readonly number[] {
  if (text === undefined) return MESSAGES;
  const all = text.split(",").map(Number);
  const isMergeable = (count: number) =>
    Number.isInteger(count) && count >= 1 && count <= MESSAGES_MAX;
  if (all.every(isMergeable)) return all;
  throw new Error(`MESSAGES is "${text}", expected numbers from 1 to ${MESSAGES_MAX}, such as 2,3`);
}
