//! The transcripts of `test/vectors`: what the adapter does on the wire, against scripted services.
#![cfg(feature = "client")]

mod seen;
#[path = "../support/mod.rs"]
mod support;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lean_aggregator_client::machine::{Gates, Priority, RequestId};
use lean_aggregator_client::{proto, Aggregator, Problem, Step, SubmitOptions, TickResult};
use proto::stream_results_response::Event;
use proto::submit_snapshot_response::Result as Answer;
use serde_json::Value;
use support::scripted::Scripted;
use support::vectors::{files, hex, number, numbers, text};
use wire::{error, known_ids, snapshot, status};

/// Time in which what a service sent reaches the machine.
const SETTLE: Duration = Duration::from_millis(100);

/// What the adapter told the node and no step has seen.
#[derive(Default)]
struct Told {
    skips: Vec<(RequestId, String)>,
    problems: Vec<String>,
}

/// By name: a service, its id and its run.
type Services = BTreeMap<String, (Scripted, String, String)>;

struct Run {
    services: Services,
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
    let steps = transcript["steps"].as_array().unwrap().iter().enumerate();
    for (index, step) in steps.skip(first_starts(transcript).count()) {
        run.step(step)
            .map_err(|why| format!("step {index} {step}: {why}"))?;
    }
    run.nothing_unseen()
        .map_or(Ok(()), |what| Err(format!("after the last step: {what}")))
}

fn start(services: &mut Services, step: &Value) {
    let service = services.get_mut(text(step, "endpoint")).unwrap();
    service.1 = step["serviceId"].as_str().unwrap_or_default().into();
    service.2 = step["run"].as_str().unwrap_or_default().into();
    service.0.start();
}

/// The `start` steps before which there is no adapter.
fn first_starts(transcript: &Value) -> impl Iterator<Item = &Value> {
    let steps = transcript["steps"].as_array().unwrap().iter();
    steps.take_while(|step| step["do"] == "start")
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
        for step in first_starts(transcript) {
            start(&mut services, step);
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
            "start" => start(&mut self.services, step),
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
            steps: Some(vec![Step {
                until: millis("fenceMs"),
                weight: 1,
            }]),
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
}
