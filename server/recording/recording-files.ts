/** The files of a recording: the newest is written, the oldest go when all together are too large. */
import { lstatSync, mkdirSync, readdirSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { limits } from "../limits.js";
import { recordingFile } from "./records.js";

export interface RecordingBounds {
  folder: string;
  /** Most bytes of all files together. */
  bytesMax: number;
}

/** A file has so much of all bytes: what goes at once, and what a record must fit into. */
const FILES = 8;

const NEWLINE = Buffer.from("\n");

export class RecordingFiles {
  /** Size of each file by its name, oldest first; of the file that is written, its share. */
  private readonly sizes: Map<string, number>;
  private next: number;
  private name = "";
  private file: FileHandle | undefined;
  private bytes = 0;
  private readonly fileBytesMax: number;

  /**
   * Makes the folder, for its owner alone. Files of earlier runs count.
   * @param head the first record of each file
   */
  constructor(
    private readonly bounds: RecordingBounds,
    private readonly head: Buffer,
  ) {
    const { folder, bytesMax } = bounds;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const names = readdirSync(folder)
      .filter((name) => recordingFile.test(name))
      .sort();
    this.sizes = new Map(names.map((name) => [name, sizeOf(join(folder, name))]));
    this.next = Number(names.at(-1)?.slice(0, 8) ?? 0) + 1;
    this.fileBytesMax = Math.min(Math.floor(bytesMax / FILES), limits.recordFileBytesMax);
  }

  /** Writes one record; false for one that no file can hold. Rejects with the system's error. */
  async append(line: Buffer, body?: Uint8Array): Promise<boolean> {
    const parts = body === undefined ? [line] : [line, body, NEWLINE];
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    if (this.head.length + bytes > this.fileBytesMax) return false;
    if (this.file === undefined || this.bytes + bytes > this.fileBytesMax) await this.begin();
    await this.write(parts, bytes);
    return true;
  }

  async close(): Promise<void> {
    await this.file?.close();
    this.file = undefined;
    if (this.sizes.has(this.name)) this.sizes.set(this.name, this.bytes);
  }

  private async begin(): Promise<void> {
    await this.close();
    const { folder, bytesMax } = this.bounds;
    let bytes = this.fileBytesMax;
    for (const size of this.sizes.values()) bytes += size;
    for (const [oldest, size] of this.sizes) {
      if (bytes <= bytesMax && this.sizes.size < limits.recordFilesMax) break;
      await rm(join(folder, oldest), { force: true });
      this.sizes.delete(oldest);
      bytes -= size;
    }
    this.name = `${String(this.next++).padStart(8, "0")}.rec`;
    // "wx" never writes through a link that another user put there.
    this.file = await open(join(folder, this.name), "wx", 0o600);
    this.sizes.set(this.name, this.fileBytesMax);
    this.bytes = 0;
    await this.write([this.head], this.head.length);
  }

  private async write(parts: readonly Uint8Array[], bytes: number): Promise<void> {
    const written = await this.file?.writev(parts);
    this.bytes += bytes;
    if (written?.bytesWritten === bytes) return;
    throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  }
}

/** Bytes of a file; 0 for one that has gone. */
function sizeOf(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
