/** `doctor`'s checks of the engine: its servers, this process's certificate, and its permissions. */
import type { Config } from "../../server/config/config.js";
import { problemText } from "../../server/config/config-error.js";
import { checkEngineFiles } from "../../server/engine/engine-files.js";
import { engineTlsFiles } from "../../server/engine/engine-settings.js";
import type { Needs, ServerCheck } from "../../server/engine/nats-check.js";
import { checkServer } from "../../server/engine/nats-check.js";
import { subjects } from "../../server/fleet/wire/subjects.js";
import { SOON_MS } from "./file-checks.js";
import type { Finding } from "./finding.js";
import { fail, ok, warn } from "./finding.js";

export type EngineConfig = Pick<
  Config,
  "engine" | "engineCell" | "engineCa" | "engineCertificate" | "engineKey"
>;

/** Who this process is to the engine. */
export interface EngineRole {
  readonly role: "door" | "host";
  /** Undefined: the user has set none, and the servers may bind permissions to one. */
  readonly id: string | undefined;
  /** True when nothing can be proved without the engine. */
  readonly isNeeded: boolean;
}

/** One line for each server, and one for the certificates if there are any. */
export async function checkEngine(
  config: EngineConfig,
  role: EngineRole,
  nowUnixMs: number,
): Promise<(readonly [name: string, finding: Finding])[]> {
  const { inbox } = subjects(config.engineCell);
  const id = role.id ?? UNNAMED;
  const options = {
    name: `lean-aggregator doctor ${id}`,
    inboxPrefix: inbox(role.role, id),
    tls: engineTlsFiles(config),
  };
  const needs = needsOf(config.engineCell, role.role, id);
  const servers = await Promise.all(
    config.engine.map(async (url) => ({ url, check: await checkServer(url, options, needs) })),
  );
  const isAnyUp = servers.some(({ check }) => check.kind === "connected");
  // With another server, or devices of its own, the service works on.
  const bad = role.isNeeded && !isAnyUp ? fail : warn;
  return [
    ...certificates(config, nowUnixMs),
    ...servers.map(
      ({ url, check }) => ["engine", judge(url, check, role, bad, nowUnixMs)] as const,
    ),
  ];
}

/** A name that no door or lane host has, for what a role does to others. */
const UNNAMED = "doctor";

function needsOf(cell: string, role: "door" | "host", id: string): Needs {
  const { fromHost, toHost, toDoor, inbox } = subjects(cell);
  const answers = `${inbox(role, id)}.>`;
  return role === "door"
    ? { publish: [toHost(UNNAMED, id)], subscribe: [fromHost("*"), toDoor(id, "*"), answers] }
    : { publish: [fromHost(id), toDoor(UNNAMED, id)], subscribe: [toHost(id, "*"), answers] };
}

function certificates(config: EngineConfig, nowUnixMs: number) {
  const { problems, expiresAtMs } = checkEngineFiles({ ...config }, nowUnixMs);
  if (problems.length > 0) {
    const text = problems.map((problem) => problemText(problem)).join("; ");
    return [["engine", fail(text)] as const];
  }
  if (expiresAtMs === undefined) return [];
  return [["engine", expiry("certificates for it are", expiresAtMs, nowUnixMs)] as const];
}

function expiry(what: string, expiresAtMs: number, nowUnixMs: number): Finding {
  const text = `${what} valid until ${new Date(expiresAtMs).toISOString()}`;
  return expiresAtMs - nowUnixMs < SOON_MS ? warn(`${text}: renew them`) : ok(text);
}

function judge(
  url: string,
  check: ServerCheck,
  { role, id }: EngineRole,
  bad: (text: string) => Finding,
  nowUnixMs: number,
): Finding {
  if (check.kind === "unreachable") return bad(`${url} cannot be used: ${check.reason}`);
  const { server, roundTripMs, serverExpiresAtMs, refused } = check;
  if (refused.length > 0) {
    const flag = role === "door" ? "--service-id" : "--host-id";
    const todo =
      id === undefined
        ? `set ${flag} to the name in the certificate, and see deploy/nats/permissions.conf`
        : `allow it for user ${id}, as in deploy/nats/permissions.conf`;
    return fail(`${url} (${server}) refuses this ${role} to ${refused.join(", to ")}: ${todo}`);
  }
  const trip = `round trip ${roundTripMs.toFixed(1)} ms`;
  const text = `${url} is ${server}, ${trip}; it allows what a ${role} needs`;
  if (serverExpiresAtMs === undefined) return ok(text);
  return expiry(`${text}; its certificate is`, serverExpiresAtMs, nowUnixMs);
}
