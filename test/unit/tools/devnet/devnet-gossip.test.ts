/** The devnet's gossip: whole frames from any chunks, and links that drop and come back. */
import { expect, test } from "vitest";
import { frameReader, Gossip, type FrameKind } from "../../../../tools/devnet/node/gossip.js";
import { freePorts } from "../../../../tools/harness/processes/free-ports.js";

test("frames come out whole, however the bytes were cut", () => {
  const frames: [FrameKind, number[]][] = [];
  const wire = Buffer.from([2, 0, 0, 0, 1, 8, 9, 0, 0, 0, 0, 3, 1, 0, 0, 0, 2, 5]);
  const whole: [FrameKind, number[]][] = [
    ["vote", [8, 9]],
    ["block", []],
    ["aggregate", [5]],
  ];
  for (const size of [1, 2, 3, 7, wire.length]) {
    frames.length = 0;
    const read = frameReader((kind, bytes) => frames.push([kind, [...bytes]]));
    for (let at = 0; at < wire.length; at += size)
      expect(read(wire.subarray(at, at + size))).toBe(true);
    expect(frames, `chunks of ${size}`).toEqual(whole);
  }
});

test("an unknown kind or an enormous length ends the link", () => {
  const read = () => frameReader(() => undefined);
  expect(read()(Buffer.from([0, 0, 0, 0, 99]))).toBe(false);
  expect(read()(Buffer.from([255, 255, 255, 255, 1]))).toBe(false);
});

/** Two nodes; each `…Heard` resolves with the next thing that the second one hears. */
async function startTwo() {
  const ports = await freePorts(2);
  const waiting: ((value: string) => void)[] = [];
  const heard: string[] = [];
  const note = (what: string) => {
    const next = waiting.shift();
    if (next === undefined) heard.push(what);
    else next(what);
  };
  const next = () =>
    new Promise<string>((resolve) => {
      const ready = heard.shift();
      if (ready === undefined) waiting.push(resolve);
      else resolve(ready);
    });
  const quiet = { onPeer: () => undefined, onFrame: () => undefined };
  const second = await Gossip.start(
    { node: 1, ports },
    {
      onPeer: (peer) => note(`peer ${peer}`),
      onFrame: (peer, kind, bytes) => note(`${kind} ${bytes.length} of ${peer}`),
    },
  );
  const first = await Gossip.start({ node: 0, ports }, quiet);
  return { first, second, next, heard };
}

test("a dropped link carries nothing, and comes back when it is restored", async () => {
  const { first, second, next, heard } = await startTwo();
  try {
    expect(await next()).toBe("peer 0");
    first.broadcast("vote", new Uint8Array(3));
    expect(await next()).toBe("vote 3 of 0");
    first.setDropped([1]);
    first.broadcast("vote", new Uint8Array(4));
    first.setDropped([]);
    expect(await next()).toBe("peer 0");
    first.send(1, "aggregate", new Uint8Array(300_000));
    expect(await next()).toBe("aggregate 300000 of 0");
    expect(heard).toEqual([]);
  } finally {
    first.close();
    second.close();
  }
});
