/**
 * Measures what `--record` adds to the submission of a 1 MB snapshot: blocks of submissions to a
 * service that records and to one that does not alternate, both with the fake prover.
 */
import { join } from "node:path";
import { processFolder } from "../harness/processes/process-folder.js";
import { Samples, Submitter } from "./acknowledgement.js";
import type { Measurement } from "./measurement.js";
import type { BenchService } from "./with-service.js";
import { withService } from "./with-service.js";

const BLOCKS = 10;
const WARM_UP = 20;
const GOAL_ADDED_MS = 1;
const FAKE = ["--prover", "fake", "--fake-time", "1"];

export const recording: Measurement = {
  name: "record",
  seconds: ({ acks }) => 20 + acks * 0.1,
  run: async ({ acks }, progress) => {
    const folder = processFolder("lean-bench-record-");
    const record = ["--record", join(folder.path, "recording")];
    try {
      return await withService(
        (off) => withService((on) => compare({ off, on, acks, progress }), [...FAKE, ...record]),
        FAKE,
      );
    } finally {
      folder.remove();
    }
  },
};

interface Compared {
  off: BenchService;
  on: BenchService;
  acks: number;
  progress: (line: string) => void;
}

async function compare({ off, on, acks, progress }: Compared) {
  const both = [off, on].map((service) => ({
    submitter: new Submitter(service.address),
    samples: new Samples(service),
  }));
  for (const { submitter } of both) {
    for (let i = 0; i < WARM_UP; i++) await submitter.submit("wait");
  }
  const block = Math.ceil(acks / BLOCKS);
  for (let i = 1; i <= BLOCKS; i++) {
    for (const { submitter, samples } of both) {
      await samples.add(block, () => submitter.submit("wait"));
    }
    progress(`${i * block} of ${BLOCKS * block}, with and without`);
  }
  for (const { submitter } of both) submitter.close();
  const [without, recorded] = both.map(({ samples }) => samples.row());
  if (without === undefined || recorded === undefined) throw new Error("two were measured");
  const value = recorded.ackP50Ms - without.ackP50Ms;
  return {
    title: "what recording adds to the submission of a 1 MB snapshot",
    rows: [
      { state: "without", ...without },
      { state: "recording", ...recorded },
    ],
    goals: [{ what: "added to the median", value, atMost: GOAL_ADDED_MS, unit: "ms" }],
    notes: [],
  };
}
