/** Opens the file of `--audit`, of `serve` and of `prove`. */
import { AuditLog } from "../../server/audit/audit-log.js";
import { systemClock } from "../../server/clock.js";
import { fileReason } from "../../server/files/file-reason.js";
import type { Logger } from "../../server/log/log.js";
import { usageError } from "../io/command.js";

export const AUDIT_ADVICE = "name a file in --audit that this user may write to";

/** Undefined without an audit record. Throws `CommandError` when its file cannot be written. */
export function openAudit(path: string | undefined, log: Logger): AuditLog | undefined {
  if (path === undefined) return undefined;
  try {
    return new AuditLog(path, { clock: systemClock, log });
  } catch (cause) {
    const problem = `cannot write --audit ${path}: ${fileReason(cause, path)}`;
    throw usageError(problem, AUDIT_ADVICE, cause);
  }
}
