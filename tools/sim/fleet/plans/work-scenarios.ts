/** Plans by name in which the work is more than one small fold: merges, trees of jobs, work in chunks. */
import type { Random } from "../../random.js";
import { calmWeather, SLOT_MS, SUBMIT_AT_MS } from "./fleet-plan.js";
import type { Scenario } from "./scenario.js";
import { adoptedNotRepeated, amidProofs, calm, noVoteLost, promisesOnly } from "./scenario.js";

/** Work of 1 MB in three chunks, and time for a second proof of it, whose children are foreseen to be slow. */
const inChunks = {
  ...{ budgets: { deadlineMs: 3000, fenceMs: 9000 }, ballast: 2 * 512 * 1024 },
  ...{ slots: 2, nodes: 1 },
};

/** An instant in the second slot, while its work is fetched. */
const amidChunks = (random: Random) => 2 * SLOT_MS + SUBMIT_AT_MS + random.between(0, 205);

const chunksCame =
  (expect: Scenario["expect"]): Scenario["expect"] =>
  (report) => [...expect(report), ...(report.chunks === 0 ? ["no chunk was sent"] : [])];

/** Snapshots of one merge each, and time for a second try, as the first merges are foreseen to be slow. */
const merging = { areMerges: true, slots: 2, budgets: { deadlineMs: 3000, fenceMs: 9000 } };

const merged =
  (expect: Scenario["expect"]): Scenario["expect"] =>
  (report) => [...expect(report), ...(report.merges === 0 ? ["nothing was merged"] : [])];

/** Snapshots of one tree each: three leaves, and two folds of their proofs. */
const growing = {
  ...{ raws: 24, slots: 2, nodes: 1, budgets: { deadlineMs: 3000, fenceMs: 9000 } },
  weather: {
    ...calmWeather,
    folds: { rawsMax: 8, rawsBesideMax: 8, separatesRaws: true, arities: 0b10100 },
  },
};

const grown =
  (expect: Scenario["expect"]): Scenario["expect"] =>
  (report) => [...expect(report), ...(report.folds === 0 ? ["nothing was folded"] : [])];

/** An instant in the second slot, around the jobs of its trees: two hosts need about two seconds. */
const amidJobs = (random: Random) => 2 * SLOT_MS + SUBMIT_AT_MS + random.between(0, 2500);

export const workScenarios = {
  merge: calm(() => [], merged(noVoteLost), merging),
  merge_door_killed: calm(
    (random) => [{ kind: "kill", process: "door-0", atMs: amidProofs(random), backInMs: Infinity }],
    merged(adoptedNotRepeated),
    merging,
  ),
  merge_host_killed: calm(
    (random) => [{ kind: "kill", process: "host-0", atMs: amidProofs(random), backInMs: 300 }],
    merged(noVoteLost),
    { ...merging, nodes: 1 },
  ),
  merge_prover_dies: calm(
    (random) => [{ kind: "prover_dies", process: "host-0", atMs: amidProofs(random) }],
    merged(noVoteLost),
    { ...merging, nodes: 1 },
  ),
  merge_messages_lost: calm(() => [], merged(promisesOnly), {
    ...merging,
    weather: { ...calmWeather, loss: 0.1, doubling: 0.2, delayed: 0.3, delayMs: 300 },
  }),
  merge_cancelled: calm(() => [], merged(promisesOnly), {
    ...merging,
    weather: { ...calmWeather, cancels: 0.7, identical: 0.5 },
  }),
  tree: calm(() => [], grown(noVoteLost), growing),
  tree_door_killed: calm(
    (random) => [{ kind: "kill", process: "door-0", atMs: amidJobs(random), backInMs: Infinity }],
    grown(adoptedNotRepeated),
    growing,
  ),
  tree_door_killed_and_back: calm(
    (random) => [{ kind: "kill", process: "door-0", atMs: amidJobs(random), backInMs: 300 }],
    grown(noVoteLost),
    growing,
  ),
  tree_host_killed: calm(
    (random) => [{ kind: "kill", process: "host-0", atMs: amidJobs(random), backInMs: Infinity }],
    grown(noVoteLost),
    growing,
  ),
  tree_host_killed_and_back: calm(
    (random) => [{ kind: "kill", process: "host-0", atMs: amidJobs(random), backInMs: 300 }],
    grown(noVoteLost),
    growing,
  ),
  tree_host_frozen: calm(
    (random) => [
      {
        kind: "freeze",
        process: "host-0",
        atMs: amidJobs(random),
        forMs: random.between(200, 8000),
      },
    ],
    grown(noVoteLost),
    growing,
  ),
  tree_prover_dies: calm(
    (random) => [{ kind: "prover_dies", process: "host-0", atMs: amidJobs(random) }],
    grown(noVoteLost),
    growing,
  ),
  tree_prover_hangs: calm(
    (random) => [{ kind: "prover_hangs", process: "host-0", atMs: amidJobs(random) }],
    promisesOnly,
    growing,
  ),
  tree_messages_lost: calm(() => [], grown(promisesOnly), {
    ...growing,
    weather: { ...growing.weather, loss: 0.1, doubling: 0.2 },
  }),
  tree_messages_late: calm(() => [], grown(promisesOnly), {
    ...growing,
    weather: { ...growing.weather, delayed: 0.3, delayMs: 500, doubling: 0.2 },
  }),
  tree_cancelled: calm(() => [], grown(promisesOnly), {
    ...growing,
    ...{ nodes: 3, hosts: 3, slots: 3 },
    weather: { ...growing.weather, cancels: 0.7 },
  }),
  chunks: calm(() => [], chunksCame(noVoteLost), inChunks),
  chunks_lost: calm(() => [], chunksCame(promisesOnly), {
    ...inChunks,
    weather: { ...calmWeather, loss: 0.1, doubling: 0.2 },
  }),
  chunks_late: calm(() => [], chunksCame(promisesOnly), {
    ...inChunks,
    weather: { ...calmWeather, delayed: 0.3, delayMs: 700, doubling: 0.2 },
  }),
  chunks_wrong: calm(() => [], chunksCame(promisesOnly), {
    ...inChunks,
    weather: { ...calmWeather, lies: 0.1 },
  }),
  host_killed_amid_chunks: calm(
    (random) => [{ kind: "kill", process: "host-0", atMs: amidChunks(random), backInMs: 500 }],
    chunksCame(noVoteLost),
    { ...inChunks, weather: { ...calmWeather, delayed: 1, delayMs: 50 } },
  ),
  door_killed_amid_chunks: calm(
    (random) => [{ kind: "kill", process: "door-0", atMs: amidChunks(random), backInMs: 500 }],
    chunksCame(noVoteLost),
    { ...inChunks, weather: { ...calmWeather, delayed: 1, delayMs: 50 } },
  ),
} satisfies Record<string, Scenario>;
