/**
 * Keeps what was learned of devices across restarts: one small file for each device in the state
 * folder, replaced as a whole, with an entry for each proof system, kind of proof and rate. It keeps
 * the last two proof systems of the device. When a file cannot be read or written, the next start
 * calibrates the device again; no proof fails.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../clock.js";
import { compareCosts } from "../../work/costs/costs.js";
import type { Costs, RateCosts } from "../../work/costs/costs.js";
import type { MemoryModel, Peak } from "../../work/costs/memory-model.js";
import { codeOf, fileReason } from "../../files/file-reason.js";
import { limits } from "../../limits.js";
import type { Logger } from "../../log/log.js";
import { replaceFile } from "../../files/write-file.js";
import type { Entry, FileContent, StoredPeak } from "./cost-format.js";
import { FORMAT, readCosts } from "./cost-format.js";

/** Milliseconds between two writes of the files, at least; `close` writes once more. */
const WRITE_EVERY_MS = 5000;

/** What was learned of a device with one proof system: scheme and revision. */
export interface Learned {
  readonly costs: Costs;
  /** Peak memory of its proofs. */
  readonly memory: MemoryModel;
}

/** Keeps what was learned of each device. */
export interface CostStore {
  /** What is kept; undefined without anything usable of this proof system. */
  load(deviceId: string, proofSystem: string): Learned | undefined;
  /**
   * Keeps this in place of what was kept of the device and proof system. Returns at once and writes
   * later.
   */
  save(deviceId: string, proofSystem: string, learned: Learned): void;
}

type Kept = Omit<FileContent, "format">;

export interface CostFilesOptions {
  /** The state folder, which exists. */
  folder: string;
  /** Id of the user that must own the files; undefined on a system without user ids. */
  uid: number | undefined;
}

export interface CostFilesModules {
  clock: Clock;
  log: Logger;
}

export function costFilePath(folder: string, deviceId: string): string {
  return join(folder, `lean-aggregator-${deviceId}.costs.json`);
}

export class CostFiles implements CostStore {
  /** What is not written yet, by device id. */
  private readonly pending = new Map<string, FileContent>();
  /** What is kept of each device that was asked for, by its id: all of its proof systems. */
  private readonly kept = new Map<string, Kept>();
  private writing: Promise<void> = Promise.resolve();
  private cancelWrite: (() => void) | undefined;
  /** True from a failed write, which is logged once, to the next one that succeeds. */
  private isFailing = false;
  private isClosed = false;

  constructor(
    private readonly options: CostFilesOptions,
    private readonly modules: CostFilesModules,
  ) {}

  load(deviceId: string, proofSystem: string): Learned | undefined {
    const path = costFilePath(this.options.folder, deviceId);
    const { clock, log } = this.modules;
    try {
      const content = this.kept.get(deviceId) ?? this.readFile(deviceId, path);
      if (content === undefined) return undefined;
      this.kept.set(deviceId, content);
      const { costs, memory } = content;
      const isOwn = (each: { proofSystem: string }) => each.proofSystem === proofSystem;
      const own = costs.filter(isOwn);
      if (own.length === 0) throw new Error(`it is for ${systemsOf(costs)}`);
      if (new Set(own.map(({ kind, logInvRate }) => `${kind} ${logInvRate}`)).size < own.length) {
        throw new Error("it has a kind and rate twice");
      }
      const ageOf = ({ atUnixMs }: Entry) => Math.max(0, clock.unixMs() - atUnixMs);
      const ageMs = Math.min(...own.map(ageOf));
      log.info({ device: deviceId, path, ageMs, models: own.length }, "learned costs loaded");
      return {
        costs: own
          .map((entry) => rateCosts(entry, clock.nowMs() - ageOf(entry)))
          .sort(compareCosts),
        memory: memory.filter(isOwn).map(peakOf),
      };
    } catch (error) {
      const cause = causeOf(error, path);
      log.warn({ device: deviceId, path, cause }, "learned costs are not used");
      return undefined;
    }
  }

  save(deviceId: string, proofSystem: string, { costs, memory }: Learned): void {
    const { clock } = this.modules;
    const own = costs.map(({ kind, logInvRate, model }): Entry => {
      const { logMs, covariance, scatter, atMs } = model;
      return {
        ...{ proofSystem, kind, logInvRate },
        atUnixMs: Math.round(clock.unixMs() - (clock.nowMs() - atMs)),
        logMs: [...logMs],
        covariance: covariance.map((values) => [...values]),
        scatter,
      };
    });
    const peaks = memory.map(({ shape, bytes }) => {
      return { proofSystem, logInvRate: 0, ...shape, bytes: Math.max(1, Math.round(bytes)) };
    });
    const other = lastOther(this.kept.get(deviceId), proofSystem);
    const kept = {
      costs: [...own, ...other.costs].slice(0, limits.costEntriesMax),
      memory: [...peaks, ...other.memory].slice(0, limits.memoryPeaksMax),
    };
    this.kept.set(deviceId, kept);
    this.pending.set(deviceId, { format: FORMAT, ...kept });
    if (this.cancelWrite === undefined) this.writeNow();
  }

  /** What the file holds, where it is of this version or the ones beside; undefined without one. */
  private readFile(deviceId: string, path: string): Kept | undefined {
    const text = this.read(path);
    if (text === undefined) return undefined;
    const { costs, memory, ignored } = readCosts(text);
    const line = { device: deviceId, path, ignored };
    if (ignored > 0)
      this.modules.log.warn(line, "some learned costs of a later version are not used");
    return { costs, memory };
  }

  /** Writes what is not written yet, and resolves once they are. Idempotent. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.cancelWrite?.();
    this.write();
    await this.writing;
  }

  private writeNow(): void {
    this.write();
    this.writeLater();
  }

  private writeLater(): void {
    const { clock } = this.modules;
    this.cancelWrite = clock.at(clock.nowMs() + WRITE_EVERY_MS, () => {
      this.cancelWrite = undefined;
      if (this.pending.size > 0) this.writeNow();
    });
  }

  private write(): void {
    const due = [...this.pending];
    this.pending.clear();
    this.writing = this.writing.then(async () => {
      for (const [deviceId, content] of due) await this.replace(deviceId, content);
    });
  }

  private async replace(deviceId: string, content: FileContent): Promise<void> {
    const path = costFilePath(this.options.folder, deviceId);
    const { log } = this.modules;
    try {
      await replaceFile(path, `${JSON.stringify(content)}\n`, { mode: 0o600 });
      if (this.isFailing) log.info({ device: deviceId, path }, "learned costs are saved again");
      this.isFailing = false;
    } catch (error) {
      // Tried again with the next write, unless there is a newer model by then.
      if (!this.pending.has(deviceId)) this.pending.set(deviceId, content);
      // A write that took longer than the time between two has missed the next one.
      if (this.cancelWrite === undefined && !this.isClosed) this.writeLater();
      if (this.isFailing) return;
      this.isFailing = true;
      const line = { device: deviceId, path, cause: causeOf(error, path), todo: STATE_ADVICE };
      log.warn(line, "learned costs not saved; the service goes on and tries again");
    }
  }

  /** The file's text; undefined without a file. Throws when this service cannot have written it. */
  private read(path: string): string | undefined {
    const fd = openUnlinked(path);
    if (fd === undefined) return undefined;
    try {
      const { uid } = this.options;
      const found = fstatSync(fd);
      if (!found.isFile()) throw new Error("it is not a regular file");
      if (uid !== undefined && found.uid !== uid) throw new Error(`user ${found.uid} owns it`);
      if (found.size > limits.costFileBytesMax) throw new Error(`it has ${found.size} bytes`);
      return readFileSync(fd, "utf8");
    } finally {
      closeSync(fd);
    }
  }
}

/** What a cost file holds of one proof system. */
export interface FileCosts extends RateCosts {
  readonly proofSystem: string;
  /** Peak memory of the proofs of its proof system, of all kinds and rates. */
  readonly memory: MemoryModel;
}

/**
 * The models in the text of a cost file, the newest first, as certain as they were when it was
 * written. Throws `JsonError` where it is no such file.
 */
export function costsInFile(text: string): FileCosts[] {
  const { costs, memory } = readCosts(text);
  const newestFirst = costs.toSorted((a, b) => b.atUnixMs - a.atUnixMs);
  return newestFirst.map((entry) => {
    const { proofSystem } = entry;
    const own = memory.filter((peak) => peak.proofSystem === proofSystem);
    return { proofSystem, memory: own.map(peakOf), ...rateCosts(entry, 0) };
  });
}

function rateCosts(
  { kind, logInvRate, logMs, covariance, scatter }: Entry,
  atMs: number,
): RateCosts {
  return { kind, logInvRate, model: { logMs, covariance, scatter, atMs } };
}

function peakOf({ bytes, raws, children, messages, logInvRate }: StoredPeak): Peak {
  const shape = { raws, children, logInvRate };
  return { shape: messages === undefined ? shape : { ...shape, messages }, bytes };
}

/** What is kept of the proof system that was learned last, apart from this one. */
function lastOther(kept: Kept = { costs: [], memory: [] }, proofSystem: string): Kept {
  const others = kept.costs.filter((each) => each.proofSystem !== proofSystem);
  const [newest] = others.toSorted((a, b) => b.atUnixMs - a.atUnixMs);
  const isOfIt = (each: { proofSystem: string }) => each.proofSystem === newest?.proofSystem;
  return { costs: others.filter(isOfIt), memory: kept.memory.filter(isOfIt) };
}

function systemsOf(entries: readonly Entry[]): string {
  return [...new Set(entries.map(({ proofSystem }) => proofSystem))].join(", ") || "nothing";
}

/**
 * Opens a file to read; undefined when it is missing. Follows no symbolic link, and does not wait
 * for a writer when the file is a named pipe.
 */
function openUnlinked(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

const STATE_ADVICE = "free disk space, or set --state-dir to a folder that this user can write to";

/** Why a file is not used, in words. */
function causeOf(error: unknown, path: string): string {
  return error instanceof SyntaxError ? "it is not JSON" : fileReason(error, path);
}
