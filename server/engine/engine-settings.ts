/**
 * The settings of the engine, the same for every command that uses it. Without `engine` there is
 * none, and the other settings have no use.
 */
import { z } from "zod";
import { isLocalAddress, readAddress, writeAddress } from "../../proto/address.js";
import { limits } from "../limits.js";
import type { EngineTlsFiles } from "./nats-dial.js";
import { TOKEN_EXPECTED, tokenPattern } from "./subject.js";

const DEFAULT_PORT = 4222;
const DEFAULT_CELL = "main";
const URLS =
  `expected 1 to ${limits.engineServersMax} servers of NATS, ` +
  "such as tls://nats-0.example:4222, separated by commas";

/** A URL in one form, with its port. */
const serverUrl = z.string(URLS).transform((text, context) => {
  const problem = (message: string) => {
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  };
  const [, scheme = "", rest = ""] = /^(nats|tls):\/\/([^/?#]*)\/?$/i.exec(text) ?? [];
  const [, other = "nats"] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text) ?? [];
  if (text.includes("@")) {
    return problem(
      "a user or password is not taken: servers know this process by {engineCertificate}",
    );
  }
  if (!/^(nats|tls)$/i.test(other)) {
    return problem(`${other}:// is not the scheme of a server of NATS: write tls:// or nats://`);
  }
  if (text === "") return problem("a server is empty: remove a comma, or name one");
  if (!text.includes("://")) return problem("has no scheme: put tls:// or nats:// before it");
  if (rest === "") return problem(URLS);
  const hasPort = /:\d*$/.test(rest.replace(/\[.*\]/, ""));
  const address = readAddress(hasPort ? rest : `${rest}:${DEFAULT_PORT}`);
  if (address.kind === "problem") return problem(address.text);
  if (address.kind === "unix" || address.port === 0) return problem(URLS);
  return `${scheme.toLowerCase()}://${writeAddress(address)}`;
});

const urlList = (value: unknown) =>
  typeof value === "string" ? value.split(",").map((part) => part.trim()) : value;
const file = z.string("expected the path of a file").min(1, "expected the path of a file");
const cell = `expected ${TOKEN_EXPECTED}`;

export const engineSettings = {
  /** Servers of the engine, as nats:// or tls:// URLs. Default: none, and so no engine. */
  engine: z
    .preprocess(urlList, z.array(serverUrl, URLS).max(limits.engineServersMax, URLS))
    .default([]),
  /** Doors and lane hosts of one cell work together; several cells may share one engine. */
  engineCell: z.string(cell).regex(tokenPattern, cell).default(DEFAULT_CELL),
  /** PEM file: authorities of the servers' certificates. Default: those that Node.js knows. */
  engineCa: file.optional(),
  /** PEM file: the certificate by which the servers know this process, then its chain. */
  engineCertificate: file.optional(),
  /** PEM file: the private key of the certificate, without a passphrase. */
  engineKey: file.optional(),
};

export type EngineSettings = z.infer<z.ZodObject<typeof engineSettings>>;

const FILES = ["engineCa", "engineCertificate", "engineKey"] as const;

/** Adds an issue for each setting that does not fit the others. */
export function checkEngine(
  config: EngineSettings & { readonly insecurePlaintextOnNetwork: boolean },
  problem: (key: keyof EngineSettings, message: string) => void,
): void {
  const { engine, engineCell, engineCertificate, engineKey, insecurePlaintextOnNetwork } = config;
  if (engine.length === 0 && engineCell !== DEFAULT_CELL) {
    problem("engineCell", "is for an engine: name its servers in {engine}");
  }
  const isTls = engine.some((url) => url.startsWith("tls:"));
  for (const key of FILES) {
    if (config[key] !== undefined && !isTls) {
      problem(key, "is for servers with TLS: name one as tls://host:port in {engine}");
    }
  }
  if (engineCertificate !== undefined && engineKey === undefined) {
    problem("engineKey", "name the private key of {engineCertificate}");
  }
  if (engineCertificate === undefined && engineKey !== undefined) {
    problem("engineCertificate", "name the certificate of {engineKey}");
  }
  const remote = engine.filter((url) => !isLocalUrl(url));
  if (insecurePlaintextOnNetwork || remote.length === 0) return;
  if (remote.some((url) => url.startsWith("nats:"))) {
    const plain = "other machines can read and change what is sent there in plain text";
    problem("engine", `${plain}: name the server as tls://host:port`);
  } else if (engineCertificate === undefined && engineKey === undefined) {
    const missing = "other machines can reach the servers of {engine}, so those must know their";
    problem("engineCertificate", `${missing} clients: name a certificate and {engineKey}`);
  }
}

/** The files in the form that `openNatsEngine` takes. */
export function engineTlsFiles(config: EngineSettings): EngineTlsFiles {
  const { engineCa, engineCertificate, engineKey } = config;
  return { ca: engineCa, certificate: engineCertificate, key: engineKey };
}

function isLocalUrl(url: string): boolean {
  const address = readAddress(url.replace(/^\w+:\/\//, ""));
  return address.kind !== "problem" && isLocalAddress(address);
}
