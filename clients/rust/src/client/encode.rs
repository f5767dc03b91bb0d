//! The bytes of a submission: frozen once in the tick, with the budgets appended at each try.

use bytes::{BufMut, Bytes};
use prost::Message;

use super::clock::Clock;
use super::options::SubmitOptions;
use crate::machine::{Millis, Priority};
use crate::proto;

/// Tags of `deadline_ms`, `fence_ms` and `steps` of `SubmitSnapshotRequest`.
const DEADLINE_TAG: u8 = 0x28;
const FENCE_TAG: u8 = 0x30;
const STEPS_TAG: u8 = 0x5a;

/// Tags of `until_ms` and `weight` of `Step`.
const UNTIL_TAG: u8 = 0x08;
const WEIGHT_TAG: u8 = 0x10;

/// A step whose end is an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrozenStep {
    pub until_at_ms: Millis,
    pub weight: u32,
}

/// What all submissions of an adapter have in common.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub node: proto::Node,
    pub proof_system: Option<proto::ProofSystem>,
}

/// Encodes a request without its budgets and steps. Copies all bytes of the snapshot.
pub(super) fn freeze(
    header: &Header,
    request_id: &str,
    snapshot: proto::Snapshot,
    options: &SubmitOptions,
) -> Bytes {
    let request = proto::SubmitSnapshotRequest {
        node: Some(header.node.clone()),
        snapshot: Some(snapshot),
        proof_system: header.proof_system.clone(),
        request_id: request_id.to_owned(),
        deadline_ms: None,
        fence_ms: None,
        priority: match options.priority {
            Priority::Proposal => proto::Priority::Proposal,
            Priority::Aggregation => proto::Priority::Aggregation,
            Priority::Backlog => proto::Priority::Backlog,
        }
        .into(),
        busy_policy: match options.may_replace {
            true => proto::BusyPolicy::Replace,
            false => proto::BusyPolicy::Skip,
        }
        .into(),
        partial_policy: match options.may_be_partial {
            true => proto::PartialPolicy::Unspecified,
            false => proto::PartialPolicy::Forbid,
        }
        .into(),
        min_inputs: options.min_inputs,
        steps: Vec::new(),
    };
    request.encode_to_vec().into()
}

/// One try, which is encoded when its connection takes it.
#[derive(Clone, Debug)]
pub(super) struct TryBody {
    pub frozen: Bytes,
    pub steps: Vec<FrozenStep>,
    pub deadline_at_ms: Millis,
    pub fence_at_ms: Millis,
    pub is_lookup: bool,
}

impl TryBody {
    /// Whole milliseconds that are left until the deadline and until the fence.
    pub fn budgets(&self, clock: &Clock) -> (u32, u32) {
        let now_ms = clock.now_ms_up();
        let left = |at_ms: Millis| u32::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(u32::MAX);
        let deadline_ms = match self.is_lookup {
            true => 0,
            false => left(self.deadline_at_ms),
        };
        (deadline_ms, left(self.fence_at_ms))
    }

    /// Writes the request with the budgets of this instant.
    pub fn write(&self, clock: &Clock, out: &mut impl BufMut) {
        out.put_slice(&self.frozen);
        let (deadline_ms, fence_ms) = self.budgets(clock);
        let now_ms = clock.now_ms_up();
        let steps = self.steps.iter().map(|step| {
            let left_ms = step.until_at_ms.saturating_sub(now_ms);
            (u32::try_from(left_ms).unwrap_or(u32::MAX), step.weight)
        });
        append(out, deadline_ms, fence_ms, steps);
    }

    /// A bound on the bytes that `write` writes.
    pub fn bytes_max(&self) -> usize {
        self.frozen.len() + 12 + 14 * self.steps.len()
    }
}

/// Appends the budgets and the steps (milliseconds that are left, weight) to a frozen request.
fn append(
    out: &mut impl BufMut,
    deadline_ms: u32,
    fence_ms: u32,
    steps: impl Iterator<Item = (u32, u32)>,
) {
    out.put_u8(DEADLINE_TAG);
    put_varint(out, deadline_ms);
    out.put_u8(FENCE_TAG);
    put_varint(out, fence_ms);
    // A step that has passed stays, with 0: with another number of steps, a try would be another
    // request.
    for (left_ms, weight) in steps {
        let until_length = if left_ms > 0 {
            1 + varint_length(left_ms)
        } else {
            0
        };
        out.put_u8(STEPS_TAG);
        put_varint(out, until_length + 1 + varint_length(weight));
        if left_ms > 0 {
            out.put_u8(UNTIL_TAG);
            put_varint(out, left_ms);
        }
        out.put_u8(WEIGHT_TAG);
        put_varint(out, weight);
    }
}

fn put_varint(out: &mut impl BufMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn varint_length(value: u32) -> u32 {
    (32 - (value | 1).leading_zeros()).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_decodes_as_the_frozen_request_with_budgets_and_steps() {
        let clock = Clock::start();
        let header = Header {
            node: proto::Node {
                node_id: "node-1".into(),
                node_epoch: 7,
            },
            proof_system: None,
        };
        let snapshot = proto::Snapshot {
            slot: 9,
            ..Default::default()
        };
        let frozen = freeze(&header, "r", snapshot.clone(), &SubmitOptions::default());
        let at = |ms: u64| clock.now_ms() + ms;
        let step = |ms: u64, weight: u32| FrozenStep {
            until_at_ms: at(ms),
            weight,
        };
        let body = TryBody {
            frozen,
            steps: vec![step(0, 9), step(30_000, 4), step(3_000_000, 1)],
            deadline_at_ms: at(50_000),
            fence_at_ms: at(1_000_000),
            is_lookup: false,
        };
        let mut bytes = Vec::new();
        body.write(&clock, &mut bytes);
        assert!(bytes.len() <= body.bytes_max());
        let request = proto::SubmitSnapshotRequest::decode(bytes.as_slice()).unwrap();
        assert_eq!(request.snapshot, Some(snapshot));
        assert_eq!(request.request_id, "r");
        let deadline_ms = request.deadline_ms.unwrap();
        assert!((40_000..=50_000).contains(&deadline_ms), "{deadline_ms}");
        let fence_ms = request.fence_ms.unwrap();
        assert!((990_000..=1_000_000).contains(&fence_ms), "{fence_ms}");
        let weights: Vec<u32> = request.steps.iter().map(|step| step.weight).collect();
        assert_eq!(weights, [9, 4, 1]);
        assert_eq!(request.steps[0].until_ms, 0);
        assert!((20_000..=30_000).contains(&request.steps[1].until_ms));
    }

    #[test]
    fn the_bytes_are_those_of_the_vectors() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../test/vectors/requests/frozen.json"
        );
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: there is no file {path}");
            return;
        };
        let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let frozen = hex(&case["frozen"]);
            let request = proto::SubmitSnapshotRequest::decode(frozen.as_slice()).unwrap();
            let header = Header {
                node: request.node.clone().unwrap(),
                proof_system: request.proof_system.clone(),
            };
            let options = SubmitOptions {
                priority: match request.priority() {
                    proto::Priority::Proposal => Priority::Proposal,
                    proto::Priority::Backlog => Priority::Backlog,
                    _ => Priority::Aggregation,
                },
                may_replace: request.busy_policy() == proto::BusyPolicy::Replace,
                may_be_partial: request.partial_policy() != proto::PartialPolicy::Forbid,
                min_inputs: request.min_inputs,
                ..SubmitOptions::default()
            };
            let snapshot = request.snapshot.clone().unwrap();
            let refrozen = freeze(&header, &request.request_id, snapshot, &options);
            assert_eq!(refrozen, frozen, "{}", case["name"]);
            for each in case["tries"].as_array().unwrap() {
                let left = |value: &serde_json::Value| value.as_f64().unwrap().max(0.0) as u32;
                let steps = each["steps"].as_array().unwrap().iter();
                let steps = steps.map(|step| (left(&step["untilMs"]), left(&step["weight"])));
                let mut appended = Vec::new();
                let (deadline_ms, fence_ms) = (left(&each["deadlineMs"]), left(&each["fenceMs"]));
                append(&mut appended, deadline_ms, fence_ms, steps);
                assert_eq!(appended, hex(&each["appended"]), "{}: {each}", case["name"]);
            }
        }
    }

    fn hex(value: &serde_json::Value) -> Vec<u8> {
        let text = value.as_str().unwrap();
        let pairs = (0..text.len()).step_by(2);
        pairs
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn a_look_up_has_no_time_to_start() {
        let clock = Clock::start();
        let body = TryBody {
            frozen: Bytes::new(),
            steps: Vec::new(),
            deadline_at_ms: clock.now_ms() + 50_000,
            fence_at_ms: clock.now_ms() + 50_000,
            is_lookup: true,
        };
        assert_eq!(body.budgets(&clock).0, 0);
    }
}
