/** The adapter's cases and generated sequences, for a runner. test/vectors/README.md has the form. */
import { readdirSync, readFileSync } from "node:fs";
import type { AdapterEvent, MachineOptions } from "../../client/machine/index.js";

const VECTORS = new URL("../vectors/", import.meta.url);

export interface VectorStep {
  atMs: number;
  event: Record<string, unknown>;
  effects: { kind: string; reason?: string; result?: { kind: string } }[];
  isIdle?: boolean;
}

export interface VectorCase extends MachineOptions {
  name: string;
  steps: VectorStep[];
}

export interface CaseFile {
  rules: number[];
  cases: VectorCase[];
}

/** Returns the files of cases, by name. */
export function loadCases(): Map<string, CaseFile> {
  const load = (name: string) => JSON.parse(readVector(`adapter/${name}`)) as CaseFile;
  return new Map(filesOf("adapter", ".json").map((name) => [name, load(name)]));
}

/** Returns the generated sequences: one case a line. */
export function loadSequences(): VectorCase[] {
  const lines = filesOf("generated", ".ndjson").flatMap((name) =>
    readVector(`generated/${name}`).trimEnd().split("\n"),
  );
  return lines.map((line) => JSON.parse(line) as VectorCase);
}

/** Returns the names of this folder's files with this ending. */
export function filesOf(folder: string, ending: string): string[] {
  const names = readdirSync(new URL(`${folder}/`, VECTORS));
  return names.filter((name) => name.endsWith(ending)).sort();
}

export function readVector(path: string): string {
  return readFileSync(new URL(path, VECTORS), "utf8");
}

/** Returns the event as the machine takes it: a vector has participants in hex. */
export function decodeEvent(event: Record<string, unknown>): AdapterEvent<string> {
  const { participants } = event;
  const decoded =
    typeof participants === "string"
      ? { ...event, participants: new Uint8Array(Buffer.from(participants, "hex")) }
      : event;
  return decoded as unknown as AdapterEvent<string>;
}
