//! Events and effects in the form of the vectors.

use lean_aggregator_client::machine::{
    AwaitedState, Effect, Event, Fence, Gates, GroupRef, GroupResult, Latch, Limits, Machine,
    Priority, ProofKind, ServiceState, SkipReason, Submission, WireOutcome,
};
use serde_json::{json, Value};

use super::vectors::{hex, number, numbers, text};

/// The endpoints of a case, each name once.
pub struct Names(Vec<String>);

impl Names {
    pub fn of(case: &Value) -> Self {
        let mut names: Vec<String> = Vec::new();
        for name in case["endpoints"].as_array().unwrap() {
            let name = name.as_str().unwrap().to_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Names(names)
    }

    pub fn machine(&self, case: &Value) -> Machine<String> {
        let mut limits = Limits::default();
        let max = |key: &str| case[key].as_u64().map(|max| max as usize);
        limits.results_max = max("resultsMax").unwrap_or(limits.results_max);
        limits.bytes_max = max("bytesMax").unwrap_or(limits.bytes_max);
        let has_verify_hook = case["hasVerifyHook"].as_bool().unwrap();
        Machine::with_limits(self.0.len(), has_verify_hook, limits)
    }

    /// The index of a name. An unknown name has one that the machine does not know.
    fn index(&self, event: &Value) -> usize {
        let name = text(event, "endpoint");
        let index = self.0.iter().position(|each| each == name);
        index.unwrap_or(usize::MAX)
    }
}

pub fn event_of(event: &Value, names: &Names) -> Event<String> {
    let request_id = || text(event, "requestId").into();
    let endpoint = || names.index(event);
    let flag = |key: &str| event[key].as_bool().unwrap_or(false);
    match text(event, "kind") {
        "ask" => Event::Ask {
            slot: number(event, "slot"),
            gates: gates(&event["gates"]),
            latch: latch(event),
            may_replace: flag("mayReplace"),
        },
        "submitted" => Event::Submitted(submission(&event["submission"])),
        "accepted" => Event::Accepted {
            request_id: request_id(),
            endpoint: endpoint(),
            service_id: text(event, "serviceId").into(),
            fence_at_ms: number(event, "fenceAtMs"),
        },
        "refused" => Event::Refused {
            request_id: request_id(),
            endpoint: endpoint(),
            reason: SkipReason::from_name(text(event, "reason")).unwrap(),
        },
        "failed" => Event::Failed {
            request_id: request_id(),
            endpoint: endpoint(),
            is_timeout: flag("isTimeout"),
        },
        "opening" => Event::Opening {
            endpoint: endpoint(),
        },
        "opened" => Event::Opened {
            endpoint: endpoint(),
            service_id: text(event, "serviceId").into(),
            state: state(text(event, "state")),
            awaited: event["awaited"]
                .as_array()
                .unwrap()
                .iter()
                .map(|each| AwaitedState {
                    request_id: text(each, "requestId").into(),
                    is_known: each["isKnown"].as_bool().unwrap(),
                })
                .collect(),
        },
        "status" => Event::Status {
            endpoint: endpoint(),
            state: state(text(event, "state")),
        },
        "disconnected" => Event::Disconnected {
            endpoint: endpoint(),
            is_silent: flag("isSilent"),
        },
        "outcome" => Event::Outcome(WireOutcome {
            endpoint: endpoint(),
            request_id: request_id(),
            group_index: number(event, "groupIndex") as usize,
            message: text(event, "message").as_bytes().to_vec(),
            is_proof: flag("isProof"),
            is_late: flag("isLate"),
            is_erased: flag("isErased"),
            is_drained: flag("isDrained"),
            participants: hex(text(event, "participants")),
            payload: text(event, "payload").into(),
        }),
        "summary" => Event::Summary {
            endpoint: endpoint(),
            request_id: request_id(),
            duration_ms: number(event, "durationMs"),
        },
        "verified" => Event::Verified {
            group: group(&event["ref"], names),
            is_valid: flag("isValid"),
        },
        "cancel" => Event::Cancel {
            request_id: request_id(),
            groups: event["groups"].is_array().then(|| numbers(event, "groups")),
        },
        "take" => Event::Take {
            slot: number(event, "slot"),
            requests: event["requestIds"].as_array().map(|ids| {
                let ids = ids.iter().map(|id| id.as_str().unwrap().into());
                ids.collect()
            }),
            max: event["max"].as_u64().map(|max| max as usize),
        },
        "tick" => Event::Tick,
        "closing" => Event::Closing,
        "closed" => Event::Closed,
        kind => panic!("unknown event {kind}"),
    }
}

fn gates(gates: &Value) -> Gates {
    Gates {
        is_aggregator: gates["isAggregator"].as_bool().unwrap(),
        is_synced: gates["isSynced"].as_bool(),
        has_state: gates["hasState"].as_bool().unwrap(),
        is_paused: gates["isPaused"].as_bool().unwrap_or(false),
    }
}

fn submission(submission: &Value) -> Submission {
    Submission {
        request_id: text(submission, "requestId").into(),
        latch: latch(submission),
        slot: number(submission, "slot"),
        groups: number(submission, "groups") as usize,
        bytes: number(submission, "bytes") as usize,
        deadline_at_ms: number(submission, "deadlineAtMs"),
        fence: Fence {
            at_ms: number(submission, "fenceAtMs"),
            slot: submission["fenceSlot"].as_u64(),
        },
        hold_until_ms: number(submission, "holdUntilMs"),
    }
}

fn latch(value: &Value) -> Latch {
    Latch {
        priority: priority(text(value, "priority")),
        proof_kind: match value["proofKind"].as_str().unwrap_or("aggregate") {
            "aggregate" => ProofKind::Aggregate,
            "merge" => ProofKind::Merge,
            name => panic!("unknown kind of proof {name}"),
        },
    }
}

fn priority(name: &str) -> Priority {
    match name {
        "proposal" => Priority::Proposal,
        "aggregation" => Priority::Aggregation,
        "backlog" => Priority::Backlog,
        _ => panic!("unknown priority {name}"),
    }
}

fn state(name: &str) -> ServiceState {
    match name {
        "ready" => ServiceState::Ready,
        "no_prover" => ServiceState::NoProver,
        "draining" => ServiceState::Draining,
        _ => panic!("unknown state {name}"),
    }
}

fn group(group: &Value, names: &Names) -> GroupRef {
    GroupRef {
        request_id: text(group, "requestId").into(),
        group_index: number(group, "groupIndex") as usize,
        slot: number(group, "slot"),
        endpoint: group["endpoint"].is_string().then(|| names.index(group)),
    }
}

pub fn effects_of(effects: Vec<Effect<String>>, names: &Names) -> Vec<Value> {
    effects
        .into_iter()
        .map(|effect| effect_of(effect, names))
        .collect()
}

fn effect_of(effect: Effect<String>, names: &Names) -> Value {
    let name = |endpoint: usize| names.0[endpoint].as_str();
    let group = |group: &GroupRef| {
        json!({"requestId": *group.request_id, "groupIndex": group.group_index, "slot": group.slot,
            "endpoint": group.endpoint.map(name)})
    };
    let told = |kind: &str, about: &GroupRef| json!({"kind": kind, "ref": group(about)});
    match effect {
        Effect::Go => json!({"kind": "go"}),
        Effect::Skip { request_id, reason } => {
            json!({"kind": "skip", "requestId": request_id.as_deref(), "reason": reason.name()})
        }
        Effect::Send(send) => json!({"kind": "send", "requestId": *send.request_id,
            "endpoint": name(send.endpoint), "afterMs": send.after_ms,
            "deadlineAtMs": send.deadline_at_ms, "fenceAtMs": send.fence_at_ms,
            "isLookup": send.is_lookup, "isResubmission": send.is_resubmission}),
        Effect::Cancel {
            endpoint,
            request_id,
            groups,
        } => json!({"kind": "cancel", "endpoint": name(endpoint), "requestId": *request_id,
            "groups": groups}),
        Effect::Forget { request_id } => json!({"kind": "forget", "requestId": *request_id}),
        Effect::Await { endpoint, requests } => {
            let requests = requests.iter().map(|each| {
                json!({"requestId": *each.request_id, "receivedGroups": each.received_groups})
            });
            json!({"kind": "await", "endpoint": name(endpoint),
                "requests": requests.collect::<Vec<_>>()})
        }
        Effect::Verify {
            group: about,
            payload,
        } => json!({"kind": "verify", "ref": group(&about), "payload": payload}),
        Effect::Deliver(result) => {
            let result = match &result {
                GroupResult::Outcome(about, payload) => {
                    json!({"kind": "outcome", "ref": group(about), "payload": payload})
                }
                GroupResult::Duplicate(about) => told("duplicate", about),
                GroupResult::Refused(about) => told("refused", about),
                GroupResult::Cancelled(about) => told("cancelled", about),
                GroupResult::Lost(about) => told("lost", about),
            };
            json!({"kind": "deliver", "result": result})
        }
        Effect::Summarised {
            request_id,
            endpoint,
            duration_ms,
        } => json!({"kind": "summarised", "requestId": *request_id, "endpoint": name(endpoint),
            "durationMs": duration_ms}),
        Effect::Balanced { endpoint } => json!({"kind": "balanced", "endpoint": name(endpoint)}),
        Effect::Late(about) => told("late", &about),
        Effect::Fenced(about) => told("fenced", &about),
        Effect::Lost(about) => told("lost", &about),
        Effect::Dropped(about) => told("dropped", &about),
    }
}
