/** Finds the schedule of the proof system that a request names. */
import { invalid, quoted } from "../errors.js";
import type { Schedule } from "../schedule/schedule.js";
import type { Schedules } from "../schedule/schedules.js";
import type { ProofSystemName } from "../work/prover-description.js";

interface Asked {
  /** Default: no name. */
  readonly asked?: ProofSystemName | undefined;
  /** Slot of the snapshot, by which an upgrade decides. */
  readonly slot: bigint;
}

/**
 * The schedule of the proof system that the request means. Undefined when it may come yet: before the
 * default is chosen, and while a device that may prove what is named is being set up. Throws a
 * `Refusal` for a name that no device has.
 */
export function askedSchedule(
  schedules: Pick<Schedules, "find" | "all" | "isStarting">,
  { asked = { scheme: "", revision: "" }, slot }: Asked,
): Schedule | undefined {
  const found = schedules.find(asked, slot);
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
