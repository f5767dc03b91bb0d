/**
 * How a prover process ended, as one text for people: what happened, and which function of the C
 * ABI was running. Pure; `child-process.ts` gathers the facts.
 */
import type { ChildRequest } from "./messages.js";

/** What a signal says about a process that ended by it. */
const SIGNAL_MEANINGS: Readonly<Record<string, string>> = {
  SIGABRT: "abort() ran, as after a failed assertion, an uncaught exception or a call of exit()",
  SIGBUS: "it read memory that no longer exists, such as a file that was cut short",
  SIGFPE: "it divided by zero",
  SIGILL:
    "it used an instruction that this processor lacks; lean_pq on x86_64 needs AVX2 and PCLMULQDQ",
  SIGKILL: "something outside the service killed it",
  SIGSEGV: "it used memory that is not its own",
  SIGSYS: "it made a system call that is not allowed here",
  SIGTERM: "something outside the service ended it",
  SIGXFSZ: `it wrote a file larger than the device's "fileMb"`,
};

/** How the process ended by itself: by a signal, or else with an exit code. */
export function exitText(code: number | null, signal: string | null): string {
  if (signal === null) return `it ended itself with exit code ${code ?? "unknown"}`;
  const meaning = SIGNAL_MEANINGS[signal];
  return meaning === undefined ? signal : `${signal}: ${meaning}`;
}

const FUNCTIONS: Readonly<Record<ChildRequest["kind"], string>> = {
  prove: "lp_api.prove",
  verifySignatures: "lp_api.verify_signatures",
  verify: "lp_api.verify",
};

/** The function of the C ABI that answers this request. */
export const functionOf = (kind: ChildRequest["kind"]): string => FUNCTIONS[kind];

/**
 * The requests that the library was answering, of all that are unanswered, in their order. A proof and
 * one verification may run at once; further verifications wait for the first.
 */
export function runningOf<T extends Pick<ChildRequest, "kind">>(unanswered: readonly T[]): T[] {
  const proof = unanswered.filter(({ kind }) => kind === "prove").slice(0, 1);
  const verification = unanswered.filter(({ kind }) => kind !== "prove").slice(0, 1);
  return [...proof, ...verification];
}

/** Which functions of the library were running; `running` as `runningOf` returns it. */
export function runningText(
  isSetUp: boolean,
  running: readonly Pick<ChildRequest, "kind">[],
): string {
  if (!isSetUp) return "during its setup";
  const names = running.map(({ kind }) => functionOf(kind));
  return names.length === 0 ? "while no call ran" : `in ${names.join(" and ")}`;
}
