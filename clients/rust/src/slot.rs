//! The arithmetic of a slot: pure functions over instants in milliseconds of one clock.
//!
//! ```
//! use lean_aggregator_client::slot::SlotTimes;
//!
//! let times = SlotTimes { slot_ms: 4000, intervals: 5, phase_ms: 0 };
//! assert_eq!(times.interval_at(7, 2), 29_600);
//! assert_eq!(times.fence_at(7), 36_000);
//! ```

use alloc::vec::Vec;

/// A proof of slot N is worthless from the start of slot N plus this.
const FENCE_SLOTS: i64 = 2;

/// How long before its instant a quorum may start a duty, in milliseconds.
pub const EARLY_MS_DEFAULT: i64 = 600;

/// When the chain's slots and their intervals start. An instant beyond 64 bits is the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotTimes {
    /// Length of a slot in milliseconds, at least 1.
    pub slot_ms: i64,
    /// Number of intervals of a slot, at least 1.
    pub intervals: i64,
    /// Start of slot 0: the phase of all slots. For a wall clock, the genesis.
    pub phase_ms: i64,
}

/// An instant until which a vote is worth this much, if a proof that contains it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepAt {
    /// The instant.
    pub until_at_ms: i64,
    /// Worth of a vote, relative to the other steps; 1 to 1000000.
    pub weight: u32,
}

impl SlotTimes {
    /// The slot at an instant; negative before slot 0.
    pub fn slot_at(&self, at_ms: i64) -> i64 {
        at_ms.saturating_sub(self.phase_ms).div_euclid(self.slot_ms)
    }

    /// The start of an interval of a slot, rounded down where a slot does not divide evenly.
    pub fn interval_at(&self, slot: i64, interval: i64) -> i64 {
        let slots_ms = slot.saturating_mul(self.slot_ms);
        let in_slot_ms = interval
            .saturating_mul(self.slot_ms)
            .div_euclid(self.intervals);
        self.phase_ms
            .saturating_add(slots_ms)
            .saturating_add(in_slot_ms)
    }

    /// The first start of an interval after an instant.
    pub fn next_boundary_at(&self, at_ms: i64) -> i64 {
        let slot = self.slot_at(at_ms);
        (1..self.intervals)
            .map(|interval| self.interval_at(slot, interval))
            .find(|boundary| *boundary > at_ms)
            .unwrap_or_else(|| self.interval_at(slot.saturating_add(1), 0))
    }

    /// The instant from which the proofs of a submission at this slot are worthless.
    pub fn fence_at(&self, slot: i64) -> i64 {
        self.interval_at(slot.saturating_add(FENCE_SLOTS), 0)
    }

    /// The default steps of a submission that is made at `at_ms`.
    ///
    /// Votes count 4 until the last interval but one of the slot starts, 2 until the last one
    /// starts, and 1 until the fence. One that has passed stays, so that the number of a step means
    /// one instant of the slot; one that is not before the fence is left out.
    pub fn steps(&self, slot: i64, at_ms: i64, fence_at_ms: i64) -> Vec<StepAt> {
        let boundaries = [(self.intervals - 2, 4), (self.intervals - 1, 2)];
        let mut steps: Vec<StepAt> = boundaries
            .into_iter()
            .map(|(interval, weight)| StepAt {
                until_at_ms: self.interval_at(slot, interval),
                weight,
            })
            .filter(|step| at_ms < fence_at_ms && step.until_at_ms < fence_at_ms)
            .collect();
        if at_ms < fence_at_ms {
            steps.push(StepAt {
                until_at_ms: fence_at_ms,
                weight: 1,
            });
        }
        steps
    }
}

/// A duty of the node, and the votes that have arrived for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duty {
    /// When the duty starts without a quorum.
    pub duty_at_ms: i64,
    /// Votes that have arrived.
    pub votes: u64,
    /// Votes that are expected. 0: there is no quorum.
    pub expected_votes: u64,
    /// How long before `duty_at_ms` a quorum may start it: see [`EARLY_MS_DEFAULT`].
    pub early_ms: i64,
}

impl Duty {
    /// Whether the duty may start: it is time, or two thirds of the votes are there early enough.
    pub fn may_start(&self, at_ms: i64) -> bool {
        let is_quorum = self.expected_votes > 0
            && u128::from(self.votes) * 3 >= u128::from(self.expected_votes) * 2;
        at_ms >= self.duty_at_ms || (is_quorum && at_ms >= self.duty_at_ms - self.early_ms)
    }
}
