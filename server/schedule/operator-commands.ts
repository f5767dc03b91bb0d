/**
 * The operator's commands to one lane. They are numbered, sent one at a time, and repeated until
 * the lane confirms the number. So the lane carries out each once and in order, even when messages
 * are lost or doubled. Pure.
 */
import type { OperatorCommand } from "../lane/lane-messages.js";

export interface NumberedCommand {
  readonly number: number;
  readonly command: OperatorCommand;
}

export interface CommandQueue {
  /** Number of the last command, of this or of an earlier run of the scheduler; 0 for none. */
  readonly lastNumber: number;
  /** The commands that are not confirmed yet, in order. */
  readonly pending: readonly NumberedCommand[];
}

export const noCommands: CommandQueue = { lastNumber: 0, pending: [] };

/** Returns the queue with one more command. If no other is pending, the caller sends `next`. */
export function issue(queue: CommandQueue, command: OperatorCommand): CommandQueue {
  const number = queue.lastNumber + 1;
  return { lastNumber: number, pending: [...queue.pending, { number, command }] };
}

/** Returns the queue without the commands up to `commandsDone`. The caller then sends `next`. */
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
