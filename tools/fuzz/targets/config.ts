/** Settings are refused with every problem named, or parse to what parses to itself again. */
import { ConfigError } from "../../../server/config/config-error.js";
import { configFromEnvironment, parseConfig } from "../../../server/config/config.js";
import { limits } from "../../../server/limits.js";
import { mutateValue } from "../engine/mutate-value.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";

/** In both forms: as a file has them, and as variables do. */
interface Sources {
  file: Record<string, unknown>;
  env: Record<string, string>;
}

const encode = (sources: unknown) => new TextEncoder().encode(JSON.stringify(sources));
const seeds: Sources[] = [
  { file: {}, env: {} },
  {
    file: { listen: ["127.0.0.1:0", "unix:/tmp/a.sock"], probes: "[::1]:9191", admin: "off" },
    env: {},
  },
  {
    file: {
      devices: [
        { id: "a", cores: "0-3,6" },
        { id: "b", cores: [4], nice: -5, env: { A: "b" } },
      ],
    },
    env: { LEAN_AGGREGATOR_DEADLINE_MS: "500", LEAN_AGGREGATOR_PROVER: "fake" },
  },
  { file: {}, env: { LEAN_AGGREGATOR_DEVICES: '[{"id":"gpu0","threads":4}]' } },
  {
    file: { standby: "auto", runtimeDir: "/run" },
    env: { LEAN_AGGREGATOR_LISTEN: "localhost:1,[::1]:2" },
  },
];

export const target: FuzzTarget = {
  name: "config",
  bytesMax: 4096,
  msMax: 25,
  msPerKb: 10,
  seeds: () => seeds.map(encode),
  mutate: (input, random) => {
    const parsed = parse(input);
    return parsed === undefined ? input : encode(mutateValue(parsed, random));
  },
  open: () => ({ run }),
};

function parse(input: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(input).toString());
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function run(input: Uint8Array): void {
  const sources = parse(input);
  if (!isObject(sources)) return;
  const { file, env } = sources;
  if (!isObject(file) || !isObject(env)) return;
  const variables = Object.entries(env).filter(([, value]) => typeof value === "string");
  const fromEnv = configFromEnvironment(Object.fromEntries(variables) as Record<string, string>);
  let config;
  try {
    config = parseConfig(file, fromEnv);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    holds(error.problems.length > 0, "a refusal names a problem");
    return;
  }
  const known = new Set(Object.keys(config));
  for (const key of Object.keys(file)) holds(known.has(key), `${key} is no setting`);
  holds(config.listen.length > 0, "something is listened on");
  const ids = config.devices.map(({ id }) => id);
  holds(new Set(ids).size === ids.length && ids.length <= limits.devicesMax, "a device has a name");
  // The one setting that is written otherwise than it is used.
  const socketMode = `0${config.socketMode.toString(8)}`;
  const again = parseConfig({ ...config, socketMode });
  holds(JSON.stringify(again) === JSON.stringify(config), "settings parse to themselves");
}
