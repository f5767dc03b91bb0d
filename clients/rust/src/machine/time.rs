//! Rules 3, 9 and 10: what time alone does, and when a request is over.

use alloc::vec::Vec;

use super::event::{Millis, SkipReason};
use super::request::Request;
use super::{is_past, Effect, Machine};

/// While a service can report, a group is lost only this long after its fence.
const LOST_GRACE_MS: Millis = 1000;

impl<P: Clone> Machine<P> {
    /// Step three.
    pub(super) fn expire(&mut self, now_ms: Millis, effects: &mut Vec<Effect<P>>) {
        let numbers = self.numbers_in_order();
        for number in &numbers {
            self.note_fence(*number, now_ms);
        }
        self.results.expire(now_ms, self.slot, effects);
        for number in numbers {
            self.end_late(number, now_ms, effects);
        }
    }

    fn note_fence(&mut self, number: u64, now_ms: Millis) {
        let slot = self.slot;
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        let fence = request.submission.fence;
        if request.fenced_at_ms.is_none() && is_past(fence, now_ms, slot) {
            request.fenced_at_ms = Some(now_ms.min(fence.at_ms));
            let request_id = request.id().clone();
            self.free_latch(&request_id);
        }
    }

    fn end_late(&mut self, number: u64, now_ms: Millis, effects: &mut Vec<Effect<P>>) {
        let request = &self.requests[&number];
        if request.is_skipped {
            return;
        }
        if request.is_accepted {
            if self.is_given_up(request, now_ms) {
                self.lose(number, &request.unended(), effects);
            }
            return;
        }
        let is_late = now_ms >= request.submission.deadline_at_ms && self.is_homeless(request);
        if request.fenced_at_ms.is_some() || is_late {
            self.skip(number, SkipReason::Unreachable, effects);
        }
    }

    /// Whether the fence has passed, and no service can say anything more that counts.
    fn is_given_up(&self, request: &Request, now_ms: Millis) -> bool {
        let Some(fenced_at_ms) = request.fenced_at_ms else {
            return false;
        };
        let mut places = request.places.iter();
        let is_heard =
            places.any(|(endpoint, place)| place.held_by.is_some() && self.is_up(*endpoint));
        !is_heard || now_ms >= fenced_at_ms.saturating_add(LOST_GRACE_MS)
    }

    /// Step four: ends the groups that nobody will end, and forgets the requests that are over.
    pub(super) fn forget_over(&mut self, now_ms: Millis, effects: &mut Vec<Effect<P>>) {
        for number in self.numbers_in_order() {
            let request = &self.requests[&number];
            if request.is_accepted {
                let mut abandoned = request.unended();
                abandoned.retain(|group| request.is_ended_everywhere(*group));
                if !abandoned.is_empty() && !self.will_resend(request, now_ms) {
                    self.lose(number, &abandoned, effects);
                }
            }
            if self.is_over(&self.requests[&number], now_ms) {
                self.forget(number, effects);
            }
        }
    }

    fn is_over(&self, request: &Request, now_ms: Millis) -> bool {
        let has_ended = request.is_ended()
            && (request.is_summarised
                || !request.has_held_place()
                || self.is_given_up(request, now_ms));
        request.is_skipped || self.is_closed || has_ended
    }

    fn forget(&mut self, number: u64, effects: &mut Vec<Effect<P>>) {
        let Some(request) = self.requests.remove(&number) else {
            return;
        };
        let request_id = request.id().clone();
        self.numbers.remove(&request_id);
        self.free_latch(&request_id);
        if request.has_bytes {
            effects.push(Effect::Forget { request_id });
        }
    }

    pub(super) fn numbers_in_order(&self) -> Vec<u64> {
        self.requests.keys().copied().collect()
    }
}
