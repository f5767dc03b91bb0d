/** A file that a command writes, such as that of `submit --out`: as a whole, at the end. */
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  realpathSync,
  statSync,
  writeSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { dirname } from "node:path";
import { fileReason } from "../../server/files/file-reason.js";
import { replaceFile } from "../../server/files/write-file.js";
import { CommandError, usageError } from "./command.js";

/** Takes the lines; `close` is called once. */
export interface LinesFile {
  write(line: string): void;
  /**
   * Rejects with `CommandError` when the lines cannot be written.
   *
   * @param areAll false when the lines are cut off: they do not replace a file that is there
   */
  close(areAll: boolean): Promise<void>;
}

/** How errors name the file and the command. */
export interface FileNames {
  /** Default: `--out`. */
  flag?: string;
  /** What to do again after an error. Default: `submit again`. */
  again?: string;
}

/**
 * Opens the file of a flag. Call it before anything is sent or measured, so that a wrong name is
 * reported first.
 * A file keeps its old content, mode and owner until `close` replaces it, through links too. A pipe
 * or device gets each line at once. Throws `CommandError` with exit code 2 for a file that cannot be
 * written.
 */
export function openLinesFile(
  path: string,
  { flag = "--out", again = "submit again" }: FileNames = {},
): LinesFile {
  const named = { name: `${flag} ${path}`, again };
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isFile() === false) return new DeviceLines(path, named, openSync(path, "w"));
    if (found !== undefined) accessSync(path, constants.W_OK);
    const target = found === undefined ? path : realpathSync(path);
    accessSync(dirname(target), constants.W_OK | constants.X_OK);
    return new ReplacedLines(target, named, found);
  } catch (cause) {
    throw usageError(
      `cannot write ${named.name}: ${fileReason(cause, path)}`,
      "name another file",
      cause,
    );
  }
}

interface Named {
  name: string;
  again: string;
}

class DeviceLines implements LinesFile {
  constructor(
    private readonly path: string,
    private readonly named: Named,
    private readonly descriptor: number,
  ) {}

  /** Throws `CommandError` when the line cannot be written. */
  write(line: string): void {
    try {
      writeSync(this.descriptor, line);
    } catch (cause) {
      const { name, again } = this.named;
      const problem = `cannot write ${name}: ${fileReason(cause, this.path)}`;
      throw new CommandError(problem, `name another file, and ${again}`, { cause });
    }
  }

  close(): Promise<void> {
    closeSync(this.descriptor);
    return Promise.resolve();
  }
}

class ReplacedLines implements LinesFile {
  private readonly lines: string[] = [];

  constructor(
    private readonly target: string,
    private readonly named: Named,
    private readonly replaced: Stats | undefined,
  ) {}

  write(line: string): void {
    this.lines.push(line);
  }

  async close(areAll: boolean): Promise<void> {
    const { target, named, replaced } = this;
    if (this.lines.length === 0) return; // a request that was refused replaces nothing
    if (!areAll && replaced !== undefined) return;
    const kept =
      replaced === undefined
        ? {}
        : { mode: replaced.mode & 0o777, owner: { uid: replaced.uid, gid: replaced.gid } };
    try {
      await replaceFile(target, this.lines.join(""), kept);
    } catch (cause) {
      const problem = `cannot write ${named.name}: ${fileReason(cause, target)}`;
      const todo = `its old content is kept: free disk space and ${named.again}`;
      throw new CommandError(problem, todo, { cause });
    }
  }
}
