/**
 * Polls one or more files and reports when their content changed. It does not use `fs.watch`, which
 * loses a file that is replaced; Kubernetes even replaces a link to the folder of the files.
 */
import type { Clock } from "../clock.js";

export interface WatchedFileOptions<T> {
  /** From the end of one poll to the start of the next. */
  everyMs: number;
  /** Reads the content. Must not throw: an error of reading has to be returned as content. */
  read: () => T | Promise<T>;
  /** A text that is the same for equal content only, such as a hash. */
  digestOf: (content: T) => string;
  /** Report a change only once two polls in a row found the same: for files written one by one. */
  mustSettle: boolean;
  /** Called once for each change, with the new content. */
  changed: (content: T) => void;
  /** Called after every poll, whether or not the content changed. */
  polled?: () => void;
}

export class WatchedFile<T> {
  /** Digest of the content last reported by `changed`, or of `first`. */
  private knownDigest: string;
  /** Digest of the content that the last poll found. */
  private lastDigest: string | undefined;
  private cancel = () => {};
  private isClosed = false;

  /** Starts polling. @param first the content that is in use already */
  constructor(
    private readonly options: WatchedFileOptions<T>,
    private readonly clock: Clock,
    first: T,
  ) {
    this.knownDigest = options.digestOf(first);
    this.pollLater();
  }

  /** Stops polling; idempotent. */
  close(): void {
    this.isClosed = true;
    this.cancel();
  }

  /** Reads now, and reports the content even if it did not change or settle. */
  async reload(): Promise<void> {
    const content = await this.options.read();
    if (this.isClosed) return;
    this.lastDigest = this.knownDigest = this.options.digestOf(content);
    this.options.changed(content);
  }

  private pollLater(): void {
    const dueMs = this.clock.nowMs() + this.options.everyMs;
    this.cancel = this.clock.at(dueMs, () => void this.poll());
  }

  private async poll(): Promise<void> {
    const { read, digestOf, mustSettle, changed, polled } = this.options;
    const content = await read();
    if (this.isClosed) return;
    const digest = digestOf(content);
    const isSettled = !mustSettle || digest === this.lastDigest;
    this.lastDigest = digest;
    if (isSettled && digest !== this.knownDigest) {
      this.knownDigest = digest;
      changed(content);
    }
    polled?.();
    this.pollLater();
  }
}
