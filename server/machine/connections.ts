/** How many connections the limit on open files leaves room for: each takes one file descriptor. */
import { limits } from "../limits.js";

/** Descriptors of the service without a device: 24 when idle, and files that it reads and writes. */
const OWN_FILES = 48;
/** Descriptors for a device: its lock, and the pipes of two provers and of one that starts. */
const DEVICE_FILES = 16;
/** A few dozen nodes. Node.js itself needs as many descriptors, 130, to load the program. */
const NODE_CONNECTIONS_MIN = 48;

/** Everything that takes descriptors but is no connection of a node. */
function reservedFiles(devices: number): number {
  const others = limits.adminConnectionsMax + limits.probeConnectionsMax;
  return OWN_FILES + devices * DEVICE_FILES + others;
}

/** The least limit on open files with which the service starts. */
export function openFilesNeeded(devices: number): number {
  return reservedFiles(devices) + NODE_CONNECTIONS_MIN;
}

/** The limit on open files with which nodes may have all `limits.connectionsMax` connections. */
export function openFilesWanted(devices: number): number {
  return reservedFiles(devices) + limits.connectionsMax;
}

/**
 * Most connections of nodes, so that those of all listeners stay below the limit on open files.
 * Throws when the limit is too low to serve.
 */
export function nodeConnectionsMax(openFilesMax: number, devices: number): number {
  const needed = openFilesNeeded(devices);
  if (openFilesMax < needed) {
    throw new Error(
      `the limit on open files is ${openFilesMax}, but the service needs ${needed}: ` +
        `raise it to ${openFilesWanted(devices)} with 'ulimit -n' or LimitNOFILE=`,
    );
  }
  return Math.min(limits.connectionsMax, openFilesMax - reservedFiles(devices));
}
