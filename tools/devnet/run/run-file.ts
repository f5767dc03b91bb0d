/** One file a run, a JSON record a line: what it was, then what nodes and faults did. */
import { createWriteStream, existsSync, readFileSync, type WriteStream } from "node:fs";
import { join } from "node:path";
import type { Mode } from "../node/aggregators/aggregator.js";
import type { Intervals } from "../node/slot-time.js";
import type { NodeRecord } from "../node/records.js";
import type { Scenario } from "./scenario.js";

export interface RunHeader {
  kind: "run";
  mode: Mode;
  slots: number;
  slotMs: number;
  intervals: Intervals;
  seed: number;
  /** Validators of each node. */
  ownValidators: number[][];
  lookaheadSlots: number;
  validators: number;
  nodes: number;
  /** Where this file lies. */
  folder: string;
  aggregators: number[];
  scenario: Scenario;
  machine: string;
  date: string;
  /** The commit of the code that made the run, or "unknown". */
  revision: string;
}

type RunIdentity = Pick<RunHeader, "mode" | "intervals" | "seed" | "scenario">;

/** Name of a run, and of its files. */
export function runName({ mode, intervals, seed, scenario }: RunIdentity): string {
  return `${scenario.name}-${mode}-${intervals}-${seed}`;
}

export const runPath = (folder: string, run: RunIdentity) => join(folder, `${runName(run)}.jsonl`);

export type OrchestratorRecord =
  | { kind: "fault"; slot: number; text: string }
  | { kind: "restart"; slot: number; what: string; tookMs: number }
  | { kind: "shutdown"; what: string; tookMs: number }
  /** What went wrong once all slots were over, in words. */
  | { kind: "failure"; text: string }
  /**
   * What the metric of the service's prover said at the end of each service. Older recordings have it of nodes
   * that prove in their own process too, of which each proof is a record now.
   */
  | { kind: "prover"; busySeconds: number; proofs: number }
  /** Votes by fate, as the aggregator's adapter has counted them since its node last started. */
  | { kind: "fates"; votes: Record<string, number> }
  /** The last line of a run that went to its end. */
  | { kind: "done" };

export type RunRecord = OrchestratorRecord | (NodeRecord & { node: number });

export class RunFile {
  readonly #stream: WriteStream;

  constructor(path: string, header: RunHeader) {
    this.#stream = createWriteStream(path);
    this.#write(header);
  }

  /** Drops records that a killed process still sends once the file is closed. */
  add(record: RunRecord): void {
    if (!this.#stream.writableEnded) this.#write(record);
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#stream.end(resolve));
  }

  #write(line: RunHeader | RunRecord): void {
    this.#stream.write(`${JSON.stringify(line)}\n`);
  }
}

/** True when there is such a file, of a run that went to its end. */
export function isDone(path: string): boolean {
  return existsSync(path) && readFileSync(path, "utf8").trimEnd().endsWith('{"kind":"done"}');
}

/** Throws when it does not begin as a run's file. */
export function readRun(path: string): { header: RunHeader; records: RunRecord[] } {
  const [first, ...rest] = readFileSync(path, "utf8").trimEnd().split("\n");
  const header = JSON.parse(first ?? "") as RunHeader;
  if (header.kind !== "run") throw new Error(`${path} is not the file of a run`);
  return { header, records: rest.map((line) => JSON.parse(line) as RunRecord) };
}
