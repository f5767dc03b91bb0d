/**
 * Keeps the calls in which provers died, each as a file in one folder. The first ones stay: a folder
 * that is full takes no more, so that a prover that dies again and again neither fills the disk nor
 * drives out what it died of first.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { codeOf, fileReason } from "../files/file-reason.js";
import { createFile } from "../files/write-file.js";
import { limits } from "../limits.js";
import type { Logger } from "../log/log.js";
import type { FatalCall } from "./fatal-call.js";
import { fatalFile } from "./fatal-call.js";

const FILE = /^(prove|verify|verify_signatures)-[0-9a-f]{16}\.call$/;
/** The calls hold a device's configuration text, which may be secret. */
const MODE = 0o600;

export class FatalCalls {
  private writing: Promise<void> = Promise.resolve();

  /** @param folder exists, and this process may write to it */
  constructor(
    private readonly folder: string,
    private readonly log: Logger,
  ) {}

  /** Writes the call; the log names the file. Returns at once, and never throws. */
  keep(fatal: FatalCall): void {
    const unixMs = Date.now();
    this.writing = this.writing.then(() => this.write(fatal, unixMs));
  }

  /** Resolves once all that was to be kept is written. */
  close(): Promise<void> {
    return this.writing;
  }

  private async write(fatal: FatalCall, unixMs: number): Promise<void> {
    const { device } = fatal;
    let path = this.folder;
    try {
      const { name, bytes } = fatalFile(fatal, unixMs);
      path = join(this.folder, name);
      if (this.isFullFor(bytes.length)) {
        const todo = "remove files of the folder to keep further ones";
        this.log.warn({ device, path: this.folder, todo }, "did not keep a fatal call: full");
        return;
      }
      await createFile(path, bytes, { mode: MODE });
      this.log.warn({ device, path }, "kept the call in which a prover died");
    } catch (error) {
      if (codeOf(error) === "EEXIST") {
        this.log.warn({ device, path }, "a prover died again in a call that is kept already");
      } else {
        const cause = fileReason(error, path);
        this.log.error({ device, path, cause }, "cannot keep the call in which a prover died");
      }
    }
  }

  /** Files of earlier runs count. */
  private isFullFor(bytes: number): boolean {
    const kept = readdirSync(this.folder).filter((name) => FILE.test(name));
    const sizes = kept.map((name) => sizeOf(join(this.folder, name)));
    const all = sizes.reduce((sum, size) => sum + size, bytes);
    return kept.length >= limits.fatalCallsMax || all > limits.fatalCallBytesMax;
  }
}

/** 0 when somebody has removed the file meanwhile. */
const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
