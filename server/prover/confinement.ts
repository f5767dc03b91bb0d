/**
 * What a prover process is kept from, before it reads anything that came from outside: it holds
 * native code over the bytes of strangers. The environment and the descriptors that it gets are
 * `process-prover.ts`'s. Linux does all of this; elsewhere there are the limits alone.
 */
import type { Addon } from "../../native/addon.js";
import { limits } from "../limits.js";

/**
 * For the service, before it starts a prover. Both go on to every prover, to all of its threads: a
 * running process could set the second for one thread only. A prover of the same user can then not
 * read the service's memory, environment and descriptors through `/proc`; what that user may read
 * in files, it still can.
 */
export function confineService(addon: Addon): void {
  addon.hideDescriptors();
  addon.forbidNewPrivileges();
  addon.forbidInspection();
}

/**
 * For the prover, before its backend loads. Without this a prover of 3 GB that aborts would be
 * written out first, and its device be taken meanwhile: a core dump that goes to a program heeds
 * no limit, so inspection is forbidden as well.
 */
export function confineProver(addon: Addon, fileBytesMax: number): void {
  addon.limitResource("core", 0);
  addon.limitResource("files", limits.proverFilesMax);
  addon.limitResource("fileBytes", fileBytesMax);
  addon.forbidInspection();
}
