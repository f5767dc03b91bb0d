/**
 * Restrictions on a prover process, which runs native code over untrusted bytes. They are set
 * before the process reads any. `forked-prover.ts` chooses its environment and descriptors. On
 * Linux all restrictions work; elsewhere only the resource limits do.
 */
import type { Addon } from "../../native/addon.js";
import { limits } from "../limits.js";

/**
 * Restricts the service before it starts a prover. A prover then inherits only descriptors that are
 * passed to it, and "no new privileges", which a process with several threads can set for one of
 * them only. A prover of the same user cannot read the service's memory, environment and
 * descriptors through `/proc`; it can still read that user's files.
 */
export function confineService(addon: Addon): void {
  addon.hideDescriptors();
  addon.forbidNewPrivileges();
  addon.forbidInspection();
}

/**
 * Restricts a prover before its backend loads; `fileBytesMax` is the largest file that it may
 * write, and files that it makes are its user's alone. A core dump of an aborted prover of 3 GB would keep the device busy until the dump is
 * written. A dump that is piped to a program ignores the limit, so inspection, which dumps need, is
 * forbidden.
 */
export function confineProver(addon: Addon, fileBytesMax: number): void {
  addon.limitResource("core", 0);
  addon.limitResource("files", limits.proverFilesMax);
  addon.limitResource("fileBytes", fileBytesMax);
  process.umask(0o077);
  addon.forbidInspection();
}
