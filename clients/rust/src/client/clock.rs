//! The node's monotonic clock, in whole milliseconds since the adapter started.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::machine::Millis;

#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Clock {
            start: Instant::now(),
        }
    }

    /// Rounded down.
    pub fn now_ms(&self) -> Millis {
        millis(self.start.elapsed())
    }

    /// Rounded up, so that a budget which is computed from it is rounded down.
    pub fn now_ms_up(&self) -> Millis {
        millis(self.start.elapsed() + Duration::from_nanos(999_999))
    }

    /// The instant of this clock as one of the runtime's timers.
    pub fn instant(&self, at_ms: Millis) -> tokio::time::Instant {
        // Far instants would overflow; nothing that waits for one outlives the adapter.
        let at_ms = at_ms.min(self.now_ms() + 86_400_000);
        (self.start + Duration::from_millis(at_ms)).into()
    }
}

/// Whole milliseconds, rounded down.
pub(super) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// Wall clock in milliseconds since 1970.
pub(super) fn unix_ms() -> Millis {
    millis(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}
