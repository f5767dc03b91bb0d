/** The policy file as commands read it: what is wrong with it ends them as a wrong setting does. */
import { usageError } from "./command.js";
import { PolicyError } from "../../server/access/policy-file.js";
import { loadPolicy } from "../../server/access/policy-watch.js";
import type { PolicySource } from "../../server/access/policy-watch.js";
import type { Finding } from "../doctor/finding.js";
import { fail, ok } from "../doctor/finding.js";

/** Throws `CommandError` with exit code 2, which names every problem and its place. */
export function readPolicy(path: string): PolicySource {
  try {
    return loadPolicy(path);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    const { problems } = error;
    const lines = problems.map(({ place, text }) => `\n  ${place}: ${text}`);
    const todo = `see 'lean-aggregator policy --help'${lines.join("")}`;
    throw usageError(
      "the policy cannot be used",
      `${path} (${problems.length} wrong)`,
      todo,
      error,
    );
  }
}

/** `doctor`'s check of it. */
export function checkPolicy(path: string): Finding {
  try {
    const { principals } = loadPolicy(path).policy;
    return ok(`${path} names ${principals.length} principals`);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return fail(`${path} cannot be used: ${error.message.replaceAll("\n", "; ")}`);
  }
}
