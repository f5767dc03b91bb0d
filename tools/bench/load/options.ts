/** The options of `make load`, read from the environment that `load.ts` passes. Pure. */

export interface LoadOptions {
  /** Number of nodes, each with a connection and a stream of its own. */
  streams: number;
  /** Submissions a second, of all nodes together. */
  perSecond: number;
  /** For how many seconds the figures are taken. */
  seconds: number;
  /** Seconds of the same load before, until the service forgets as much as it receives. */
  warmUpSeconds: number;
}

/** WARM_UP: results are retained for 60 s after their fence; some time later memory is level. */
const DEFAULTS = { STREAMS: 64, PER_SECOND: 200, SECONDS: 60, WARM_UP: 100 };

/** Least warm-up after which memory must be level, in seconds: with less it still rises. */
export const LEVEL_AFTER_SECONDS = DEFAULTS.WARM_UP;

export const usage = [
  "make load: many nodes at once against a served process whose prover is simulated; about 5 min",
  "",
  "  STREAMS=64        nodes, each with a connection and an open stream",
  "  PER_SECOND=200    snapshots submitted a second, by all nodes in turn, whatever the answers",
  "  SECONDS=60        how long the figures are taken, for each of two speeds of the prover",
  "  WARM_UP=100       seconds of the same load before; with less, memory has not levelled off",
  "",
  "Every accepted group must end exactly once at its node, and GetSession must agree. breaks:",
  "streams resumed and calls repeated; a node's connection is cut after a second without an answer,",
  "so on a machine with other work there are some. Tables go to stdout, progress to stderr. Exit",
  "code 1 when anything was lost, doubled or told in two ways, a stream is down at the end, or memory",
  "rises by over a tenth a minute after the default warm-up.",
].join("\n");

/** Reads the options. Throws an error that names the invalid variable. */
export function parseOptions(env: Readonly<Record<string, string | undefined>>): LoadOptions {
  const count = (name: keyof typeof DEFAULTS, min: number) => {
    const value = Number(env[name] ?? DEFAULTS[name]);
    if (Number.isInteger(value) && value >= min) return value;
    const expected = `expected a whole number from ${String(min)}`;
    throw new Error(`${name} is ${JSON.stringify(env[name])}, ${expected}`);
  };
  return {
    streams: count("STREAMS", 1),
    perSecond: count("PER_SECOND", 1),
    seconds: count("SECONDS", 1),
    warmUpSeconds: count("WARM_UP", 0),
  };
}
