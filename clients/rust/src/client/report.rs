//! What the node learns of calls that fail.

use tonic::Status;

use super::connection::Connection;
use super::hooks::Hooks;
use super::options::Problem;
use super::status::{failure, is_node_id_in_use, token_error, Failure};
use crate::machine::SkipReason;

/// The problem that every later call would meet too. `None`: the error may pass by itself.
pub(super) fn lasting_problem(connection: &Connection, status: &Status) -> Option<Problem> {
    if let Some(error) = token_error(status) {
        let message = error.to_string();
        return Some(Problem::Token { message });
    }
    let endpoint = connection.name.clone();
    let message = status.message().to_owned();
    if is_node_id_in_use(status) {
        return Some(Problem::NodeIdInUse { endpoint, message });
    }
    let is_invalid = failure(status) == Failure::Refused(SkipReason::Invalid);
    is_invalid.then_some(Problem::Invalid { endpoint, message })
}

/// Reports why an endpoint cannot be reached: each reason once, until its result stream opens.
pub(super) fn unreachable(hooks: &Hooks, connection: &Connection, message: String) {
    if connection.is_new_reason(&message) {
        let endpoint = connection.name.clone();
        hooks.problem(Problem::Unreachable { endpoint, message });
    }
}
