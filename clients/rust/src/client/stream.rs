//! The result stream of one endpoint: opened, read, watched for silence, opened again.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, sleep_until, Instant};
use tonic::{Status, Streaming};

use super::connection::Connection;
use super::options::is_proved;
use super::report::{lasting_problem, unreachable};
use super::shared::Shared;
use super::status::text_of;
use super::token::TOO_LATE;
use crate::bits;
use crate::machine::{AwaitedState, EndpointIndex, Event, RequestId, ServiceState, WireOutcome};
use crate::proto;
use crate::proto::stream_results_response::Event as Wire;

/// An attempt without `opened` has failed after this.
const OPEN_LIMIT: Duration = Duration::from_millis(2000);
/// A stream without an event is broken after this.
const SILENCE: Duration = Duration::from_millis(1500);
/// A timer that is later than this says that the node itself stalled.
const STALL: Duration = Duration::from_millis(500);
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_millis(2000);
/// An event that was announced may be as slow as this.
const BYTES_PER_MS: u32 = 64;
/// Most bytes of an event: a proof of 512 KiB, 42 bytes for each of 16,384 inputs that it names, and
/// some room. An announcement of more must not switch the watch for silence off.
const EVENT_BYTES_MAX: u32 = 2 << 20;

type Events = Streaming<proto::StreamResultsResponse>;

/// How a stream ended.
enum End {
    Silent,
    Broken(Status),
}

/// Keeps the endpoint's result stream open, for ever.
pub(super) async fn keep_open(shared: Arc<Shared>, connection: Arc<Connection>, index: usize) {
    let mut wait = WAIT_MIN;
    loop {
        let mut was_open = false;
        let end = read(&shared, &connection, index, &mut was_open).await;
        let is_silent = matches!(end, End::Silent);
        report(&shared, &connection, end, was_open);
        let former = (is_silent || !was_open).then(|| connection.renew());
        shared.handle(Event::Disconnected {
            endpoint: index,
            is_silent,
        });
        // Not before: a try that fails at an endpoint that is up, after its deadline, is over.
        if let Some(former) = former.filter(|_| is_silent) {
            former.give_up();
        }
        if was_open {
            wait = WAIT_MIN;
        }
        sleep(wait).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

async fn read(
    shared: &Shared,
    connection: &Connection,
    endpoint: EndpointIndex,
    was_open: &mut bool,
) -> End {
    // Before the machine says what is awaited: the node's function may take its time.
    let token = match unless_silent(OPEN_LIMIT, connection.token()).await {
        Some(Ok(token)) => token,
        Some(Err(status)) => return End::Broken(status),
        None => return End::Broken(TOO_LATE.into()),
    };
    let awaited = shared.handle(Event::Opening { endpoint }).awaited;
    let awaited = awaited.into_iter().map(|request| proto::Awaited {
        request_id: request.request_id.to_string(),
        received_groups: request.received_groups.into_iter().map(narrow).collect(),
    });
    let request = proto::StreamResultsRequest {
        node: Some(shared.header.node.clone()),
        awaited: awaited.collect(),
        ..Default::default()
    };
    let open = async {
        let mut events = connection.stream(request, token).await?;
        while let Some(event) = events.message().await? {
            if let Some(Wire::Opened(opened)) = event.event {
                return Ok((events, opened));
            }
        }
        Err(Status::unavailable("the stream ended before it was opened"))
    };
    match unless_silent(OPEN_LIMIT, open).await {
        None => End::Silent,
        Some(Err(status)) => End::Broken(status),
        Some(Ok((mut events, opened))) => {
            *was_open = true;
            connection.reached();
            tracing::info!(
                target: "lean_aggregator",
                endpoint = &*connection.name, service_id = opened.service_id, run = opened.run,
                "result stream open"
            );
            shared.handle(opened_event(endpoint, opened));
            read_open(shared, endpoint, &mut events).await
        }
    }
}

async fn read_open(shared: &Shared, endpoint: EndpointIndex, events: &mut Events) -> End {
    let mut allowed = SILENCE;
    loop {
        let Some(event) = unless_silent(allowed, events.message()).await else {
            return End::Silent;
        };
        allowed = SILENCE;
        match event {
            Err(status) => return End::Broken(status),
            Ok(None) => return End::Broken(Status::unavailable("the service ended the stream")),
            Ok(Some(event)) => match event.event {
                Some(Wire::Sending(sending)) => allowed += sending_time(sending.bytes),
                Some(wire) => pass(shared, endpoint, wire),
                None => {}
            },
        }
    }
}

/// Waits for what the service sends. `None`: it has not come within the allowed time. After a stall of the
/// node, which says nothing of the service, that time begins anew.
async fn unless_silent<T>(allowed: Duration, sent: impl Future<Output = T>) -> Option<T> {
    let mut sent = pin!(sent);
    loop {
        let silent_at = Instant::now() + allowed;
        tokio::select! {
            biased;
            sent = &mut sent => return Some(sent),
            () = sleep_until(silent_at) => {
                if Instant::now() < silent_at + STALL {
                    return None;
                }
            }
        }
    }
}

/// How long an announced event may take.
fn sending_time(bytes: u32) -> Duration {
    let ms = bytes.min(EVENT_BYTES_MAX).div_ceil(BYTES_PER_MS);
    Duration::from_millis(ms.into())
}

fn pass(shared: &Shared, endpoint: EndpointIndex, wire: Wire) {
    match wire {
        Wire::Opened(opened) => {
            shared.handle(opened_event(endpoint, opened));
        }
        Wire::Status(status) => {
            let state = service_state(status.state());
            shared.handle(Event::Status { endpoint, state });
        }
        Wire::Summary(summary) => {
            shared.handle(Event::Summary {
                endpoint,
                request_id: summary.request_id.into(),
                duration_ms: summary.duration_ms.into(),
            });
        }
        Wire::Outcome(outcome) => {
            let request_id: RequestId = outcome.request_id.as_str().into();
            let is_ssz = shared
                .state()
                .frozen
                .get(&request_id)
                .is_some_and(|frozen| frozen.is_ssz);
            let event = outcome_event(endpoint, request_id, outcome, is_ssz);
            shared.handle(Event::Outcome(event));
        }
        _ => {}
    }
}

fn outcome_event(
    endpoint: EndpointIndex,
    request_id: RequestId,
    outcome: proto::Outcome,
    is_ssz: bool,
) -> WireOutcome<Arc<proto::Outcome>> {
    let participants = match is_ssz {
        true => bits::from_bitlist(&outcome.participants).unwrap_or_default(),
        false => outcome.participants.to_vec(),
    };
    let is_proof = is_proved(&outcome);
    WireOutcome {
        endpoint,
        request_id,
        group_index: outcome.group_index as usize,
        message: outcome.message.to_vec(),
        is_proof,
        is_late: outcome.status() == proto::OutcomeStatus::ProvedLate,
        is_erased: is_proof && (outcome.proof_erased || outcome.proof.is_empty()),
        is_drained: !is_proof && outcome.reason() == proto::OutcomeReason::Draining,
        participants,
        payload: Arc::new(outcome),
    }
}

/// Leaves out a request with a state that this client does not know.
fn opened_event(endpoint: EndpointIndex, opened: proto::Opened) -> Event<Arc<proto::Outcome>> {
    let state = opened.status.as_ref().map(proto::Status::state);
    let awaited = opened.awaited.into_iter().filter_map(|entry| {
        let is_known = match entry.state() {
            proto::RequestState::InFlight | proto::RequestState::Ended => true,
            proto::RequestState::Unknown => false,
            proto::RequestState::Unspecified => return None,
        };
        Some(AwaitedState {
            request_id: entry.request_id.into(),
            is_known,
        })
    });
    Event::Opened {
        endpoint,
        service_id: opened.service_id.into(),
        state: service_state(state.unwrap_or_default()),
        awaited: awaited.collect(),
    }
}

fn service_state(state: proto::ServiceState) -> ServiceState {
    match state {
        proto::ServiceState::NoProver => ServiceState::NoProver,
        proto::ServiceState::Draining => ServiceState::Draining,
        proto::ServiceState::Ready | proto::ServiceState::Unspecified => ServiceState::Ready,
    }
}

fn report(shared: &Shared, connection: &Connection, end: End, was_open: bool) {
    let endpoint = &*connection.name;
    match end {
        End::Silent => {
            tracing::info!(target: "lean_aggregator", endpoint, "result stream silent");
            let why = match was_open {
                true => "it has sent nothing for too long",
                false => "it did not open the result stream in time",
            };
            unreachable(&shared.hooks, connection, why.into());
        }
        End::Broken(status) => {
            tracing::info!(
                target: "lean_aggregator", endpoint, error = %status, "result stream broke"
            );
            match lasting_problem(connection, &status) {
                Some(problem) => shared.hooks.problem(problem),
                // The next attempt says whether the endpoint can be reached.
                None if was_open => {}
                None => unreachable(&shared.hooks, connection, text_of(&status)),
            }
        }
    }
}

/// Group indices come from the wire's 32 bits, or are bounded by the size of a request.
pub(super) fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_of_the_node_is_no_silence_and_leaves_the_allowed_time() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let allowed = Duration::from_millis(500);
        runtime.block_on(async {
            let (send, sent) = tokio::sync::oneshot::channel();
            let stalls = tokio::spawn(async move {
                // The node stands still: no task and no timer of it runs.
                std::thread::sleep(allowed + STALL + STALL);
                sleep(allowed / 2).await;
                let _ = send.send(());
            });
            let heard = unless_silent(allowed, sent).await;
            assert!(matches!(heard, Some(Ok(()))));
            stalls.await.unwrap();
            let never = std::future::pending::<()>();
            assert_eq!(unless_silent(allowed, never).await, None);
        });
    }

    #[test]
    fn an_announced_event_may_take_as_long_as_the_largest() {
        assert_eq!(sending_time(0), Duration::ZERO);
        assert_eq!(sending_time(64_000), Duration::from_secs(1));
        let largest = Duration::from_millis(32_768);
        assert_eq!(sending_time(EVENT_BYTES_MAX), largest);
        assert_eq!(sending_time(u32::MAX), largest);
    }
}
