//! The requests of bodies that are gone: the node never learns how they end.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::machine::RequestId;

/// Requests whose ends have not come; beyond it the oldest is forgotten.
const REQUESTS_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Ownerless(Mutex<VecDeque<RequestId>>);

impl Ownerless {
    fn requests(&self) -> MutexGuard<'_, VecDeque<RequestId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, request_id: RequestId) {
        let mut requests = self.requests();
        requests.push_back(request_id);
        if requests.len() > REQUESTS_MAX {
            requests.pop_front();
        }
    }

    /// Whether the request that has ended is one of these, which is forgotten.
    pub fn end(&self, request_id: &str) -> bool {
        let mut requests = self.requests();
        let index = requests.iter().position(|each| **each == *request_id);
        index.and_then(|index| requests.remove(index)).is_some()
    }
}
