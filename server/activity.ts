/**
 * What happens in the service, kept for the operator's live view: a ring of plain records that sessions,
 * admission and the schedule add to, and that readers take from at their own pace. A reader that is too
 * slow misses the oldest, and learns how many. Nobody waits for a reader.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ActivitySchema } from "../proto/gen/lean/aggregator/admin/v1/admin_pb.js";

/** One thing that happened, as the operator's service sends it. */
export type ActivityRecord = MessageInitShape<typeof ActivitySchema>;

/** Where the parts of the service add what happens. */
export type ActivityLog = Pick<ActivityFeed, "add">;

/** What a reader takes at once. */
export interface TakenActivities {
  /** In the order in which they happened. */
  records: ActivityRecord[];
  /** Number of records before these that are kept no longer. */
  missed: number;
  /** Number of the next record, for the next `take`. */
  next: number;
}

export class ActivityFeed {
  /** The record of number n is at n modulo `recordsMax`. */
  private readonly ring: ActivityRecord[] = [];
  private added = 0;

  /** @param recordsMax number of records that are kept */
  constructor(private readonly recordsMax: number) {}

  add(record: ActivityRecord): void {
    this.ring[this.added % this.recordsMax] = record;
    this.added++;
  }

  /** Whether there is a record of this number or a later one. */
  has(next: number): boolean {
    return next < this.added;
  }

  /**
   * The oldest records from number `from` on that are still kept.
   *
   * @param from number of the first record wanted: 0, or the `next` of the reader's last `take`
   * @param max number of records to take
   */
  take(from: number, max: number): TakenActivities {
    const first = Math.max(from, this.added - this.recordsMax);
    const next = Math.min(this.added, first + max);
    const records: ActivityRecord[] = [];
    for (let number = first; number < next; number++) {
      const record = this.ring[number % this.recordsMax];
      if (record !== undefined) records.push(record);
    }
    return { records, missed: first - from, next };
  }
}
