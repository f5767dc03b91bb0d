//! What the services and the node of a transcript say.

use std::collections::BTreeMap;

use lean_aggregator_client::machine::RequestId;
use lean_aggregator_client::proto;
use serde_json::Value;
use tonic::{Code, Status};

use crate::support::vectors::text;

pub fn known_ids(step: &Value, ids: &BTreeMap<String, RequestId>) -> Vec<String> {
    let known = step["known"].as_array().unwrap().iter();
    known
        .map(|name| ids[name.as_str().unwrap()].to_string())
        .collect()
}

pub fn status(step: &Value) -> proto::Status {
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

pub fn error(step: &Value) -> Status {
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

/// Group i has one signature of validator i, and roots of 32 bytes of i + 1.
pub fn snapshot(slot: u64, groups: u32) -> proto::Snapshot {
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
