//! The call for merges: the components of one proof of several messages.

use std::time::Duration;

use bytes::Bytes;

use super::options::{Step, SubmitOptions};
use crate::machine::Priority;
use crate::proto::{self, claim::Signed, component::From};

/// One proof of several messages, which a block carries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merge {
    /// Head of the node.
    pub head: Option<proto::Checkpoint>,
    /// Justified checkpoint of the node.
    pub justified: Option<proto::Checkpoint>,
    /// Keys of the validators of all components, by role.
    pub keys: Vec<proto::ValidatorKey>,
    /// Participants have their length bit, here and in the outcome.
    pub ssz_bitlists: bool,
    /// In the block's order. The service refuses two with the same message.
    pub components: Vec<Component>,
}

/// One message of a merge, with its signatures or its proof.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// What validators have signed.
    pub message: Message,
    /// Who has signed it.
    pub signers: Signers,
}

/// What validators have signed.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Attestation data.
    Data(proto::AttestationData),
    /// Any root of 32 bytes, with the key of this role: a proposer signs its block's root with
    /// `Proposal`.
    Root(proto::SignedRoot, proto::KeyRole),
}

/// Who has signed the message of a component.
#[derive(Clone, Debug, PartialEq)]
pub enum Signers {
    /// Their signatures.
    Raws(Vec<proto::RawSignature>),
    /// A proof of exactly these validators.
    Proof {
        /// The proof, in the prover's encoding.
        proof: Bytes,
        /// The validators, as bits or as an SSZ bitlist, whichever the merge has.
        participants: Bytes,
        /// Made the proof: a merge with one of another than the request's is rejected, and nothing is
        /// verified. `None`: the request's.
        proof_system: Option<proto::ProofSystem>,
    },
}

/// Options of a merge. `MergeOptions::default()` is a body that is built ahead.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// `Aggregation` for a body that is built ahead, `Proposal` for the node's own block of the
    /// present slot.
    pub priority: Priority,
    /// Time in which the service may start the proof. `None`: until the fence.
    pub deadline: Option<Duration>,
    /// Time until the proof is worthless. `None`: until slot N + 2, by the adapter's slot times.
    pub fence: Option<Duration>,
    /// Replace the merge in flight at this priority, instead of being skipped.
    pub may_replace: bool,
    /// What a vote is worth by when, at most 8. Empty: 1 until the fence.
    pub steps: Vec<Step>,
    /// The result is taken only after this time.
    pub hold: Duration,
    /// The W3C header `traceparent` of the node's trace, as in [`SubmitOptions`].
    pub traceparent: Option<String>,
}

impl Default for MergeOptions {
    fn default() -> Self {
        MergeOptions {
            priority: Priority::Aggregation,
            deadline: None,
            fence: None,
            may_replace: false,
            steps: Vec::new(),
            hold: Duration::ZERO,
            traceparent: None,
        }
    }
}

impl MergeOptions {
    pub(super) fn submit_options(&self) -> SubmitOptions {
        SubmitOptions {
            priority: self.priority,
            deadline: self.deadline,
            fence: self.fence,
            may_replace: self.may_replace,
            steps: Some(self.steps.clone()),
            hold: self.hold,
            traceparent: self.traceparent.clone(),
            ..SubmitOptions::default()
        }
    }
}

impl Merge {
    /// The snapshot of the merge. An error for one that every service refuses.
    pub(super) fn into_snapshot(
        self,
        slot: u64,
        priority: Priority,
    ) -> Result<proto::Snapshot, String> {
        for (index, component) in self.components.iter().enumerate() {
            let check = component.check(slot, priority);
            check.map_err(|what| format!("components[{index}].{what}"))?;
        }
        let components = self.components.into_iter().map(Component::into_wire);
        let mut group = proto::Group {
            components: components.collect(),
            ..Default::default()
        };
        group.set_kind(proto::ProofKind::Merge);
        Ok(proto::Snapshot {
            slot,
            head: self.head,
            justified: self.justified,
            keys: self.keys,
            groups: vec![group],
            ssz_bitlists: self.ssz_bitlists,
        })
    }
}

impl Component {
    fn check(&self, slot: u64, priority: Priority) -> Result<(), String> {
        if let Signers::Proof { participants, .. } = &self.signers {
            if participants.is_empty() {
                return Err("participants is empty: name the validators of its proof".into());
            }
        }
        match &self.message {
            Message::Root(root, proto::KeyRole::Proposal)
                if priority == Priority::Proposal && root.slot != slot =>
            {
                Err(format!(
                    "slot is {}, not the present slot {slot}: give the priority Aggregation for a \
                     block of another slot",
                    root.slot
                ))
            }
            _ => Ok(()),
        }
    }

    fn into_wire(self) -> proto::Component {
        let mut claim = proto::Claim::default();
        match self.message {
            Message::Data(data) => claim.signed = Some(Signed::Data(data)),
            Message::Root(root, role) => {
                claim.signed = Some(Signed::Root(root));
                claim.set_role(role);
            }
        }
        let mut made_by = None;
        let from = match self.signers {
            Signers::Raws(signatures) => From::Raws(proto::RawSignatures { signatures }),
            Signers::Proof {
                proof,
                participants,
                proof_system,
            } => {
                made_by = proof_system;
                claim.participants = participants;
                From::Proof(proof)
            }
        };
        proto::Component {
            claim: Some(claim),
            proof_system: made_by,
            from: Some(from),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../test/vectors/merges/merges.json"
        );
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: there is no file {path}");
            return serde_json::json!({ "cases": [], "outcomes": [] });
        };
        serde_json::from_str(&text).unwrap()
    }

    fn hex(value: &Value) -> Bytes {
        let text = value.as_str().unwrap();
        let pairs = (0..text.len()).step_by(2);
        pairs
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    fn checkpoint(value: &Value) -> Option<proto::Checkpoint> {
        value.is_object().then(|| proto::Checkpoint {
            root: hex(&value["root"]),
            slot: value["slot"].as_u64().unwrap(),
        })
    }

    fn role(value: &Value) -> proto::KeyRole {
        match value["role"].as_str() {
            None => proto::KeyRole::Unspecified,
            Some("attestation") => proto::KeyRole::Attestation,
            Some("proposal") => proto::KeyRole::Proposal,
            Some(name) => panic!("unknown role {name}"),
        }
    }

    fn component(value: &Value) -> Component {
        let data = &value["data"];
        let message = if data.is_object() {
            Message::Data(proto::AttestationData {
                slot: data["slot"].as_u64().unwrap(),
                head: checkpoint(&data["head"]),
                target: checkpoint(&data["target"]),
                source: checkpoint(&data["source"]),
            })
        } else {
            let (root, slot) = (hex(&value["root"]), value["slot"].as_u64().unwrap());
            Message::Root(proto::SignedRoot { root, slot }, role(value))
        };
        let signers = match value["signatures"].as_array() {
            Some(raws) => Signers::Raws(raws.iter().map(raw).collect()),
            None => Signers::Proof {
                proof: hex(&value["proof"]),
                participants: hex(&value["participants"]),
                proof_system: proof_system(&value["proofSystem"]),
            },
        };
        Component { message, signers }
    }

    fn proof_system(value: &Value) -> Option<proto::ProofSystem> {
        let name = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        value.is_object().then(|| proto::ProofSystem {
            scheme: name("scheme"),
            revision: name("revision"),
            ..Default::default()
        })
    }

    fn raw(value: &Value) -> proto::RawSignature {
        proto::RawSignature {
            validator_index: value["validatorIndex"].as_u64().unwrap() as u32,
            signature: hex(&value["signature"]),
        }
    }

    fn merge(value: &Value) -> Merge {
        let keys = value["keys"].as_array().unwrap().iter().map(|key| {
            let mut made = proto::ValidatorKey {
                validator_index: key["validatorIndex"].as_u64().unwrap() as u32,
                public_key: hex(&key["publicKey"]),
                ..Default::default()
            };
            made.set_role(role(key));
            made
        });
        let components = value["components"].as_array().unwrap().iter();
        Merge {
            head: checkpoint(&value["head"]),
            justified: checkpoint(&value["justified"]),
            keys: keys.collect(),
            ssz_bitlists: value["sszBitlists"].as_bool().unwrap_or(false),
            components: components.map(component).collect(),
        }
    }

    #[test]
    fn the_snapshots_and_errors_are_those_of_the_vectors() {
        for case in vectors()["cases"].as_array().unwrap() {
            let slot = case["slot"].as_u64().unwrap();
            let priority = match case["priority"].as_str().unwrap() {
                "proposal" => Priority::Proposal,
                "backlog" => Priority::Backlog,
                _ => Priority::Aggregation,
            };
            let made = merge(&case["merge"]);
            let is_empty = made.components.is_empty();
            let snapshot = made.into_snapshot(slot, priority);
            match case["skipped"].as_str() {
                None => {
                    let bytes = snapshot.unwrap().encode_to_vec();
                    assert_eq!(bytes, hex(&case["snapshot"]), "{}", case["name"]);
                }
                Some("nothing_to_submit") => assert!(is_empty, "{}", case["name"]),
                Some(_) => {
                    let error = snapshot.unwrap_err();
                    let names = case["names"].as_str().unwrap();
                    assert!(error.contains(names), "{error} does not name {names}");
                }
            }
        }
    }

    #[test]
    fn the_claims_of_an_outcome_are_those_of_the_vectors() {
        for case in vectors()["outcomes"].as_array().unwrap() {
            let outcome = proto::Outcome::decode(hex(&case["outcome"])).unwrap();
            let claims = case["claims"].as_array().unwrap();
            assert_eq!(outcome.claims.len(), claims.len());
            assert!(outcome.message.is_empty() && outcome.participants.is_empty());
            for (claim, expected) in outcome.claims.iter().zip(claims) {
                assert_eq!(claim.participants, hex(&expected["participants"]));
                assert_eq!(claim.role(), role(expected));
                let root = match &claim.signed {
                    Some(Signed::Root(root)) => Some(&root.root),
                    _ => None,
                };
                assert_eq!(root.is_some(), expected["root"].is_string());
                assert!(root.is_none_or(|root| *root == hex(&expected["root"])));
            }
        }
    }
}
