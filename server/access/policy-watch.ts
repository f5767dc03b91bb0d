/**
 * Polls the policy file's content, because Kubernetes replaces links, which a file watch does not
 * see. An invalid file leaves the current policy in force.
 */
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import type { Logger } from "../log.js";
import type { Metrics } from "../metrics.js";
import type { Access } from "./access.js";
import type { Policy } from "./policy.js";
import { parsePolicy, PolicyError, readPolicyText } from "./policy-file.js";

/** Problems logged at each reload; 'policy check' lists all. */
const PROBLEMS_LOGGED = 10;

/** A policy as it was first read. */
export interface PolicySource {
  path: string;
  text: string;
  policy: Policy;
}

/** Throws `PolicyError`. */
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

export class PolicyWatch {
  private cancel = () => {};
  /** What the last poll found: the text, or why it could not be read. */
  private seen: string;

  constructor(
    private readonly source: PolicySource,
    private readonly modules: PolicyWatchModules,
  ) {
    this.seen = source.text;
    this.again();
  }

  close(): void {
    this.cancel();
  }

  private again(): void {
    const { clock } = this.modules;
    this.cancel = clock.at(clock.nowMs() + limits.policyPollMs, () => {
      this.look();
      this.again();
    });
  }

  private look(): void {
    const { access, log, metrics } = this.modules;
    const { path } = this.source;
    const read = attempt(() => readPolicyText(path));
    const seen = read instanceof PolicyError ? read.message : read;
    if (seen !== this.seen) {
      this.seen = seen;
      const policy = read instanceof PolicyError ? read : attempt(() => parsePolicy(read));
      const isGood = !(policy instanceof PolicyError);
      metrics.policyReloadSuccessful.set(isGood ? 1 : 0);
      if (isGood) {
        access.replace(policy);
        log.info({ path, principals: policy.principals.length }, "policy replaced");
      } else {
        const { length: wrong } = policy.problems;
        const problems = policy.problems.slice(0, PROBLEMS_LOGGED);
        log.error({ path, wrong, problems }, "new policy rejected; the current one stays in force");
      }
    }
    // Tokens may have expired since.
    access.review();
  }
}

function attempt<T>(run: () => T): T | PolicyError {
  try {
    return run();
  } catch (error) {
    if (error instanceof PolicyError) return error;
    throw error;
  }
}
