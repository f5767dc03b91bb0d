/**
 * The operator's commands to one lane, which reach it in order and once each whatever becomes of
 * the messages: numbered, sent one at a time, and repeated until the lane confirms the number.
 * Pure.
 */
import type { OperatorCommand } from "../lane/lane-messages.js";

export interface NumberedCommand {
  readonly number: number;
  readonly command: OperatorCommand;
}

export interface CommandQueue {
  /** The number of the last command that was issued, here or by an earlier scheduler. */
  readonly lastNumber: number;
  /** Not confirmed yet, in order. */
  readonly pending: readonly NumberedCommand[];
}

export const noCommands: CommandQueue = { lastNumber: 0, pending: [] };

/** A further command under the next number. Send `next` afterwards. */
export function issue(queue: CommandQueue, command: OperatorCommand): CommandQueue {
  const number = queue.lastNumber + 1;
  return { lastNumber: number, pending: [...queue.pending, { number, command }] };
}

/** The lane has carried out all commands up to a number. Send `next` afterwards. */
export function confirm(queue: CommandQueue, commandsDone: number): CommandQueue {
  return {
    lastNumber: Math.max(queue.lastNumber, commandsDone),
    pending: queue.pending.filter(({ number }) => number > commandsDone),
  };
}

/** The command to send, or to send again; undefined when all are confirmed. */
export function next({ pending }: CommandQueue): NumberedCommand | undefined {
  return pending[0];
}
