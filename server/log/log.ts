/**
 * Structured logs on standard error: one JSON object per line, or a line for people on a terminal.
 * A line that cannot be written never stops or ends the service (`log-output.ts`).
 */
import { pino } from "pino";
import { prettyFactory } from "pino-pretty";
import type { LogOutput } from "./log-output.js";
import { stderrOutput } from "./log-output.js";

/** From the most lines to none. */
export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export type Logger = Pick<ReturnType<typeof pino>, "debug" | "info" | "warn" | "error">;

/** A log whose lowest level can be changed at any time. */
export type LeveledLogger = Logger & { level: string };

/** How lines look: as JSON, or for people on a terminal. */
export type LogFormat = "json" | "plain" | "colored";

export interface StderrLog {
  log: LeveledLogger;
  /** For the exit, and to count the lines that were dropped. */
  output: Pick<LogOutput, "close" | "onDropped">;
}

/** A log in JSON on standard error. */
export const createLog = (level: LogLevel): LeveledLogger => openLog(level, "json").log;

/** A log on standard error, which is opened at the first line. */
export function openLog(level: LogLevel, format: LogFormat): StderrLog {
  const shape = format === "json" ? (line: string) => line : forPeople(format === "colored");
  const output = stderrOutput((lines) => {
    const msg = "log lines dropped: they could not be written";
    return shape(`${JSON.stringify({ level: "warn", time: timeNow(), lines, msg })}\n`);
  });
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${timeNow()}"`,
    formatters: { level: (name: string) => ({ level: name }) },
  };
  return { log: pino(options, { write: (line) => output.write(shape(line)) }), output };
}

const timeNow = () => new Date().toISOString();

/** Makes a line for people from one in JSON. */
function forPeople(colorize: boolean): (line: string) => string {
  const pretty = prettyFactory({ colorize, singleLine: true, translateTime: "SYS:HH:MM:ss.l" });
  return (line) => {
    const fields: unknown = JSON.parse(line, (_key, value: unknown) =>
      typeof value === "string" ? printable(value) : value,
    );
    return pretty(fields);
  };
}

/** Without what a terminal would act upon: some texts come from callers and provers. */
function printable(text: string): string {
  return text.replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ");
}
