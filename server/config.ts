/**
 * The settings of `serve`: flags over environment over file over defaults. All errors are reported
 * at once, each with the value and what was expected.
 */
import { z } from "zod";
import { defaults, limits } from "./limits.js";
import { ADDRESS_PATTERN, isLocal } from "./net/address.js";
import { deviceSchema, overlappingDevices } from "./prover/device.js";
import { alternatives, placeOf, safeParse } from "./safe-parse.js";

const address = z
  .string("expected host:port or unix:/path")
  .regex(ADDRESS_PATTERN, {
    error: "expected host:port or unix:/path",
    abort: true,
  })
  .refine(
    (at) => Number(/:(\d+)$/.exec(at)?.[1] ?? 0) <= 65_535,
    "expected a port from 0 to 65535",
  );
const VALUE_LENGTH_MAX = 100;
const list = (value: unknown) => (typeof value === "string" ? value.split(",") : value);
const localAddress = address.refine(isLocal, 'expected a loopback host:port, unix:/path or "off"');
const path = z.string("expected the path of a file").min(1, "expected the path of a file");
const oneOf = <const T extends readonly string[]>(names: T) =>
  z.enum(names, `expected ${alternatives(names)}`);
/** As flags give it, as variables do, and as JSON does. */
const yesOrNo = z
  .union([z.boolean(), z.enum(["true", "false"])], "expected true or false")
  .transform((value) => String(value) === "true");
const bits = 'expected permission bits in octal, such as "0660"';
const octal = z
  .string(bits)
  .regex(/^0?[0-7]{3}$/, bits)
  .transform((text) => Number.parseInt(text, 8));
/** A whole number, also as text: flags and variables are text. */
const whole = (unit: string, min: number, max: number) => {
  const expected = `expected whole ${unit} from ${min} to ${max}`;
  return z.coerce.number(expected).int(expected).min(min, expected).max(max, expected);
};
const ms = (max: number) => whole("milliseconds", 1, max);
const addresses = "expected addresses, host:port or unix:/path, as a list or separated by commas";

/** `cpu` or `a,b` stand for devices with the defaults; text that begins with `[` is JSON. */
function deviceList(value: unknown): unknown {
  if (typeof value !== "string") return value;
  if (value.trimStart().startsWith("[")) {
    try {
      return JSON.parse(value);
    } catch {
      return value; // the schema rejects the text
    }
  }
  return value.split(",").map((id) => ({ id }));
}
const devices =
  `expected 1 to ${limits.devicesMax} devices: names separated by commas, ` +
  'or a JSON list such as [{"id": "gpu0", "cores": "0-3"}]';
const group = "expected the name or number of a group";
const folder = "expected the absolute path of a folder";
const nameOrDevice = z.preprocess(
  (value) => (typeof value === "string" ? { id: value } : value),
  deviceSchema,
);

const settings = z.strictObject({
  /**
   * Where nodes call, over gRPC, gRPC-Web, Connect or JSON. Plain text on loopback and Unix sockets;
   * elsewhere TLS is needed.
   */
  listen: z
    .preprocess(list, z.array(address, addresses).min(1, addresses))
    .default(["127.0.0.1:9190"]),
  /** The operator's listener, or "off". Without a policy, a caller that reaches it may do all. */
  admin: z
    .union([z.literal("off"), localAddress], 'expected a loopback host:port, unix:/path or "off"')
    .default("127.0.0.1:9192"),
  /** /metrics, /livez and /readyz in plain HTTP, to every caller that reaches it, or "off". */
  probes: z
    .union([z.literal("off"), address], 'expected host:port, unix:/path or "off"')
    .default("127.0.0.1:9191"),
  /** PEM: the certificate of the nodes' TCP addresses, its chain after it. */
  tlsCertificate: path.optional(),
  /** PEM: the certificate's key, without a passphrase. */
  tlsKey: path.optional(),
  /** PEM: authorities; given, a client must show a certificate of theirs. */
  tlsClientCa: path.optional(),
  /** Serve other machines without TLS: machines on the way can read and change what is sent. */
  insecurePlaintextOnNetwork: yesOrNo.default(false),
  /** Permission bits of Unix sockets but the operator's; a user that may write to one may call. */
  socketMode: octal.prefault(defaults.socketMode),
  /** Group of those sockets: a name or a number. Default: the process's own. */
  socketGroup: z.string(group).min(1, group).optional(),
  /** Who may do what: a JSON file, read again when it changes. Default: every caller may do all. */
  policy: path.optional(),
  /** What proves: names, or objects with cores, niceness, threads, environment and backend. */
  devices: z
    .preprocess(
      deviceList,
      z.array(nameOrDevice, devices).min(1, devices).max(limits.devicesMax, devices),
    )
    .superRefine((given, context) => {
      const overlap = overlappingDevices(given);
      if (overlap !== undefined) context.addIssue({ code: "custom", message: overlap });
    })
    .prefault(["cpu"]),
  /** "lean_pq" is the real prover; "fake" simulates and marks its results. */
  prover: oneOf(["lean_pq", "fake"]).default("lean_pq"),
  deadlineMs: ms(limits.deadlineMsMax).default(defaults.deadlineMs),
  fenceMs: ms(limits.fenceMsMax).default(defaults.fenceMs),
  drainMs: ms(60_000).default(defaults.drainMs),
  /** Set-up provers that wait beside the proving one, a device; auto: 1 where memory allows. */
  standby: oneOf(["auto", "0", "1"]).default("auto"),
  /** A prover that holds more than this is replaced between proofs. */
  proverMemoryMb: whole("megabytes", 256, 1_000_000).default(defaults.proverMemoryMb),
  /** Where device locks lie: the same folder for every service of a host. */
  lockDir: z.string(folder).regex(/^\//, folder).default("/tmp"),
  logLevel: oneOf(["debug", "info", "warn", "error", "silent"]).default("info"),
});

/** Rules for several settings together. In a message, `{tlsKey}` stands for a setting's name. */
const schema = settings.superRefine((config, context) => {
  const { tlsCertificate, tlsKey, tlsClientCa } = config;
  const problem = (key: keyof typeof config, message: string) => {
    context.addIssue({ code: "custom", path: [key], message });
  };
  if (tlsCertificate !== undefined && tlsKey === undefined) {
    problem("tlsKey", "name the private key of {tlsCertificate}");
  }
  if (tlsCertificate === undefined) {
    if (tlsKey !== undefined) problem("tlsCertificate", "name the certificate of {tlsKey}");
    else if (tlsClientCa !== undefined) {
      problem("tlsClientCa", "needs TLS: set {tlsCertificate} and {tlsKey}");
    }
    if (config.insecurePlaintextOnNetwork) return;
    const plain =
      "other machines can reach it in plain text: use a loopback address or a Unix socket, " +
      "or set {tlsCertificate} and {tlsKey}";
    if (!config.listen.every(isLocal)) problem("listen", plain);
  } else if (config.policy === undefined && !config.listen.every(isLocal)) {
    problem("policy", "other machines can call: name a policy file that says who may do what");
  }
});

export type Config = z.infer<typeof schema>;

/** One error of the settings. */
export interface Problem {
  /** The setting, by its name in a settings file. */
  key: string;
  /** Where in its value, such as `[0].cores`. Default: the whole value. */
  place?: string;
  /** What is wrong with the value, and what to do. `{tlsKey}` stands for another setting's name. */
  text: string;
}

/** The sentence for a problem. @param nameOf returns the name by which the user knows a setting */
export function problemText(
  { key, place = "", text }: Problem,
  nameOf: (key: string) => string = (name) => name,
): string {
  const named = text.replaceAll(/\{(\w+)\}/g, (braced, name: string) =>
    settingKeys.includes(name) ? nameOf(name) : braced,
  );
  return `${nameOf(key)}${place} ${named}`;
}

/** Every error of the settings at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map((problem) => problemText(problem)).join("\n"));
  }
}

/** Merges the sources, later ones winning, and checks the whole. */
export function parseConfig(...sources: readonly Record<string, unknown>[]): Config {
  // Not by assignment: that would take the settings in a file's "__proto__" for the whole's.
  const given = sources.flatMap((source) => Object.entries(withoutUndefined(source)));
  const merged: Record<string, unknown> = Object.fromEntries(given);
  const parsed = safeParse(schema, merged);
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.flatMap((issue) => problemsOf(issue, merged)));
  }
  return parsed.data;
}

function problemsOf(issue: z.core.$ZodIssue, merged: Record<string, unknown>): Problem[] {
  const [root, ...below] = issue.path;
  if (issue.code === "unrecognized_keys") {
    const within: unknown = root === undefined ? merged : issue.input;
    return issue.keys.map((name) => {
      const path = [...issue.path, name];
      const value = typeof within === "object" && within !== null ? Reflect.get(within, name) : "";
      const text = `is ${shown(value)}: there is no such setting`;
      return { key: String(path[0]), place: placeOf(path.slice(1)), text };
    });
  }
  const key = String(root ?? "the settings");
  // Of a list in one text, the wrong part says enough by itself.
  const isPart = typeof merged[key] === "string" && below.length === 1;
  const value = below.length === 0 ? merged[key] : issue.input;
  const is = value === undefined ? "is not given" : `is ${shown(value)}`;
  return [{ key, place: isPart ? "" : placeOf(below), text: `${is}: ${issue.message}` }];
}

/** The value as JSON, at most 100 characters of it. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= VALUE_LENGTH_MAX ? text : `${text.slice(0, VALUE_LENGTH_MAX)}…`;
}

/** The variable that sets a key: `LEAN_AGGREGATOR_DEADLINE_MS` sets `deadlineMs`. */
export function variableOf(key: string): string {
  return `LEAN_AGGREGATOR_${key.replace(/[A-Z]/g, "_$&").toUpperCase()}`;
}

/** The names of all settings. */
export const settingKeys: readonly string[] = Object.keys(schema.shape);

export function configFromEnvironment(env: Record<string, string | undefined>) {
  return Object.fromEntries(settingKeys.map((key) => [key, env[variableOf(key)]]));
}

function withoutUndefined(source: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined));
}
