/**
 * Polls one or more files and reports when their content changed. A file watch would not do:
 * Kubernetes replaces a link above the files, and a watch loses a file that is replaced.
 */
import type { Clock } from "./clock.js";

export interface WatchedFileOptions<T> {
  /** From the end of one poll to the next. */
  everyMs: number;
  /** Reads the content; never throws, so an error of reading is content too. */
  read: () => T | Promise<T>;
  /** Equal for equal content. */
  digestOf: (content: T) => string;
  /** Whether two polls in a row must find the same change, because a writer writes several files. */
  mustSettle: boolean;
  /** Called once for each change. */
  changed: (content: T) => void;
  /** Called after every poll, changed or not. */
  polled?: () => void;
}

export class WatchedFile<T> {
  /** The content last reported, whether or not it was valid. */
  private knownDigest: string;
  private lastDigest: string | undefined;
  private cancel = () => {};
  private isClosed = false;

  /** @param first the content in use now; starts polling at once */
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
