/** The `admin` part of the command tree: what it refuses, and what its help teaches. */
import { Command } from "commander";
import { expect, test } from "vitest";
import { addAdminCommands } from "../../../cli/admin/admin.js";

/** What is printed, on either stream, by words that end before any call is made. */
async function printed(...words: string[]): Promise<string> {
  let text = "";
  const keep = (more: string) => void (text += more);
  const program = new Command("lean-aggregator")
    .exitOverride()
    .configureOutput({ writeOut: keep, writeErr: keep });
  const calls: number[] = [];
  const interrupted = () => new AbortController().signal;
  addAdminCommands(program, {
    terminal: { out: keep },
    interrupted,
    exit: (code) => void calls.push(code),
  });
  await expect(program.parseAsync(["admin", ...words], { from: "user" })).rejects.toThrow();
  expect(calls).toEqual([]);
  return text;
}

test.each([
  ["a server that is no address", ["provers", "--server", "off"], /Expected host:port/],
  [
    "a wait that is too long",
    ["drain", "cpu", "--wait", "60001"],
    /Expected whole milliseconds from 1 to 60000/,
  ],
  [
    "a wait of nothing",
    ["drain", "cpu", "--wait", "0"],
    /Expected whole milliseconds from 1 to 60000/,
  ],
  ["no device", ["drain"], /missing required argument 'device'/],
  ["no session", ["end"], /missing required argument 'session'/],
  ["no command", [], /^Usage: lean-aggregator admin/],
  ["another command", ["reboot"], /unknown command 'reboot'/],
])("%s is refused", async (_name, words, message) => {
  expect(await printed(...words)).toMatch(message);
});

test.each(["sessions", "provers", "drain", "undrain", "restart", "end"])(
  "the help of %s has the listener's default, its variable and an example",
  async (command) => {
    const help = await printed(command, "--help");
    expect(help).toMatch(/default:\s+"127\.0\.0\.1:9192", env: LEAN_AGGREGATOR_ADMIN\)/);
    expect(help).toContain(`\n  lean-aggregator admin ${command}`);
  },
);

test("the help of admin lists its commands and exit codes", async () => {
  const help = await printed("--help");
  for (const text of [
    /\n {2}drain .*<device>/,
    /\n {2}end .*<session>/,
    /Exit codes:\n {2}0 {2}done\n {2}1 /,
  ]) {
    expect(help).toMatch(text);
  }
});
