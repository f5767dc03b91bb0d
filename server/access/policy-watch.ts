/** Applies each change of the policy file. An invalid file leaves the current policy in force. */
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import type { Logger } from "../log/log.js";
import type { Metrics } from "../metrics/metrics.js";
import { WatchedFile } from "../files/watched-file.js";
import type { Access } from "./access.js";
import type { Policy } from "./policy.js";
import { parsePolicy, PolicyError, readPolicyText } from "./policy-file.js";

/** Most problems logged for an invalid file; the command 'policy check' lists all. */
const PROBLEMS_LOGGED = 10;

/** A policy file as it was read when the service started. */
export interface PolicySource {
  path: string;
  text: string;
  policy: Policy;
}

/** Reads a policy file. Throws `PolicyError` when it is unreadable or invalid. */
export function loadPolicy(path: string): PolicySource {
  const text = readPolicyText(path);
  return { path, text, policy: parsePolicy(text) };
}

export interface PolicyWatchModules {
  clock: Clock;
  log: Logger;
  metrics: Metrics;
  access: Access;
}

/** Starts to poll the policy file when it is constructed. */
export class PolicyWatch {
  private readonly watched: WatchedFile<string | PolicyError>;
  /** Whether the policy that was last read is in force. */
  private isValid = true;

  constructor(
    { path, text }: PolicySource,
    private readonly modules: PolicyWatchModules,
  ) {
    const options = {
      everyMs: limits.policyPollMs,
      read: () => attempt(() => readPolicyText(path)),
      digestOf: (found: string | PolicyError) =>
        found instanceof PolicyError ? found.message : found,
      mustSettle: false,
      changed: (found: string | PolicyError) => this.take(path, found),
      // Also when the file is the same: tokens may have expired since the last poll.
      polled: () => modules.access.review(),
    };
    this.watched = new WatchedFile<string | PolicyError>(options, modules.clock, text);
  }

  close(): void {
    this.watched.close();
  }

  /** Reads the file now. Resolves with whether its policy is in force; otherwise logs why not. */
  async reload(): Promise<boolean> {
    await this.watched.reload();
    return this.isValid;
  }

  private take(path: string, found: string | PolicyError): void {
    const { access, log, metrics } = this.modules;
    const policy = found instanceof PolicyError ? found : attempt(() => parsePolicy(found));
    this.isValid = !(policy instanceof PolicyError);
    metrics.policyReloadSuccessful.set(this.isValid ? 1 : 0);
    if (!(policy instanceof PolicyError)) {
      access.replace(policy);
      log.info({ path, principals: policy.principals.length }, "policy replaced");
      return;
    }
    const problems = policy.problems.slice(0, PROBLEMS_LOGGED);
    const line = { path, wrong: policy.problems.length, problems };
    log.error(line, "new policy rejected; the current one stays in force");
  }
}

/** The result of `run`, or the `PolicyError` that it threw. */
function attempt<T>(run: () => T): T | PolicyError {
  try {
    return run();
  } catch (error) {
    if (error instanceof PolicyError) return error;
    throw error;
  }
}
