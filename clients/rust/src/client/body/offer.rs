//! What a node gives to a growing body, and gets of it.

use std::time::Duration;

use bytes::Bytes;

use crate::client::merge::{Component, Merge, Signers};
use crate::machine::Priority;
use crate::proto;

/// Options of a growing body.
#[derive(Clone, Debug)]
pub struct BodyOptions {
    /// Most components of a body, from 1. Default 8.
    pub components_max: usize,
    /// How long after its slot's start a finished body may still be taken. Default 500 ms.
    pub grace: Duration,
    /// `Aggregation`, the default, or `Backlog`.
    pub priority: Priority,
}

impl Default for BodyOptions {
    fn default() -> Self {
        BodyOptions {
            components_max: 8,
            grace: Duration::from_millis(500),
            priority: Priority::Aggregation,
        }
    }
}

/// A component that the body may have.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyComponent {
    /// Names the message and its signers, for example by root and participants.
    pub key: String,
    /// What it adds to a body. `None`: its number of votes.
    pub worth: Option<u64>,
    /// The message with its signatures or its proof.
    pub component: Component,
}

/// What the body of a block may have.
#[derive(Clone, Debug, Default)]
pub struct BodyOffer {
    /// Slot of the block.
    pub block_slot: u64,
    /// Root of the parent block.
    pub parent: Bytes,
    /// Head, justified checkpoint, keys and form of the bitlists, as of a merge. Its components are
    /// not looked at.
    pub merge: Merge,
    /// In the order of the block and of preference: a smaller body has the first components.
    pub components: Vec<BodyComponent>,
}

/// A finished body. The block's body has these components in this order, and the proof all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedBody {
    /// In the order of the body.
    pub components: Vec<BodyComponent>,
    /// Who signed which message, in the order of the components.
    pub claims: Vec<proto::Claim>,
    /// The proof, in the prover's encoding.
    pub proof: Bytes,
}

/// The worth of a component that has none.
pub(super) fn votes_of(component: &Component, is_ssz: bool) -> u64 {
    match &component.signers {
        Signers::Raws(signatures) => signatures.len() as u64,
        Signers::Proof { participants, .. } => {
            let bits: u32 = participants.iter().map(|byte| byte.count_ones()).sum();
            u64::from(bits.saturating_sub(u32::from(is_ssz)))
        }
    }
}
