//! The node's closures. A panic in one of them is reported and goes no further.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use super::options::{Problem, Skip, Unreachable};
use crate::proto;

/// A closure of the node, called when something happens.
type Hook<F> = Option<Arc<F>>;

/// A closure of the node that makes the token of a call.
pub(super) type MakeToken = Arc<dyn Fn() -> String + Send + Sync>;

/// Whether a proof is valid.
pub(super) type Verify = Arc<dyn Fn(&proto::Outcome) -> bool + Send + Sync>;

#[derive(Clone, Default)]
pub(super) struct Hooks {
    pub on_ready: Hook<dyn Fn() + Send + Sync>,
    pub on_skip: Hook<dyn Fn(&Skip) + Send + Sync>,
    pub on_unreachable: Hook<dyn Fn(&Unreachable) + Send + Sync>,
    pub on_problem: Hook<dyn Fn(Problem) + Send + Sync>,
    pub verify: Option<Verify>,
}

impl Hooks {
    pub fn ready(&self) {
        if let Some(hook) = &self.on_ready {
            self.guard("on_ready", || hook());
        }
    }

    pub fn skip(&self, skip: &Skip) {
        if let Some(hook) = &self.on_skip {
            self.guard("on_skip", || hook(skip));
        }
    }

    pub fn unreachable(&self, unreachable: &Unreachable) {
        if let Some(hook) = &self.on_unreachable {
            self.guard("on_unreachable", || hook(unreachable));
        }
    }

    /// A proof for which the closure panics is not valid.
    pub fn verify(&self, outcome: &proto::Outcome) -> bool {
        match &self.verify {
            Some(hook) => self.guard("verify", || hook(outcome)).unwrap_or(false),
            None => true,
        }
    }

    /// Logs a problem, and calls the node's closure.
    pub fn problem(&self, problem: Problem) {
        tracing::warn!(target: "lean_aggregator", "{problem}");
        if let Some(hook) = &self.on_problem {
            let hook = AssertUnwindSafe(|| hook(problem));
            if catch_unwind(hook).is_err() {
                tracing::error!(target: "lean_aggregator", "the node's `on_problem` closure panicked");
            }
        }
    }

    /// Runs a closure of the node. `None`: it panicked.
    pub fn guard<T>(&self, hook: &'static str, run: impl FnOnce() -> T) -> Option<T> {
        let result = catch_unwind(AssertUnwindSafe(run));
        if result.is_err() {
            self.problem(Problem::HookPanicked { hook });
        }
        result.ok()
    }
}
