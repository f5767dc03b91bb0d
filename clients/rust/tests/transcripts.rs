//! The transcripts of `test/vectors`: what the adapter does on the wire, against scripted services.
#![cfg(feature = "client")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lean_aggregator_client::machine::{Gates, Priority, RequestId};
use lean_aggregator_client::{proto, Aggregator, Problem, Step, SubmitOptions, TickResult};
use proto::stream_results_response::Event;
use proto::submit_snapshot_response::Result as Answer;
use serde_json::Value;
use support::scripted::Scripted;
use support::vectors::{files, hex, number, numbers, text};
use tonic::{Code, Status};

/// Time in which what a service sent reaches the machine.
const SETTLE: Duration = Duration::from_millis(100);

/// What the adapter told the node and no step has seen.
#[derive(Default)]
struct Told {
    skips: Vec<(RequestId, String)>,
    problems: Vec<String>,
}

struct Run {
    services: BTreeMap<String, (Scripted, String, String)>,
    adapter: Arc<Aggregator>,
    names: BTreeMap<String, String>,
    told: Arc<Mutex<Told>>,
    ids: BTreeMap<String, RequestId>,
    slots: BTreeMap<String, u64>,
    closing: Option<thread::JoinHandle<()>>,
    taken: Vec<TickResult>,
    slot: u64,
}

#[test]
fn every_transcript_goes_as_written() {
    let only = std::env::var("TRANSCRIPT").unwrap_or_default();
    let transcripts = files("transcripts");
    let failures = Mutex::new(Vec::new());
    // Most of their time is waiting: they run side by side, a few at a time.
    let next = Mutex::new(transcripts.iter().filter(|(name, _)| name.contains(&only)));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| loop {
                let Some((name, transcript)) = next.lock().unwrap().next() else {
                    return;
                };
                if let Err(why) = play(transcript) {
                    failures.lock().unwrap().push(format!("{name}: {why}"));
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    println!("{} transcripts", transcripts.len());
}

fn play(transcript: &Value) -> Result<(), String> {
    let mut run = Run::new(transcript);
    for (index, step) in transcript["steps"].as_array().unwrap().iter().enumerate() {
        run.step(step)
            .map_err(|why| format!("step {index} {step}: {why}"))?;
    }
    run.nothing_unseen()
        .map_or(Ok(()), |what| Err(format!("after the last step: {what}")))
}

impl Run {
    fn new(transcript: &Value) -> Self {
        let endpoints = transcript["endpoints"].as_array().unwrap();
        let mut services = BTreeMap::new();
        let mut names = BTreeMap::new();
        let mut builder = Aggregator::builder().node_id("node-1");
        for endpoint in endpoints {
            let name = endpoint.as_str().unwrap().to_owned();
            let service = Scripted::new();
            builder = builder.endpoint(service.address.to_string());
            names.insert(service.address.to_string(), name.clone());
            services.insert(name, (service, String::new(), String::new()));
        }
        let told = Arc::new(Mutex::new(Told::default()));
        let (for_skips, for_problems) = (told.clone(), told.clone());
        let adapter = builder
            .on_skip(move |skip| {
                if let Some(request_id) = &skip.request_id {
                    let skip = (request_id.clone(), skip.reason.to_string());
                    for_skips.lock().unwrap().skips.push(skip);
                }
            })
            .on_problem(move |problem| {
                let code = match problem {
                    Problem::EndpointIsBalanced { .. } => "endpoint_is_balanced",
                    Problem::NodeIdInUse { .. } => "node_id_in_use",
                    _ => "other",
                };
                for_problems.lock().unwrap().problems.push(code.into());
            })
            .build()
            .unwrap();
        Run {
            services,
            adapter: Arc::new(adapter),
            names,
            told,
            ids: BTreeMap::new(),
            slots: BTreeMap::new(),
            closing: None,
            taken: Vec::new(),
            slot: 5,
        }
    }

    fn service(&self, step: &Value) -> &Scripted {
        &self.services[text(step, "endpoint")].0
    }

    fn id(&self, step: &Value) -> String {
        self.ids[text(step, "request")].to_string()
    }

    fn step(&mut self, step: &Value) -> Result<(), String> {
        if let Some(after_ms) = step["afterMs"].as_u64() {
            thread::sleep(Duration::from_millis(after_ms));
        }
        match step["do"].as_str() {
            Some(action) => self.act(action, step),
            None => self.see(text(step, "see"), step),
        }
    }

    fn act(&mut self, action: &str, step: &Value) -> Result<(), String> {
        match action {
            "start" => {
                let service = self.services.get_mut(text(step, "endpoint")).unwrap();
                service.1 = step["serviceId"].as_str().unwrap_or_default().into();
                service.2 = step["run"].as_str().unwrap_or_default().into();
                service.0.start();
            }
            "stop" => {
                let service = self.services.get_mut(text(step, "endpoint")).unwrap();
                service.0.stop();
            }
            "silence" => self.service(step).silence(),
            "opened" => self.opened(step),
            "accept" | "skip" | "fail" => self.answer(action, step)?,
            "outcome" => self.outcome(step),
            "summary" => self.service(step).send(Event::Summary(proto::Summary {
                request_id: self.id(step),
                ..Default::default()
            })),
            "status" => self.service(step).send(Event::Status(status(step))),
            "sending" => self.service(step).send(Event::Sending(proto::Sending {
                bytes: number(step, "bytes") as u32,
            })),
            "end" => {
                let calls = self.service(step).calls();
                let events = &calls.streams.last().unwrap().events;
                let _ = events.send(Err(error(step)));
            }
            "submit" => return self.submit(step),
            "cancel" => {
                let (id, groups) = (self.id(step), numbers(step, "groups"));
                self.adapter.cancel_where(|group| {
                    **group.request_id == *id && groups.contains(&group.group_index)
                });
            }
            "close" => {
                let adapter = self.adapter.clone();
                let drain = Duration::from_millis(number(step, "drainMs"));
                self.closing = Some(thread::spawn(move || adapter.close(drain)));
            }
            _ => return Err("unknown step".into()),
        }
        // The step is done when the adapter has read what was sent.
        if matches!(
            action,
            "opened" | "accept" | "status" | "outcome" | "summary"
        ) {
            thread::sleep(SETTLE);
        }
        Ok(())
    }

    fn opened(&self, step: &Value) {
        let (service, service_id, run) = &self.services[text(step, "endpoint")];
        let known = known_ids(step, &self.ids);
        let request = service.calls().streams.last().unwrap().request.clone();
        let awaited = request.awaited.into_iter().map(|awaited| {
            let state = match known.contains(&awaited.request_id) {
                true => proto::RequestState::InFlight,
                false => proto::RequestState::Unknown,
            };
            proto::AwaitedState {
                request_id: awaited.request_id,
                state: state.into(),
            }
        });
        service.send(Event::Opened(proto::Opened {
            service_id: service_id.clone(),
            run: run.clone(),
            status: Some(status(step)),
            awaited: awaited.collect(),
            ..Default::default()
        }));
        service.beat();
    }
}

impl Run {
    fn answer(&self, action: &str, step: &Value) -> Result<(), String> {
        let (service, service_id, _) = &self.services[text(step, "endpoint")];
        let id = self.id(step);
        let mut calls = service.calls();
        let mut submits = calls.submits.iter_mut();
        let call = submits
            .find(|call| call.request.request_id == id && call.answer.is_some())
            .ok_or("no unanswered submission")?;
        let request = &call.request;
        let answer = match action {
            "accept" => Ok(Answer::Accepted(proto::Accepted {
                request_id: id,
                deadline_ms: request.deadline_ms.unwrap_or_default(),
                fence_ms: match step["fenceMs"].as_u64() {
                    Some(fence_ms) => fence_ms as u32,
                    None => request.fence_ms.unwrap_or_default(),
                },
                service_id: service_id.clone(),
                ..Default::default()
            })),
            "skip" => {
                let name = format!("SKIP_REASON_{}", text(step, "reason").to_uppercase());
                Ok(Answer::Skipped(proto::Skipped {
                    reason: proto::SkipReason::from_str_name(&name).unwrap().into(),
                    ..Default::default()
                }))
            }
            _ => Err(error(step)),
        };
        let answer = answer.map(|result| proto::SubmitSnapshotResponse {
            result: Some(result),
        });
        let _ = call.answer.take().unwrap().send(answer);
        Ok(())
    }

    fn outcome(&self, step: &Value) {
        let group = number(step, "group") as u32;
        let name = format!("OUTCOME_STATUS_{}", text(step, "status"));
        let status = proto::OutcomeStatus::from_str_name(&name).unwrap();
        let reason = step["reason"].as_str().map(|reason| {
            proto::OutcomeReason::from_str_name(&format!("OUTCOME_REASON_{reason}")).unwrap()
        });
        let is_proof = name.starts_with("OUTCOME_STATUS_PROVED");
        let is_erased = step["isErased"].as_bool().unwrap_or(false);
        let proof = match is_proof && !is_erased {
            true => vec![0; step["proofBytes"].as_u64().unwrap_or(32) as usize],
            false => Vec::new(),
        };
        let participants = step["participants"].as_str().unwrap_or("01");
        self.service(step).send(Event::Outcome(proto::Outcome {
            request_id: self.id(step),
            group_index: group,
            slot: self.slots[text(step, "request")],
            message: vec![group as u8 + 1; 32].into(),
            status: status.into(),
            reason: reason.unwrap_or_default().into(),
            proof: proof.into(),
            participants: match is_proof {
                true => hex(participants).into(),
                false => Vec::new().into(),
            },
            proof_erased: is_erased,
            ..Default::default()
        }));
    }

    fn submit(&mut self, step: &Value) -> Result<(), String> {
        let slot = number(step, "slot");
        self.slot = slot;
        let millis = |key: &str| Duration::from_millis(step[key].as_u64().unwrap_or(0));
        let options = SubmitOptions {
            priority: match step["priority"].as_str() {
                Some("proposal") => Priority::Proposal,
                Some("backlog") => Priority::Backlog,
                _ => Priority::Aggregation,
            },
            deadline: Some(millis("deadlineMs")),
            fence: Some(millis("fenceMs")),
            hold: millis("holdMs"),
            may_replace: step["mayReplace"].as_bool().unwrap_or(false),
            steps: vec![Step {
                until: millis("fenceMs"),
                weight: 1,
            }],
            ..SubmitOptions::default()
        };
        let groups = number(step, "groups") as u32;
        let snapshot = || Ok::<_, String>(Some(snapshot(slot, groups)));
        let answer = self
            .adapter
            .submit_or_skip(slot, Gates::OPEN, snapshot, &options);
        match (answer, step["skipped"].as_str()) {
            (Ok(id), None) => {
                self.slots.insert(text(step, "request").into(), slot);
                self.ids.insert(text(step, "request").into(), id);
                Ok(())
            }
            (Err(skip), Some(reason)) if skip.reason.name() == reason => Ok(()),
            (answer, _) => Err(format!("the answer is {answer:?}")),
        }
    }

    fn see(&mut self, what: &str, step: &Value) -> Result<(), String> {
        let start = Instant::now();
        let limit = step["withinMs"].as_u64().or(step["forMs"].as_u64());
        let limit = Duration::from_millis(limit.unwrap_or(1000));
        if what == "quiet" {
            while start.elapsed() < limit {
                if let Some(what) = self.nothing_unseen() {
                    return Err(what);
                }
                thread::sleep(Duration::from_millis(5));
            }
            return Ok(());
        }
        loop {
            let seen = self.seen(what, step)?;
            let passed = start.elapsed();
            if seen.is_ok() {
                let earliest = step["notBeforeMs"].as_u64().unwrap_or(0);
                if passed < Duration::from_millis(earliest) {
                    return Err(format!("came after {passed:?} already"));
                }
                return Ok(());
            }
            if passed > limit {
                return Err(format!("did not come: {}", seen.unwrap_err()));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether it has come; an error when something else has.
    fn seen(&mut self, what: &str, step: &Value) -> Result<Result<(), String>, String> {
        match what {
            "stream" => self.see_stream(step),
            "submission" => self.see_submission(step),
            "cancel" => self.see_cancel(step),
            "broken" => {
                let calls = self.service(step).calls();
                let stream = calls.streams.last().ok_or("no stream")?;
                Ok(match stream.events.is_closed() {
                    true => Ok(()),
                    false => Err("the stream is open".into()),
                })
            }
            "results" => self.see_results(step),
            "skip" => {
                let expected = (
                    self.ids[text(step, "request")].clone(),
                    text(step, "reason"),
                );
                let mut told = self.told.lock().unwrap();
                match told.skips.first() {
                    None => Ok(Err("nothing was skipped".into())),
                    Some((id, reason)) if (id, &**reason) == (&expected.0, expected.1) => {
                        told.skips.remove(0);
                        Ok(Ok(()))
                    }
                    Some(skip) => Err(format!("{skip:?}")),
                }
            }
            "error" => {
                let problems = &self.told.lock().unwrap().problems;
                let code = text(step, "code").to_owned();
                Ok(match problems.contains(&code) {
                    true => Ok(()),
                    false => Err(format!("told {problems:?}")),
                })
            }
            "closed" => Ok(
                match self.closing.as_ref().is_some_and(|t| t.is_finished()) {
                    true => Ok(()),
                    false => Err("it still closes".into()),
                },
            ),
            "metrics" => {
                let stats = self.adapter.stats();
                let values = step["values"].as_object().unwrap().iter();
                let wrong = values.filter(|(name, value)| metric(&stats, name) != value.as_u64());
                let wrong: Vec<_> = wrong.collect();
                Ok(match wrong.is_empty() {
                    true => Ok(()),
                    false => Err(format!("{wrong:?} in {stats:?}")),
                })
            }
            _ => Err("unknown step".into()),
        }
    }

    fn see_stream(&self, step: &Value) -> Result<Result<(), String>, String> {
        let mut calls = self.service(step).calls();
        let Some(call) = calls.streams.iter_mut().find(|call| !call.is_seen) else {
            return Ok(Err("no new stream".into()));
        };
        call.is_seen = true;
        let expected: Vec<(String, Vec<u32>)> = step["awaited"]
            .as_array()
            .unwrap()
            .iter()
            .map(|each| {
                let received = numbers(each, "receivedGroups").into_iter();
                (self.id(each), received.map(|group| group as u32).collect())
            })
            .collect();
        let awaited = call.request.awaited.iter();
        let awaited: Vec<(String, Vec<u32>)> = awaited
            .map(|each| (each.request_id.clone(), each.received_groups.clone()))
            .collect();
        let node_id = &call.request.node.as_ref().unwrap().node_id;
        match node_id == "node-1" && awaited == expected {
            true => Ok(Ok(())),
            false => Err(format!("{node_id} awaits {awaited:?}")),
        }
    }

    fn see_submission(&self, step: &Value) -> Result<Result<(), String>, String> {
        let mut calls = self.service(step).calls();
        let Some(call) = calls.submits.iter_mut().find(|call| !call.is_seen) else {
            return Ok(Err("no new submission".into()));
        };
        call.is_seen = true;
        let request = &call.request;
        let is_within = |budget: Option<u32>, key: &str| {
            let bounds = numbers(step, key);
            budget.is_some_and(|ms| (bounds[0]..=bounds[1]).contains(&(ms as usize)))
        };
        let is_it = request.request_id == self.id(step)
            && call.has_time_limit
            && is_within(request.deadline_ms, "deadlineMs")
            && is_within(request.fence_ms, "fenceMs");
        match is_it {
            true => Ok(Ok(())),
            false => Err(format!(
                "{} came with {:?} and {:?}",
                request.request_id, request.deadline_ms, request.fence_ms
            )),
        }
    }

    fn see_cancel(&self, step: &Value) -> Result<Result<(), String>, String> {
        let mut calls = self.service(step).calls();
        let Some(call) = calls.cancels.iter_mut().find(|call| !call.is_seen) else {
            return Ok(Err("no new cancel".into()));
        };
        call.is_seen = true;
        let groups: Vec<usize> = call
            .request
            .group_indices
            .iter()
            .map(|g| *g as usize)
            .collect();
        match call.request.request_id == self.id(step) && groups == numbers(step, "groups") {
            true => Ok(Ok(())),
            false => Err(format!("{:?}", call.request)),
        }
    }

    fn see_results(&mut self, step: &Value) -> Result<Result<(), String>, String> {
        let taken = self.adapter.take_results(number(step, "slot"));
        self.taken.extend(taken);
        let expected: Vec<String> = step["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|each| {
                let endpoint = each["endpoint"].as_str().unwrap_or("-");
                let (kind, group) = (text(each, "kind"), number(each, "group"));
                format!("{kind} {} {group} {endpoint}", self.id(each))
            })
            .collect();
        let taken: Vec<String> = self
            .taken
            .iter()
            .map(|each| {
                let endpoint = each
                    .endpoint
                    .as_deref()
                    .map_or("-", |name| &self.names[name]);
                let (kind, group) = (each.ending.name(), each.group_index);
                format!("{kind} {} {group} {endpoint}", each.request_id)
            })
            .collect();
        if taken.len() < expected.len() {
            return Ok(Err(format!("taken {taken:?}")));
        }
        self.taken.clear();
        match taken == expected {
            true => Ok(Ok(())),
            false => Err(format!("taken {taken:?}")),
        }
    }

    /// What has come and no step has seen. Streams may open again and again.
    fn nothing_unseen(&mut self) -> Option<String> {
        for (name, (service, _, _)) in &self.services {
            let calls = service.calls();
            if let Some(call) = calls.submits.iter().find(|call| !call.is_seen) {
                return Some(format!(
                    "submission of {} at {name}",
                    call.request.request_id
                ));
            }
            if let Some(call) = calls.cancels.iter().find(|call| !call.is_seen) {
                return Some(format!("cancel of {} at {name}", call.request.request_id));
            }
        }
        if let Some(skip) = self.told.lock().unwrap().skips.first() {
            return Some(format!("skip {skip:?}"));
        }
        let taken = self.adapter.take_results(self.slot);
        self.taken.extend(taken);
        (!self.taken.is_empty()).then(|| format!("results {:?}", self.taken))
    }
}

fn known_ids(step: &Value, ids: &BTreeMap<String, RequestId>) -> Vec<String> {
    let known = step["known"].as_array().unwrap().iter();
    known
        .map(|name| ids[name.as_str().unwrap()].to_string())
        .collect()
}

fn status(step: &Value) -> proto::Status {
    let state = match step["state"].as_str() {
        Some("no_prover") => proto::ServiceState::NoProver,
        Some("draining") => proto::ServiceState::Draining,
        _ => proto::ServiceState::Ready,
    };
    proto::Status {
        state: state.into(),
        ..Default::default()
    }
}

fn error(step: &Value) -> Status {
    let code = match text(step, "code") {
        "ABORTED" => Code::Aborted,
        "CANCELLED" => Code::Cancelled,
        "FAILED_PRECONDITION" => Code::FailedPrecondition,
        "INVALID_ARGUMENT" => Code::InvalidArgument,
        "RESOURCE_EXHAUSTED" => Code::ResourceExhausted,
        "UNAUTHENTICATED" => Code::Unauthenticated,
        "UNAVAILABLE" => Code::Unavailable,
        "UNIMPLEMENTED" => Code::Unimplemented,
        _ => Code::Internal,
    };
    Status::new(code, step["message"].as_str().unwrap_or_default())
}

fn metric(stats: &lean_aggregator_client::Stats, name: &str) -> Option<u64> {
    let reason = name
        .strip_prefix("lean_aggregator_skipped_total{reason=\"")
        .and_then(|rest| rest.strip_suffix("\"}"));
    if let Some(reason) = reason {
        let reason = lean_aggregator_client::machine::SkipReason::from_name(reason)?;
        return Some(stats.skipped_for(reason));
    }
    match name {
        "lean_aggregator_resubmitted_total" => Some(stats.resubmitted),
        "lean_aggregator_late_results_total" => Some(stats.late_results),
        "lean_aggregator_fenced_results_total" => Some(stats.fenced_results),
        "lean_aggregator_lost_groups_total" => Some(stats.lost_groups),
        "lean_aggregator_dropped_results_total" => Some(stats.dropped_results),
        _ => None,
    }
}

/// Group i has one signature of validator i, and roots of 32 bytes of i + 1.
fn snapshot(slot: u64, groups: u32) -> proto::Snapshot {
    let checkpoint = |index: u32| {
        Some(proto::Checkpoint {
            root: vec![index as u8 + 1; 32].into(),
            slot,
        })
    };
    let group = |index: u32| proto::Group {
        data: Some(proto::AttestationData {
            slot,
            head: checkpoint(index),
            target: checkpoint(index),
            source: checkpoint(index),
        }),
        raw_signatures: vec![proto::RawSignature {
            validator_index: index,
            signature: vec![0].into(),
        }],
        ..Default::default()
    };
    proto::Snapshot {
        groups: (0..groups).map(group).collect(),
        ..Default::default()
    }
}
