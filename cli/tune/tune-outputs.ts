/** The files that `tune` writes: looked at before it measures, and written at its end. */
import type { LinesFile } from "../io/lines-file.js";
import { openLinesFile } from "../io/lines-file.js";
import type { LayoutFigures } from "./measure.js";
import { layoutsSvg } from "./svg.js";
import type { TuneHost } from "./tune-file.js";
import { tuneFileOf } from "./tune-file.js";

export class TuneOutputs {
  private readonly settings: LinesFile | undefined;
  private readonly figures: LinesFile | undefined;
  private readonly plot: LinesFile | undefined;

  /** Throws `CommandError` with exit code 2 for a file that cannot be written. */
  constructor({ write, out, svg }: { write?: string; out?: string; svg?: string }) {
    this.settings = opened(write, "--write");
    this.figures = opened(out, "--out");
    this.plot = opened(svg, "--svg");
  }

  /**
   * Called once. Rejects with `CommandError` when a file cannot be written.
   *
   * @param settings the content of `--write`; without it, that file is left as it is
   */
  async write(
    measured: readonly LayoutFigures[],
    { at, processor, cores, memoryBytes, isFake }: TuneHost,
    settings?: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    if (settings !== undefined) this.settings?.write(`${JSON.stringify(settings, null, 2)}\n`);
    await this.settings?.close(true);
    const file = tuneFileOf(measured, { at, processor, cores, memoryBytes, isFake });
    this.figures?.write(`${JSON.stringify(file, null, 1)}\n`);
    await this.figures?.close(true);
    const title = `${isFake ? "FAKE: " : ""}${processor}, ${cores} cores, lanes x cores`;
    this.plot?.write(layoutsSvg(measured, title));
    await this.plot?.close(true);
  }
}

function opened(path: string | undefined, flag: string): LinesFile | undefined {
  if (path === undefined) return undefined;
  return openLinesFile(path, { flag, again: "measure again" });
}
