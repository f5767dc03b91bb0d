/**
 * Which groups wait for which attempt, and which jobs are of it. An attempt makes one proof, or is a tree
 * of jobs with a proof each, on several devices; several groups can wait for the same attempt. Attempts
 * and jobs are numbered together, over all devices of a run. An attempt is forgotten with its last group.
 */
import type { Group } from "./group.js";

export interface Attempt {
  readonly number: number;
  /** In the order in which they joined. */
  readonly groups: Set<Group>;
  /** In the order in which they first worked on it. */
  readonly devices: Set<string>;
  /** The jobs of a tree so far, in the order of their starts; empty for an attempt of one proof. */
  readonly jobs: number[];
}

export class Attempts {
  private readonly attempts = new Map<number, Attempt>();
  /** The attempt of each job of a tree. */
  private readonly ofJob = new Map<number, Attempt>();

  join(group: Group, number: number, device: string): void {
    const known = this.attempts.get(number);
    const attempt = known ?? { number, groups: new Set(), devices: new Set(), jobs: [] };
    this.attempts.set(number, attempt);
    attempt.groups.add(group);
    attempt.devices.add(device);
  }

  /** Does nothing when no group of the attempt is known. */
  addJob(number: number, job: number, device: string): void {
    const attempt = this.attempts.get(number);
    if (attempt === undefined || this.ofJob.has(job)) return;
    attempt.jobs.push(job);
    attempt.devices.add(device);
    this.ofJob.set(job, attempt);
  }

  /** @param number of a job of a tree, or of an attempt: of its only proof */
  of(number: number): Attempt | undefined {
    return this.ofJob.get(number) ?? this.attempts.get(number);
  }

  forget(group: Group): void {
    for (const number of group.attempts) {
      const attempt = this.attempts.get(number);
      if (attempt === undefined) continue;
      attempt.groups.delete(group);
      if (attempt.groups.size > 0) continue;
      this.attempts.delete(number);
      for (const job of attempt.jobs) this.ofJob.delete(job);
    }
  }

  clear(): void {
    this.attempts.clear();
    this.ofJob.clear();
  }
}
