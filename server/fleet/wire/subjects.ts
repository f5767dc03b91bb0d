/**
 * The engine's subjects of one cell: doors and lane hosts that work together. Who published is the
 * last token, to which the engine's permissions bind a certificate. Ids are tokens: no dot.
 */

export { tokenPattern } from "../../engine/subject.js";

export const subjects = (cell: string) => ({
  /** What a lane host tells all doors. */
  fromHost: (host: string) => `lean.${cell}.hosts.${host}`,
  /** What a door tells, or asks of, one lane host. */
  toHost: (host: string, door: string) => `lean.${cell}.host.${host}.${door}`,
  /** What a lane host tells, or asks of, one door. */
  toDoor: (door: string, host: string) => `lean.${cell}.door.${door}.${host}`,
  /** The prefix of the subjects on which answers come. */
  inbox: (role: "door" | "host", id: string) => inboxOf(cell, role, id),
  /** The inbox of the sender of a message; undefined: nobody asks on its subject. */
  senderInbox: (subject: string) => {
    const [, , to] = subject.split(".");
    const asker = to === "host" ? "door" : to === "door" ? "host" : undefined;
    return asker && inboxOf(cell, asker, senderOf(subject));
  },
});

const inboxOf = (cell: string, role: "door" | "host", id: string) =>
  `lean.${cell}.inbox.${role}.${id}`;

/** The sender of a message: the last token of its subject. */
export function senderOf(subject: string): string {
  return subject.slice(subject.lastIndexOf(".") + 1);
}
