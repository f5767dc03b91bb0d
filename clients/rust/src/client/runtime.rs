//! The runtime thread: it sends, cancels and verifies what the machine wants, in its order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, sleep_until, timeout};
use tonic::Status;

use super::connection::Connection;
use super::encode::TryBody;
use super::report::{lasting_problem, unreachable};
use super::shared::{Command, Shared};
use super::status::{failure, may_pass, text_of, Failure};
use super::stream::{keep_open, narrow};
use crate::machine::{EndpointIndex, Event, RequestId, Send, SkipReason};
use crate::proto;
use crate::proto::submit_snapshot_response::Result as Answer;

/// A submission may take this much more than what is left of its deadline.
const ANSWER_LIMIT: Duration = Duration::from_millis(2000);
/// Closing waits this long for the cancels.
const FLUSH_LIMIT: Duration = Duration::from_millis(500);
/// Time acts on the machine at least this often.
const TICK: Duration = Duration::from_millis(100);
/// Verifications of the node that run at a time.
const VERIFIERS: usize = 4;

/// Runs until `Command::Flush`, the last command.
pub(super) async fn run(
    shared: Arc<Shared>,
    connections: Vec<Arc<Connection>>,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let mut streams = JoinSet::new();
    for (index, connection) in connections.iter().enumerate() {
        streams.spawn(keep_open(shared.clone(), connection.clone(), index));
    }
    let ticks = tokio::spawn(tick(shared.clone()));
    let verifiers = Arc::new(Semaphore::new(VERIFIERS));
    let mut tries: HashMap<RequestId, AbortHandle> = HashMap::new();
    let mut cancels = JoinSet::new();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Send(send) => {
                tries.retain(|_, handle| !handle.is_finished());
                let connection = connections[send.endpoint].clone();
                let request_id = send.request_id.clone();
                let task = tokio::spawn(try_once(shared.clone(), connection, send));
                if let Some(earlier) = tries.insert(request_id, task.abort_handle()) {
                    earlier.abort();
                }
            }
            Command::Cancel {
                endpoint,
                request_id,
                groups,
            } => {
                let connection = connections[endpoint].clone();
                let message = proto::CancelSessionRequest {
                    node: Some(shared.header.node.clone()),
                    request_id: request_id.to_string(),
                    group_indices: groups.into_iter().map(narrow).collect(),
                };
                cancels.spawn(async move {
                    // Nobody waits for the answer: it changes nothing.
                    let _ = connection.cancel(message).await;
                });
            }
            Command::Verify { group, outcome } => {
                let (shared, verifiers) = (shared.clone(), verifiers.clone());
                tokio::spawn(async move {
                    // An error says that the adapter is closed: what waits is not begun.
                    let Ok(_permit) = verifiers.acquire().await else {
                        return;
                    };
                    let hooks = shared.hooks.clone();
                    let check = tokio::task::spawn_blocking(move || hooks.verify(&outcome));
                    let is_valid = check.await.unwrap_or(false);
                    shared.handle(Event::Verified { group, is_valid });
                });
            }
            Command::End(request_id) => {
                if let Some(task) = tries.remove(&request_id) {
                    task.abort();
                }
            }
            Command::Flush(done) => {
                verifiers.close();
                let all = async { while cancels.join_next().await.is_some() {} };
                let _ = timeout(FLUSH_LIMIT, all).await;
                streams.shutdown().await;
                ticks.abort();
                for (_, task) in tries.drain() {
                    task.abort();
                }
                let _ = done.send(());
                return;
            }
        }
        while cancels.try_join_next().is_some() {}
    }
}

/// Passes time to the machine: regularly, and when a result is held back no longer.
async fn tick(shared: Arc<Shared>) {
    loop {
        match shared.next_hold_ms() {
            Some(at_ms) => {
                tokio::select! {
                    () = sleep_until(shared.clock.instant(at_ms)) => {}
                    () = sleep(TICK) => {}
                }
            }
            None => sleep(TICK).await,
        }
        shared.handle(Event::Tick);
    }
}

async fn try_once(shared: Arc<Shared>, connection: Arc<Connection>, send: Send) {
    if send.after_ms > 0 {
        sleep(Duration::from_millis(send.after_ms)).await;
    }
    let (request_id, endpoint) = (send.request_id.clone(), send.endpoint);
    let Some((body, is_first_try, traceparent)) = body_of(&shared, &send) else {
        refused(&shared, request_id, endpoint, SkipReason::Unreachable);
        return;
    };
    let (deadline_ms, fence_ms) = body.budgets(&shared.clock);
    if is_first_try && (deadline_ms == 0 || fence_ms == 0) {
        let reason = SkipReason::PredictedMiss;
        refused(&shared, request_id, endpoint, reason);
        return;
    }
    let left_ms = send.deadline_at_ms.saturating_sub(shared.clock.now_ms());
    let limit = ANSWER_LIMIT + Duration::from_millis(left_ms.min(86_400_000));
    let sent = connection.submit(body, limit, shared.clock, traceparent);
    match sent.await {
        Ok((answer, sent_at_ms)) => answered(&shared, request_id, endpoint, answer, sent_at_ms),
        Err(status) => failed(&shared, &connection, request_id, endpoint, &status),
    }
}

/// The try, whether it is the first, and its header `traceparent`. `None`: its bytes are gone.
fn body_of(shared: &Shared, send: &Send) -> Option<(TryBody, bool, Option<String>)> {
    let mut state = shared.state();
    let frozen = state.frozen.get_mut(&send.request_id)?;
    if frozen.bytes.is_empty() {
        return None;
    }
    let is_first_try = std::mem::take(&mut frozen.is_first_try);
    let body = TryBody {
        frozen: frozen.bytes.clone(),
        steps: frozen.steps.clone(),
        deadline_at_ms: send.deadline_at_ms,
        fence_at_ms: send.fence_at_ms,
        is_lookup: send.is_lookup,
    };
    Some((body, is_first_try, frozen.traceparent.clone()))
}

fn answered(
    shared: &Shared,
    request_id: RequestId,
    endpoint: EndpointIndex,
    answer: proto::SubmitSnapshotResponse,
    sent_at_ms: u64,
) {
    match answer.result {
        Some(Answer::Accepted(accepted)) => {
            shared.handle(Event::Accepted {
                request_id,
                endpoint,
                service_id: accepted.service_id.into(),
                fence_at_ms: sent_at_ms + u64::from(accepted.fence_ms),
            });
        }
        Some(Answer::Skipped(skipped)) => {
            tracing::debug!(
                target: "lean_aggregator",
                request_id = &*request_id, detail = skipped.detail, "the service skipped"
            );
            refused(shared, request_id, endpoint, skip_reason(skipped.reason()));
        }
        None => refused(shared, request_id, endpoint, SkipReason::Overloaded),
    }
}

fn failed(
    shared: &Shared,
    connection: &Connection,
    request_id: RequestId,
    endpoint: EndpointIndex,
    status: &Status,
) {
    tracing::debug!(
        target: "lean_aggregator",
        request_id = &*request_id, endpoint = &*connection.name, error = %status, "a try failed"
    );
    let how = failure(status);
    match lasting_problem(connection, status) {
        Some(problem) => shared.hooks.problem(problem),
        None if how == Failure::Refused(SkipReason::Overloaded) => {}
        None => unreachable(&shared.hooks, connection, text_of(status)),
    }
    let is_timeout = match how {
        Failure::Timeout => true,
        Failure::NoAnswer => false,
        Failure::Refused(reason) => {
            if may_pass(status) {
                shared.note_may_pass(&request_id);
            }
            refused(shared, request_id, endpoint, reason);
            return;
        }
    };
    shared.handle(Event::Failed {
        request_id,
        endpoint,
        is_timeout,
    });
}

fn refused(shared: &Shared, request_id: RequestId, endpoint: EndpointIndex, reason: SkipReason) {
    shared.handle(Event::Refused {
        request_id,
        endpoint,
        reason,
    });
}

fn skip_reason(reason: proto::SkipReason) -> SkipReason {
    match reason {
        proto::SkipReason::InFlight => SkipReason::InFlight,
        proto::SkipReason::PredictedMiss => SkipReason::PredictedMiss,
        proto::SkipReason::Draining => SkipReason::Draining,
        proto::SkipReason::NoProver => SkipReason::NoProver,
        proto::SkipReason::Overloaded | proto::SkipReason::Unspecified => SkipReason::Overloaded,
    }
}

#[cfg(test)]
mod tests {
    use tonic::transport::Endpoint;

    use super::*;
    use crate::client::encode::Header;
    use crate::client::hooks::Hooks;
    use crate::client::metrics::Metrics;
    use crate::client::options::SubmitOptions;
    use crate::client::submitter::Submitter;
    use crate::client::Aggregator;
    use crate::machine::{Gates, Limits, Machine, Priority, ProofKind};

    type Commands = mpsc::UnboundedReceiver<Command>;

    /// Votes, whose bytes are gone (rule 11) because of the backlog submitted after them.
    struct World {
        shared: Arc<Shared>,
        commands: Commands,
        votes: RequestId,
        backlog: RequestId,
    }

    fn world() -> World {
        let header = Header {
            node: proto::Node::default(),
            proof_system: None,
        };
        let (sender, commands) = mpsc::unbounded_channel();
        let names = vec!["service".into()];
        let shared = Shared::new(header, names, Hooks::default(), Metrics::default(), sender);
        let limits = Limits {
            bytes_max: 1,
            ..Limits::default()
        };
        shared.state().machine = Machine::with_limits(1, false, limits);
        let shared = Arc::new(shared);
        let submitter = Submitter::new(shared.clone(), None, Duration::from_secs(60));
        let submit = |priority: Priority| {
            let options = SubmitOptions {
                priority,
                fence: Some(Duration::from_secs(60)),
                ..SubmitOptions::default()
            };
            let snapshot = proto::Snapshot {
                groups: vec![proto::Group::default()],
                ssz_bitlists: true,
                ..Default::default()
            };
            let made = || Ok::<_, String>(Some(Ok(snapshot)));
            let kind = ProofKind::Aggregate;
            let made = submitter.ask_and_submit(1, Gates::OPEN, kind, made, &options, |_| ());
            made.unwrap()
        };
        let votes = submit(Priority::Aggregation);
        let backlog = submit(Priority::Backlog);
        World {
            shared,
            commands,
            votes,
            backlog,
        }
    }

    fn names(commands: &mut Commands) -> Vec<(&'static str, RequestId)> {
        let all = std::iter::from_fn(|| commands.try_recv().ok());
        all.map(|command| match command {
            Command::Send(send) => ("send", send.request_id),
            Command::Cancel { request_id, .. } => ("cancel", request_id),
            Command::End(request_id) => ("end", request_id),
            Command::Verify { .. } | Command::Flush(_) => panic!("not expected"),
        })
        .collect()
    }

    #[test]
    fn a_request_without_its_bytes_goes_on_and_can_be_cancelled() {
        let World {
            shared,
            mut commands,
            votes,
            backlog,
        } = world();
        let sent = [("send", votes.clone()), ("send", backlog.clone())];
        assert_eq!(names(&mut commands), sent);
        {
            let state = shared.state();
            assert!(state.frozen[&votes].bytes.is_empty() && state.frozen[&votes].is_ssz);
            assert!(!state.frozen[&backlog].bytes.is_empty());
        }
        let thread = std::thread::spawn(|| ());
        let adapter = Aggregator::new(shared.clone(), None, Duration::ZERO, thread);
        assert_eq!(adapter.cancel_where(|_| true), 2);
        let ended = [
            ("cancel", votes.clone()),
            ("end", votes),
            ("cancel", backlog.clone()),
            ("end", backlog),
        ];
        assert_eq!(names(&mut commands), ended);
        assert!(shared.state().frozen.is_empty());
        drop(commands);
    }

    #[test]
    fn a_try_without_its_bytes_is_refused() {
        let World {
            shared,
            mut commands,
            votes,
            backlog,
        } = world();
        let Ok(Command::Send(send)) = commands.try_recv() else {
            panic!("the votes are sent first");
        };
        assert_eq!(send.request_id, votes);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let nowhere = Endpoint::from_static("http://127.0.0.1:1");
            let connection = Arc::new(Connection::new("service".into(), nowhere, None));
            try_once(shared.clone(), connection, send).await;
        });
        assert!(!shared.state().machine.knows(&votes));
        assert!(shared.state().machine.knows(&backlog));
        let skipped = shared.metrics.stats();
        assert_eq!(skipped.skipped_for(SkipReason::Unreachable), 1);
    }
}
