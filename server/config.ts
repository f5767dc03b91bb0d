/**
 * Configuration of `serve`: flags over environment over file over defaults. All errors are
 * reported at once, each with the value and what is expected.
 */
import { z } from "zod";
import { defaults, limits } from "./limits.js";
import { deviceSchema, overlappingDevices } from "./prover/device.js";
import { safeParse } from "./safe-parse.js";

const address = z.string().regex(/^(unix:\/.+|([^\s:[\]]+|\[[0-9a-f:]+\]):\d{1,5})$/, {
  error: "expected host:port or unix:/path",
  abort: true,
});
/** What no other machine reaches. */
const isLocal = (at: string) =>
  at.startsWith("unix:") || /^(127\.\d+\.\d+\.\d+|localhost|\[::1\]):/.test(at);
const list = (value: unknown) => (typeof value === "string" ? value.split(",") : value);
const localAddress = address.refine(isLocal, "only loopback addresses and Unix sockets are served");
const path = z.string().min(1, "expected a path");
/** As flags give it, as variables do, and as JSON does. */
const yesOrNo = z
  .union([z.boolean(), z.enum(["true", "false"])], "expected true or false")
  .transform((value) => String(value) === "true");
const bits = "expected permission bits in octal, as text, such as 0660";
const octal = z
  .string(bits)
  .regex(/^0?[0-7]{3}$/, bits)
  .transform((text) => Number.parseInt(text, 8));
const ms = (max: number) => z.coerce.number().int().min(1).max(max);

/** `cpu` or `a,b` stand for devices with the defaults; text that begins with `[` is JSON. */
function deviceList(value: unknown): unknown {
  if (typeof value !== "string") return value;
  if (value.trimStart().startsWith("[")) {
    try {
      return JSON.parse(value);
    } catch {
      return value; // refused by the schema, with the text
    }
  }
  return value.split(",").map((id) => ({ id }));
}
const nameOrDevice = z.preprocess(
  (value) => (typeof value === "string" ? { id: value } : value),
  deviceSchema,
);

const settings = z.strictObject({
  /** gRPC listeners. Plain text on loopback and Unix sockets; elsewhere TLS is needed. */
  listen: z.preprocess(list, z.array(address).min(1)).default(["127.0.0.1:9190"]),
  http: address.default("127.0.0.1:9191"),
  /** The operator's listener, or "off". Whoever reaches it may drain devices and end sessions. */
  admin: z
    .union([z.literal("off"), localAddress], 'expected a loopback host:port, unix:/path or "off"')
    .default("127.0.0.1:9192"),
  /** /livez and /readyz alone, in plain HTTP on any address, or "off". */
  probes: z
    .union([z.literal("off"), address], 'expected host:port, unix:/path or "off"')
    .default("off"),
  /** PEM: the certificate of every TCP listener but the operator's, its chain after it. */
  tlsCertificate: path.optional(),
  /** PEM: the certificate's key, without a passphrase. */
  tlsKey: path.optional(),
  /** PEM: authorities; given, a client must show a certificate of theirs. */
  tlsClientCa: path.optional(),
  /** Serve other machines without TLS: whoever is on the way reads and changes what is sent. */
  insecurePlaintextOnNetwork: yesOrNo.default(false),
  /** Permission bits of Unix sockets but the operator's; whoever may write may call. */
  socketMode: octal.prefault(defaults.socketMode),
  /** Group of those sockets: a name or a number. Default: the process's own. */
  socketGroup: z.string().min(1).optional(),
  /** Who may do what: a JSON file, read again when it changes. Default: who reaches us may do all. */
  policy: path.optional(),
  /** What proves: names, or objects with cores, niceness, threads, environment and backend. */
  devices: z
    .preprocess(deviceList, z.array(nameOrDevice).min(1).max(limits.devicesMax))
    .superRefine((devices, context) => {
      const overlap = overlappingDevices(devices);
      if (overlap !== undefined) context.addIssue({ code: "custom", message: overlap });
    })
    .prefault(["cpu"]),
  /** "lean_pq" is the real prover; "fake" simulates and marks its results. */
  prover: z.enum(["lean_pq", "fake"]).default("lean_pq"),
  deadlineMs: ms(limits.deadlineMsMax).default(defaults.deadlineMs),
  fenceMs: ms(limits.fenceMsMax).default(defaults.fenceMs),
  drainMs: ms(60_000).default(defaults.drainMs),
  /** Set-up provers that wait beside the proving one, a device; auto: 1 where memory allows. */
  standby: z.enum(["auto", "0", "1"]).default("auto"),
  /** A prover that holds more than this is replaced between proofs. */
  proverMemoryMb: z.coerce.number().int().min(256).max(1_000_000).default(defaults.proverMemoryMb),
  /** Where device locks lie: the same folder for every service of a host. */
  lockDir: z.string().regex(/^\//, "expected an absolute path").default("/tmp"),
  logLevel: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
});

/** What no setting shows by itself. */
const schema = settings.superRefine((config, context) => {
  const { tlsCertificate, tlsKey, tlsClientCa } = config;
  const problem = (key: keyof typeof config, message: string) => {
    context.addIssue({ code: "custom", path: [key], message });
  };
  if (tlsCertificate !== undefined && tlsKey === undefined) {
    problem("tlsKey", "expected the key of tlsCertificate");
  }
  if (tlsCertificate === undefined) {
    if (tlsKey !== undefined) problem("tlsCertificate", "expected the certificate of tlsKey");
    else if (tlsClientCa !== undefined) {
      problem("tlsClientCa", "asks clients for certificates over TLS: give tlsCertificate, tlsKey");
    }
    if (config.insecurePlaintextOnNetwork) return;
    const plain =
      "plain text is served on loopback addresses and Unix sockets only: give tlsCertificate";
    if (!config.listen.every(isLocal)) problem("listen", plain);
    if (!isLocal(config.http)) problem("http", plain);
  } else if (config.policy === undefined && ![...config.listen, config.http].every(isLocal)) {
    problem("policy", "expected a file that says who may do what: other machines can call");
  }
});

export type Config = z.infer<typeof schema>;

/** What is wrong with one setting: its name, and the value with what is expected. */
export interface Problem {
  key: string;
  text: string;
}

/** Every problem of a configuration at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map(({ key, text }) => `${key} ${text}`).join("\n"));
  }
}

/** Merges the sources, later ones winning, and checks the whole. */
export function parseConfig(...sources: readonly Record<string, unknown>[]): Config {
  // Not by assignment: that would take the settings in a file's "__proto__" for the whole's.
  const given = sources.flatMap((source) => Object.entries(withoutUndefined(source)));
  const merged: Record<string, unknown> = Object.fromEntries(given);
  const problem = (key: string, expected: string): Problem => {
    const is = key in merged ? `is ${JSON.stringify(merged[key])}` : "is not given";
    return { key, text: `(${is}): ${expected}` };
  };
  const parsed = safeParse(schema, merged);
  if (!parsed.success) {
    throw new ConfigError(
      parsed.error.issues.flatMap((issue) =>
        issue.code === "unrecognized_keys"
          ? issue.keys.map((key) => problem(key, "there is no such setting"))
          : problem(String(issue.path[0] ?? "settings"), issue.message),
      ),
    );
  }
  return parsed.data;
}

/** The variable that sets a key: `LEAN_AGGREGATOR_DEADLINE_MS` sets `deadlineMs`. */
export function variableOf(key: string): string {
  return `LEAN_AGGREGATOR_${key.replace(/[A-Z]/g, "_$&").toUpperCase()}`;
}

export function configFromEnvironment(env: Record<string, string | undefined>) {
  return Object.fromEntries(Object.keys(schema.shape).map((key) => [key, env[variableOf(key)]]));
}

function withoutUndefined(source: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined));
}
