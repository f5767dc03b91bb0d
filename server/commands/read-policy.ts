/** The policy file as commands read it: what is wrong with it ends them as a wrong setting does. */
import { usageError } from "../../client/commands/command-error.js";
import { PolicyError } from "../access/policy-file.js";
import { loadPolicy } from "../access/policy-watch.js";
import type { PolicySource } from "../access/policy-watch.js";

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
