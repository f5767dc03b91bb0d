/** A watched file: each change is reported once, after it settled where it must. */
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Clock } from "../../../server/clock.js";
import { WatchedFile } from "../../../server/files/watched-file.js";

function watch(mustSettle: boolean) {
  const file = { content: "a" };
  const changes: string[] = [];
  let tick = () => {};
  const clock: Clock = {
    nowMs: () => 0,
    unixMs: () => 0,
    at: (_, callback) => {
      tick = callback;
      return () => (tick = () => {});
    },
  };
  const options = {
    everyMs: 1000,
    read: () => Promise.resolve(file.content),
    digestOf: (content: string) => content,
    mustSettle,
    changed: (content: string) => void changes.push(content),
  };
  const watched = new WatchedFile(options, clock, file.content);
  const poll = async (content: string) => {
    file.content = content;
    tick();
    await setImmediate();
  };
  return { watched, poll, changes };
}

test("a change is reported once, and a change back is another", async () => {
  const { poll, changes } = watch(false);
  for (const content of ["a", "b", "b", "a"]) await poll(content);
  expect(changes).toEqual(["b", "a"]);
});

test("a change that must settle is reported once two polls in a row have found it", async () => {
  const { poll, changes } = watch(true);
  for (const content of ["a", "b", "c", "c", "c", "b", "c", "b", "b"]) await poll(content);
  expect(changes).toEqual(["c", "b"]);
});

test("nothing is reported once it is closed, not even what was being read", async () => {
  const { watched, poll, changes } = watch(false);
  const polling = poll("b");
  watched.close();
  await polling;
  await poll("c");
  expect(changes).toEqual([]);
});
