/**
 * Restrictions on a prover process, set before it reads any outside input: it runs native code over
 * untrusted bytes. `forked-prover.ts` chooses its environment and descriptors. All of this works on
 * Linux; elsewhere only the resource limits do.
 */
import type { Addon } from "../../native/addon.js";
import { limits } from "../limits.js";

/**
 * Restricts the service before it starts a prover. Every prover inherits closed descriptors and "no
 * new privileges", which a running process could set for one thread only. A prover of the same user
 * can then not read the service's memory, environment and descriptors through `/proc`; it can still
 * read that user's files.
 */
export function confineService(addon: Addon): void {
  addon.hideDescriptors();
  addon.forbidNewPrivileges();
  addon.forbidInspection();
}

/**
 * Restricts a prover before its backend loads. A core dump of an aborted 3 GB prover would keep the
 * device busy until it is written. A dump that is piped to a program ignores the limit, so
 * inspection is forbidden too.
 */
export function confineProver(addon: Addon, fileBytesMax: number): void {
  addon.limitResource("core", 0);
  addon.limitResource("files", limits.proverFilesMax);
  addon.limitResource("fileBytes", fileBytesMax);
  addon.forbidInspection();
}
