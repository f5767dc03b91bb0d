/** Engines over NATS for suites: with certificates, a log that can be read, and a way to wait. */
import type { Engine } from "../../server/engine/engine.js";
import { systemClock } from "../../server/clock.js";
import { openNatsEngine } from "../../server/engine/nats-engine.js";
import type { EngineTlsFiles } from "../../server/engine/nats-dial.js";
import { subjects } from "../../server/fleet/wire/subjects.js";
import { filesOf } from "./certificates.js";
import type { Authority, IssueOptions } from "../../tools/harness/processes/authority.js";

/** One line of the log. */
export interface Logged {
  readonly fields: Record<string, unknown>;
  readonly text: string;
}

export interface Client {
  readonly engine: Engine;
  readonly warnings: readonly Logged[];
  /** Resolves with the status once `isAsWanted` is true of it. */
  until(isAsWanted: (status: Engine["status"]) => boolean): Promise<Engine["status"]>;
}

export interface ClientOptions {
  readonly servers: readonly string[];
  /** Default: "test". */
  readonly inboxPrefix?: string;
  /** Default: no files. */
  readonly tls?: Partial<EngineTlsFiles>;
}

/** Of subjects that are not the fleet's: that of clients with the default prefix. */
const inboxOf = (subject: string) => subjects("main").senderInbox(subject) ?? "test";

/** Begins at the first of the servers. */
export async function openClient(options: ClientOptions): Promise<Client> {
  const { servers, inboxPrefix = "test", tls } = options;
  const warnings: Logged[] = [];
  const log = {
    debug: () => {},
    info: () => {},
    warn: (fields: object, text = "") => void warnings.push({ fields: { ...fields }, text }),
    error: () => {},
  };
  const files = { ca: undefined, certificate: undefined, key: undefined, ...tls };
  const engine = await openNatsEngine(
    { name: "test", servers, inboxPrefix, inboxOf, tls: files },
    { clock: systemClock, log, random: () => 0 },
  );
  return {
    engine,
    warnings,
    until: (isAsWanted) =>
      new Promise((resolve) => {
        const check = () => {
          if (isAsWanted(engine.status)) resolve(engine.status);
        };
        engine.onStatus(check);
        check();
      }),
  };
}

/** The files of a certificate that names a user of the engine. */
export function userFiles(authority: Authority, user: string, more: IssueOptions = {}) {
  const { certificate, key } = authority.issue({ dnsNames: [user], ips: [], ...more });
  return filesOf({ ca: authority.certificate, certificate, key });
}
