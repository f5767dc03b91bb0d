/** The operator's commands reach a lane in order and once each, though messages get lost or doubled. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { OperatorCommand } from "../../../server/lane/lane-messages.js";
import { confirm, issue, next, noCommands } from "../../../server/schedule/operator-commands.js";

const drain: OperatorCommand = { kind: "drain", isDrained: true };
const undrain: OperatorCommand = { kind: "drain", isDrained: false };

test("a command is due until the lane confirms its number, then the next one is", () => {
  let queue = issue(issue(noCommands, drain), undrain);
  expect(next(queue)).toEqual({ number: 1, command: drain });
  queue = confirm(queue, 0);
  expect(next(queue)).toEqual({ number: 1, command: drain });
  queue = confirm(queue, 1);
  expect(next(queue)).toEqual({ number: 2, command: undrain });
  expect(next(confirm(queue, 2))).toBeUndefined();
});

test("a lane that has served an earlier scheduler gets numbers beyond those it knows", () => {
  const queue = issue(confirm(noCommands, 41), drain);
  expect(next(queue)).toEqual({ number: 42, command: drain });
});

test("over any loss, doubling and overtaking, each is carried out once and in order", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { maxLength: 200 }), (draws) => {
      let queue = noCommands;
      const sent: { number: number }[] = [];
      const done: number[] = [];
      const announced: number[] = [0];
      const send = () => {
        const due = next(queue);
        if (due !== undefined) sent.push(due);
      };
      for (const draw of draws) {
        if (draw === 0) queue = issue(queue, drain);
        // Any message that was ever sent may arrive now; what is never drawn is lost.
        const message = sent[draw % Math.max(1, sent.length)];
        if (message !== undefined && message.number > (done.at(-1) ?? 0)) {
          done.push(message.number);
          announced.push(message.number);
        }
        queue = confirm(queue, announced[draw % announced.length] ?? 0);
        send();
      }
      expect(done).toEqual(done.map((_, at) => at + 1));
    }),
  );
});
