/**
 * Finds the process that listens at an address, from Linux's /proc. It is for messages only: what
 * cannot be found out is left out.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { canonicalHost, isEveryHost, readAddress } from "../../proto/address.js";

/** State of a listening TCP socket in /proc/net/tcp. */
const LISTENING = "0A";

interface Listening {
  inode: string;
  /** Owner of the socket; undefined if the table does not tell. */
  uid: number | undefined;
}

/** For example `pid 123 (lean-aggregator)` or `a process of user 0`; undefined if unknown. */
export function holderOf(address: string): string | undefined {
  const at = readAddress(address);
  if (at.kind === "problem") return undefined;
  const found = at.kind === "unix" ? atPath(at.path) : atPort(at.host, at.port);
  if (found === undefined) return undefined;
  const pid = pidOf(found.inode);
  if (pid !== undefined) return `pid ${pid} (${nameOf(pid)})`;
  return found.uid === undefined ? undefined : `a process of user ${found.uid}`;
}

function atPath(path: string): Listening | undefined {
  const row = rowsOf("/proc/net/unix").find((fields) => fields[7] === path);
  const inode = row?.[6];
  return inode === undefined ? undefined : { inode, uid: undefined };
}

function atPort(host: string, port: number): Listening | undefined {
  const wanted = canonicalHost(host);
  const rows = [...rowsOf("/proc/net/tcp"), ...rowsOf("/proc/net/tcp6")].filter(
    ([, local = "", , state]) =>
      state === LISTENING && Number.parseInt(local.split(":")[1] ?? "", 16) === port,
  );
  const row = rows.find(([, local = ""]) => {
    const bound = hostOf(local.split(":")[0] ?? "");
    return bound === wanted || isEveryHost(bound) || isEveryHost(wanted) || wanted === "localhost";
  });
  const inode = row?.[9];
  return inode === undefined ? undefined : { inode, uid: Number(row?.[7]) };
}

/** The address in /proc/net/tcp: words of four bytes, each with its bytes in reverse order. */
function hostOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) =>
    (word.match(/../g) ?? []).toReversed().map((byte) => Number.parseInt(byte, 16)),
  );
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, at) =>
    (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)).toString(16),
  );
  return canonicalHost(groups.join(":"));
}

/** The process that has the socket open; undefined for one of another user. */
function pidOf(inode: string): string | undefined {
  return list("/proc")
    .filter((name) => /^\d+$/.test(name))
    .find((pid) =>
      list(`/proc/${pid}/fd`).some((fd) => link(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`),
    );
}

/** `lean-aggregator` for a service of this package, else the name of the program. */
function nameOf(pid: string): string {
  const words = read(`/proc/${pid}/cmdline`).split("\0");
  const isOurs = words
    .slice(0, 3)
    .some((word) => /(^|\/)(lean-aggregator|dist\/cli\/main\.js)$/.test(word));
  return isOurs ? "lean-aggregator" : basename(words[0] || read(`/proc/${pid}/comm`).trim());
}

/** The rows of a table in /proc/net, without its header, each as its fields. */
function rowsOf(path: string): string[][] {
  const [, ...rows] = read(path).split("\n");
  return rows.map((row) => row.trim().split(/\s+/));
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // another system, or a process that has ended
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // another user's process, or one that has ended
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // closed since the folder was read
  }
}
