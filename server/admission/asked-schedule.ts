/** Finds the schedule of the proof system that a request names. */
import { invalid, quoted } from "../errors.js";
import type { Schedule, Schedules } from "../schedule/schedules.js";
import type { ProofSystemName } from "../work/prover-description.js";

/**
 * The schedule of the proof system that the request means. Undefined when it may come yet: before the
 * default is chosen, and while a device that may prove what is named is being set up. Throws a
 * `Refusal` for a name that no device has.
 */
export function askedSchedule(
  schedules: Pick<Schedules, "find" | "all" | "isStarting">,
  asked: ProofSystemName = { scheme: "", revision: "" },
): Schedule | undefined {
  const found = schedules.find(asked);
  const isDefault = asked.scheme === "" && asked.revision === "";
  if (found !== undefined || isDefault || schedules.isStarting) return found;
  const offers = schedules.all();
  if (offers.length === 0) return undefined;
  const hasScheme =
    asked.scheme === "" || offers.some(({ prover }) => prover.scheme === asked.scheme);
  const field = hasScheme ? "revision" : "scheme";
  const names = offers.map(({ name }) => quoted(name)).join(", ");
  const detail = `is ${quoted(asked[field])}, this server proves ${names}`;
  throw invalid(`proof_system.${field}`, detail);
}
