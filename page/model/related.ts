/** Which bars of the timeline belong together: a group, and the work of lanes for it. Pure. */
import type { ActivityModel, LaneBar } from "./activity-model.js";
import type { Group } from "./group.js";
import { barOf } from "./activity-model.js";

/**
 * The keys of what belongs to the bar `key`: of a group the work of all its attempts, with each job of a
 * tree; of a lane's work its groups, and the other jobs. Empty for a key that is not known.
 */
export function relatedTo(key: string, model: ActivityModel): Set<string> {
  const group = model.groups.get(key);
  const bar = group === undefined ? barOf(key, model) : undefined;
  const groups = group === undefined ? groupsOf(bar, model) : [group];
  if (groups.length === 0) return new Set();
  const related = new Set(groups.map((each) => each.key));
  const attempts = new Set(groups.flatMap((each) => model.attemptsAt(each)));
  for (const bars of model.lanes.values()) {
    for (const each of bars) {
      const attempt = model.attemptOf(each);
      if (attempt !== undefined && attempts.has(attempt)) related.add(each.key);
    }
  }
  related.delete(key);
  return related;
}

const groupsOf = (bar: LaneBar | undefined, model: ActivityModel): Group[] =>
  bar === undefined ? [] : model.groupsOf(bar);
