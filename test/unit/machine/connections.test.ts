/** The connections of all listeners stay below the limit on open files. */
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import {
  nodeConnectionsMax,
  openFilesNeeded,
  openFilesWanted,
} from "../../../server/machine/connections.js";

test("without a limit that matters nodes have all their connections", () => {
  expect(nodeConnectionsMax(Infinity, 1)).toBe(limits.connectionsMax);
  expect(nodeConnectionsMax(openFilesWanted(1), 1)).toBe(limits.connectionsMax);
  expect(nodeConnectionsMax(openFilesWanted(1) - 1, 1)).toBe(limits.connectionsMax - 1);
});

test("with a low limit probes, operator and provers keep their places", () => {
  const { adminConnectionsMax, probeConnectionsMax } = limits;
  const left = 256 - nodeConnectionsMax(256, 1) - adminConnectionsMax - probeConnectionsMax;
  expect(left, "for the service's own files and its provers").toBeGreaterThanOrEqual(48);
  expect(nodeConnectionsMax(256, 4)).toBeLessThan(nodeConnectionsMax(256, 1));
});

test("a limit with which the service cannot serve is refused in words", () => {
  expect(nodeConnectionsMax(openFilesNeeded(1), 1)).toBeGreaterThan(0);
  expect(() => nodeConnectionsMax(64, 1)).toThrow(
    "the limit on open files is 64, but the service needs 144: " +
      "raise it to 608 with 'ulimit -n' or LimitNOFILE=",
  );
});
