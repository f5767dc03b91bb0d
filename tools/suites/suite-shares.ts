/**
 * A reporter for vitest: prints after a run how much time each suite took, its share of the total,
 * and, last of all, which tests failed and which passed only when they were tried again. A suite is
 * a folder of `test/`; its time is the sum over its files of collecting and running them.
 */
import { relative } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { SerializedError } from "vitest";
import type { Reporter, TestCase, TestModule } from "vitest/node";

export interface SuiteTime {
  suite: string;
  files: number;
  tests: number;
  seconds: number;
}

/** Formats one row for each suite, the longest first, with its share of the total time. */
export function sharesOf(files: readonly SuiteTime[]): string {
  const suites = new Map<string, SuiteTime>();
  for (const file of files) {
    const sum = suites.get(file.suite) ?? { suite: file.suite, files: 0, tests: 0, seconds: 0 };
    sum.files += file.files;
    sum.tests += file.tests;
    sum.seconds += file.seconds;
    suites.set(file.suite, sum);
  }
  const total = files.reduce((sum, { seconds }) => sum + seconds, 0);
  const rows = [...suites.values()].sort((a, b) => b.seconds - a.seconds);
  const lines = rows.map(({ suite, files, tests, seconds }) => {
    const share = total === 0 ? 0 : Math.round((100 * seconds) / total);
    return `${suite.padEnd(12)} ${cell(files)} ${cell(tests)} ${cell(seconds.toFixed(1))} ${cell(`${share} %`)}`;
  });
  const head = `${"suite".padEnd(12)} ${["files", "tests", "seconds", "share"].map(cell).join(" ")}`;
  return [head, ...lines].join("\n");
}

/** What became of a test, of which the reader of a log's last lines has to hear. */
export interface Unsteady {
  name: string;
  /** True when it failed at every try; false when it passed at a later one. */
  hasFailed: boolean;
  /** The first line of each try's error, in order. */
  errors: readonly string[];
}

/** A list of the tests that failed, then of those tried again, with errors; empty without any. */
export function unsteadyOf(tests: readonly Unsteady[]): string {
  const listed = (title: string, hasFailed: boolean) => {
    const rows = tests
      .filter((test) => test.hasFailed === hasFailed)
      .flatMap(({ name, errors }) => [`  ${name}`, ...errors.map((error) => `      ${error}`)]);
    return rows.length === 0 ? "" : `\n${title}:\n${rows.join("\n")}\n`;
  };
  return listed("failed", true) + listed("passed only when tried again", false);
}

function unsteady(test: TestCase): Unsteady[] {
  const { state, errors = [] } = test.result();
  const hasFailed = state === "failed";
  if (!hasFailed && test.diagnostic()?.flaky !== true) return [];
  const name = `${relative(".", test.module.moduleId)} > ${test.fullName}`;
  return [{ name, hasFailed, errors: errors.map(firstLine) }];
}

/** A file whose tests could not be collected, or whose hooks failed. */
function unloaded(module: TestModule): Unsteady {
  const errors = module.errors().map(firstLine);
  return { name: relative(".", module.moduleId), hasFailed: true, errors };
}

/** Where the error was thrown, and its first line: enough to begin with, where only the end of a log is kept. */
function firstLine({ message, stacks }: SerializedError): string {
  const frame = stacks?.[0];
  const where = frame === undefined ? "" : `${relative(".", frame.file)}:${frame.line}: `;
  return `${where}${stripVTControlCharacters(message).split("\n")[0] ?? ""}`;
}

function cell(value: string | number): string {
  return String(value).padStart(8);
}

export class SuiteShares implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const files = modules.map((module) => {
      const { duration, collectDuration } = module.diagnostic();
      return {
        suite: relative("test", module.moduleId).split("/")[0] ?? "",
        files: 1,
        tests: [...module.children.allTests()].length,
        seconds: (duration + collectDuration) / 1000,
      };
    });
    const tests = modules.flatMap((module) => [...module.children.allTests()].flatMap(unsteady));
    const broken = modules.filter((module) => module.errors().length > 0).map(unloaded);
    process.stdout.write(`\n${sharesOf(files)}\n${unsteadyOf([...broken, ...tests])}`);
  }
}
