/** The settings of the command `prove`: as those of `serve`, but for what serves nodes. */
import { hostname } from "node:os";
import { z } from "zod";
import { checkFake, deviceSettings, probes } from "./devices.js";
import { path, yesOrNo } from "./kinds.js";
import { parseSettings } from "./parse.js";
import { checkPlaces } from "./places.js";
import { checkEngine, engineSettings } from "../engine/engine-settings.js";
import { TOKEN_EXPECTED, tokenPattern } from "../engine/subject.js";

const id = `expected ${TOKEN_EXPECTED}`;

const settings = z.strictObject({
  ...engineSettings,
  /**
   * Names the lane host to services, over all its runs. Default: the name of this machine without
   * its domain.
   */
  hostId: z.string(id).regex(tokenPattern, id).optional(),
  probes,
  /** File to which a line is added for each attempt, verdict and act of an operator. Default: none. */
  audit: path.optional(),
  /** Allows an engine on other machines in plain text: the network can read and change all. */
  insecurePlaintextOnNetwork: yesOrNo.default(false),
  ...deviceSettings,
});

/** The name of this machine without its domain. */
function hostIdOfMachine(): string {
  return hostname().split(".", 1)[0] ?? "";
}

const schema = settings
  .superRefine((config, context) => {
    const problem = (key: keyof typeof config, message: string) => {
      context.addIssue({ code: "custom", path: [key], message });
    };
    checkFake(config, problem);
    checkEngine(config, problem);
    if (config.engine.length === 0) {
      problem("engine", "name the servers of NATS by which services find this host");
    }
    if (config.hostId === undefined && !tokenPattern.test(hostIdOfMachine())) {
      const name = JSON.stringify(hostIdOfMachine());
      problem("hostId", `this machine's name, ${name}, is not usable: expected ${TOKEN_EXPECTED}`);
    }
  })
  .transform((config) => ({ ...config, hostId: config.hostId ?? hostIdOfMachine() }));

export type ProveConfig = z.infer<typeof schema>;

/**
 * Merges the sources, of which a later one wins, and checks the engine's certificates and the place
 * of the probes' socket. Throws `ConfigError` with every error.
 */
export function parseProveConfig(
  sources: readonly Readonly<Record<string, unknown>>[],
): ProveConfig {
  const config = parseSettings(schema, sources);
  checkPlaces(config);
  return config;
}

/** The defaults, as a help text shows them. */
export function proveDefaults(): Readonly<Record<string, unknown>> {
  return settings.parse({});
}

/** The names of all settings. */
export const proveSettingKeys: readonly string[] = Object.keys(settings.shape);
