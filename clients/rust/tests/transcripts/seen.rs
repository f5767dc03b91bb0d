//! The steps that wait for what must come.

use std::thread;
use std::time::{Duration, Instant};

use lean_aggregator_client::machine::SkipReason;
use lean_aggregator_client::Stats;
use serde_json::Value;

use crate::support::vectors::{number, numbers, text};
use crate::Run;

impl Run {
    pub fn see(&mut self, what: &str, step: &Value) -> Result<(), String> {
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
            "both" => self.see_both(step),
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

    /// A stream and a submission: one that arrived before the stream is awaited by it.
    fn see_both(&self, step: &Value) -> Result<Result<(), String>, String> {
        let mut calls = self.service(step).calls();
        let calls = &mut *calls;
        let stream = calls.streams.iter_mut().find(|call| !call.is_seen);
        let submit = calls.submits.iter_mut().find(|call| !call.is_seen);
        let (Some(stream), Some(submit)) = (stream, submit) else {
            return Ok(Err("not both".into()));
        };
        (stream.is_seen, submit.is_seen) = (true, true);
        let id = self.id(step);
        let is_awaited = stream
            .request
            .awaited
            .iter()
            .any(|each| each.request_id == id);
        let is_kept = stream.number < submit.number || is_awaited;
        match submit.request.request_id == id && is_kept {
            true => Ok(Ok(())),
            false => Err("the submission overtook a stream that does not await it".into()),
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
    pub fn nothing_unseen(&mut self) -> Option<String> {
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

fn metric(stats: &Stats, name: &str) -> Option<u64> {
    let reason = name
        .strip_prefix("lean_aggregator_skipped_total{reason=\"")
        .and_then(|rest| rest.strip_suffix("\"}"));
    if let Some(reason) = reason {
        let reason = SkipReason::from_name(reason)?;
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
