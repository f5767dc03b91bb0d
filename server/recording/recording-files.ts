/** The files of a recording: the newest is written, the oldest goes when there are too many. */
import { mkdirSync, readdirSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { limits } from "../limits.js";
import { recordingFile } from "./records.js";

export interface RecordingBounds {
  folder: string;
  /** Most bytes of all files together. */
  bytesMax: number;
  filesMax: number;
}

const NEWLINE = Buffer.from("\n");

export class RecordingFiles {
  private names: string[];
  private next: number;
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
    const { folder, bytesMax, filesMax } = bounds;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.names = readdirSync(folder)
      .filter((name) => recordingFile.test(name))
      .sort();
    this.next = Number(this.names.at(-1)?.slice(0, 8) ?? 0) + 1;
    this.fileBytesMax = Math.min(Math.floor(bytesMax / filesMax), limits.recordFileBytesMax);
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
  }

  private async begin(): Promise<void> {
    await this.close();
    while (this.names.length >= this.bounds.filesMax) {
      const [oldest = ""] = this.names;
      await rm(join(this.bounds.folder, oldest), { force: true });
      this.names.shift();
    }
    const name = `${String(this.next++).padStart(8, "0")}.rec`;
    // "wx" never writes through a link that another user put there.
    this.file = await open(join(this.bounds.folder, name), "wx", 0o600);
    this.names.push(name);
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
