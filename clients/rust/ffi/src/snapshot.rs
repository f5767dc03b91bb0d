//! Snapshots, piece by piece.

use std::convert::Infallible;
use std::ffi::{c_char, c_int, CStr};
use std::mem::offset_of;
use std::time::Duration;

use lean_aggregator_client::machine::{Gates, Priority, SkipReason};
use lean_aggregator_client::{
    proto, Component, Merge, MergeOptions, Message, Signers, SubmitOptions,
};

use super::options::read_sized;
use super::{guard, put_text, text, Adapter};

const REQUEST_ID_BYTES: usize = 65;

/// A checkpoint: a block root and its slot.
#[repr(C)]
pub struct Checkpoint {
    root: [u8; 32],
    slot: u64,
}

/// For the node's duty as aggregator.
pub const LA_AGGREGATION: u32 = 0;
/// For a block that the node proposes.
pub const LA_PROPOSAL: u32 = 1;
/// For older votes; yields to the others.
pub const LA_BACKLOG: u32 = 2;

/// One submission. Set it to 0, then `size` to sizeof(la_submit_options): later versions append fields.
#[repr(C)]
#[derive(Default)]
pub struct CSubmitOptions {
    size: usize,
    slot: u64,
    /// Time in which a proof may start. 0: 750, for a merge and backlog until the fence.
    deadline_ms: u64,
    /// Time until the proofs are worthless. 0: as the slot times of the options say; needed without them.
    fence_ms: u64,
    /// LA_AGGREGATION, LA_PROPOSAL or LA_BACKLOG.
    priority: u32,
    /// Fewest inputs of a group that are worth a proof; not for a merge. 0: one.
    min_inputs: u32,
    /// 1: what waits of the node's earlier submission at this priority, of the same kind, is ended, and what
    /// runs goes on. 0: this submission is skipped as in_flight.
    may_replace: u32,
    /// 0.
    reserved: u32,
}

/// The size of the first version, without `may_replace`.
const SUBMIT_SIZE_MIN: usize = offset_of!(CSubmitOptions, may_replace);

/// The key of a validator that signs votes.
pub const LA_ATTESTATION_KEY: u32 = 0;
/// The key of a validator that signs its blocks.
pub const LA_PROPOSAL_KEY: u32 = 1;

/// A snapshot of votes, or a merge, that is being made.
pub struct Snapshot {
    /// Its groups are those of votes.
    votes: proto::Snapshot,
    /// Of a merge.
    components: Vec<Component>,
}

fn role_of(role: u32) -> Option<proto::KeyRole> {
    match role {
        LA_ATTESTATION_KEY => Some(proto::KeyRole::Attestation),
        LA_PROPOSAL_KEY => Some(proto::KeyRole::Proposal),
        _ => None,
    }
}

impl Snapshot {
    /// Begins a component. `None`: the snapshot is of votes.
    fn begin(&mut self, message: Message) -> Option<()> {
        let signers = Signers::Raws(Vec::new());
        self.votes.groups.is_empty().then(|| {
            self.components.push(Component { message, signers });
        })
    }

    /// Adds a signature to the newest component or group. `None`: nothing is begun, or it has a proof.
    fn add_raw(&mut self, raw: proto::RawSignature) -> Option<()> {
        match self.components.last_mut() {
            Some(component) => match &mut component.signers {
                Signers::Raws(raws) => raws.push(raw),
                Signers::Proof { .. } => return None,
            },
            None => self.votes.groups.last_mut()?.raw_signatures.push(raw),
        }
        Some(())
    }

    /// Adds a proof to the newest component or group. `None`: nothing is begun, or it is a component that
    /// has signatures or a proof.
    fn add_proof(&mut self, participants: Vec<u8>, proof: Vec<u8>) -> Option<()> {
        let (participants, proof) = (participants.into(), proof.into());
        match self.components.last_mut() {
            Some(component) => {
                let is_empty = matches!(&component.signers, Signers::Raws(raws) if raws.is_empty());
                component.signers = is_empty.then_some(Signers::Proof {
                    proof,
                    participants,
                    proof_system: None,
                })?;
            }
            None => self.votes.groups.last_mut()?.children.push(proto::Child {
                participants,
                proof,
                proof_system: None,
            }),
        }
        Some(())
    }

    /// Names what made the newest proof. `None`: nothing is begun, or it has no proof.
    fn name_system(&mut self, name: proto::ProofSystem) -> Option<()> {
        let newest = match self.components.last_mut() {
            Some(component) => match &mut component.signers {
                Signers::Raws(_) => return None,
                Signers::Proof { proof_system, .. } => proof_system,
            },
            None => {
                &mut self
                    .votes
                    .groups
                    .last_mut()?
                    .children
                    .last_mut()?
                    .proof_system
            }
        };
        *newest = Some(name);
        Some(())
    }
}

/// # Safety
/// `pointer` is NULL or valid.
unsafe fn checkpoint(pointer: *const Checkpoint) -> Option<proto::Checkpoint> {
    // SAFETY: the caller's promise.
    let checkpoint = unsafe { pointer.as_ref() }?;
    Some(proto::Checkpoint {
        root: checkpoint.root.to_vec().into(),
        slot: checkpoint.slot,
    })
}

/// A copy of bytes of C.
///
/// # Safety
/// `pointer` is NULL or has `len` bytes.
unsafe fn bytes(pointer: *const u8, len: usize) -> Option<Vec<u8>> {
    if len == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the caller's promise.
    (!pointer.is_null()).then(|| unsafe { std::slice::from_raw_parts(pointer, len) }.to_vec())
}

fn done(result: Option<()>) -> c_int {
    result.map_or(-1, |()| 0)
}

/// Begins a snapshot. It is freed by la_snapshot_submit or la_snapshot_free.
///
/// # Safety
/// The pointers are NULL or valid.
#[no_mangle]
pub unsafe extern "C" fn la_snapshot_new(
    head: *const Checkpoint,
    justified: *const Checkpoint,
) -> *mut Snapshot {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        let (head, justified) = unsafe { (checkpoint(head), checkpoint(justified)) };
        Box::into_raw(Box::new(Snapshot {
            votes: proto::Snapshot {
                head,
                justified,
                ..Default::default()
            },
            components: Vec::new(),
        }))
    })
}

/// Frees a snapshot that is not submitted. NULL is ignored.
///
/// # Safety
/// `snapshot` is NULL or of `la_snapshot_new`, and is not used any more.
#[no_mangle]
pub unsafe extern "C" fn la_snapshot_free(snapshot: *mut Snapshot) {
    guard((), || {
        if !snapshot.is_null() {
            // SAFETY: the caller's promise.
            drop(unsafe { Box::from_raw(snapshot) });
        }
    });
}

/// Adds the public key of a validator, with LA_ATTESTATION_KEY or LA_PROPOSAL_KEY as `role`. 0: done.
/// -1: an argument is NULL, or the role is unknown.
///
/// # Safety
/// `snapshot` is NULL or of `la_snapshot_new`, `key` has `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn la_snapshot_key(
    snapshot: *mut Snapshot,
    validator: u32,
    role: u32,
    key: *const u8,
    len: usize,
) -> c_int {
    guard(-1, || {
        // SAFETY: the caller's promise.
        let (snapshot, key) = unsafe { (snapshot.as_mut(), bytes(key, len)) };
        let given = snapshot.zip(key).zip(role_of(role));
        done(given.map(|((snapshot, key), role)| {
            snapshot.votes.keys.push(proto::ValidatorKey {
                validator_index: validator,
                public_key: key.into(),
                role: role.into(),
            });
        }))
    })
}

/// Begins a group: what its votes say. 0: done. -1: `snapshot` is NULL or a merge.
///
/// # Safety
/// `snapshot` is NULL or of `la_snapshot_new`, the other pointers are NULL or valid.
#[no_mangle]
pub unsafe extern "C" fn la_snapshot_group(
    snapshot: *mut Snapshot,
    slot: u64,
    head: *const Checkpoint,
    target: *const Checkpoint,
    source: *const Checkpoint,
) -> c_int {
    guard(-1, || {
        // SAFETY: the caller's promise.
        let (snapshot, data) =
            unsafe { (snapshot.as_mut(), vote_data(slot, head, target, source)) };
        let of_votes = snapshot.filter(|snapshot| snapshot.components.is_empty());
        done(of_votes.map(|snapshot| {
            snapshot.votes.groups.push(proto::Group {
                data: Some(data),
                ..Default::default()
            });
        }))
    })
}

/// # Safety
/// The pointers are NULL or valid.
unsafe fn vote_data(
    slot: u64,
    head: *const Checkpoint,
    target: *const Checkpoint,
    source: *const Checkpoint,
) -> proto::AttestationData {
    // SAFETY: the caller's promise.
    unsafe {
        proto::AttestationData {
            slot,
            head: checkpoint(head),
            target: checkpoint(target),
            source: checkpoint(source),
        }
    }
}

/// Begins a component of a merge, of attestation data: a snapshot with components is a merge, one proof
/// of several messages in the order in which they are begun. Its signatures follow by la_snapshot_raw,
/// or its one proof by la_snapshot_child. 0: done. -1: `snapshot` is NULL, or has groups.
///
/// # Safety
/// `snapshot` is NULL or of `la_snapshot_new`, the other pointers are NULL or valid.
#[no_mangle]
pub unsafe extern "C" fn la_merge_data(
    snapshot: *mut Snapshot,
    slot: u64,
    head: *const Checkpoint,
    target: *const Checkpoint,
    source: *const Checkpoint,
) -> c_int {
    guard(-1, || {
        // SAFETY: the caller's promise.
        let (snapshot, data) =
            unsafe { (snapshot.as_mut(), vote_data(slot, head, target, source)) };
        done(snapshot.and_then(|snapshot| snapshot.begin(Message::Data(data))))
    })
}

/// Begins a component of a merge, as la_merge_data does, of a root at a slot, such as a block's root that
/// its proposer has signed with LA_PROPOSAL_KEY. 0: done. -1: an argument is NULL, the role is unknown,
/// or the snapshot has groups.
///
/// # Safety
/// `snapshot` is NULL or of `la_snapshot_new`, `root` is NULL or valid.
#[no_mangle]
pub unsafe extern "C" fn la_merge_root(
    snapshot: *mut Snapshot,
    root: *const Checkpoint,
    role: u32,
) -> c_int {
    guard(-1, || {
        // SAFETY: the caller's promise.
        let (snapshot, root) = unsafe { (snapshot.as_mut(), checkpoint(root)) };
        let given = snapshot.zip(root).zip(role_of(role));
        done(given.and_then(|((snapshot, root), role)| {
            let proto::Checkpoint { root, slot } = root;
            snapshot.begin(Message::Root(proto::SignedRoot { root, slot }, role))
        }))
    })
}

/// Adds a validator's signature to the newest group or component. 0: done. -1: an argument is NULL, none
/// is begun, or the component has a proof.
///
/// # Safety
/// `snapshot` is NULL or of `la_snapshot_new`, `signature` has `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn la_snapshot_raw(
    snapshot: *mut Snapshot,
    validator: u32,
    signature: *const u8,
    len: usize,
) -> c_int {
    guard(-1, || {
        // SAFETY: the caller's promise.
        let (snapshot, signature) = unsafe { (snapshot.as_mut(), bytes(signature, len)) };
        done(snapshot.zip(signature).and_then(|(snapshot, signature)| {
            snapshot.add_raw(proto::RawSignature {
                validator_index: validator,
                signature: signature.into(),
            })
        }))
    })
}

/// Adds a proof that exists already to the newest group or component. 0: done. -1: an argument is NULL,
/// nothing is begun, or the component has signatures or a proof.
///
/// # Safety
/// `snapshot` is NULL or of `la_snapshot_new`, the other pointers have their bytes.
#[no_mangle]
pub unsafe extern "C" fn la_snapshot_child(
    snapshot: *mut Snapshot,
    participants: *const u8,
    participants_len: usize,
    proof: *const u8,
    proof_len: usize,
) -> c_int {
    guard(-1, || {
        // SAFETY: the caller's promise.
        let (snapshot, participants, proof) = unsafe {
            let participants = bytes(participants, participants_len);
            (snapshot.as_mut(), participants, bytes(proof, proof_len))
        };
        let input = snapshot.zip(participants).zip(proof);
        done(
            input.and_then(|((snapshot, participants), proof)| {
                snapshot.add_proof(participants, proof)
            }),
        )
    })
}

/// Names the proof system that made the newest proof of la_snapshot_child, by its scheme, and its revision or
/// NULL. A child of another proof system than the request's is left out, a merge with one is rejected, and
/// nothing is verified. Without this call it is the request's. 0: done. -1: `snapshot` or `scheme` is NULL,
/// a text is no UTF-8, or the newest group or component has no proof.
///
/// # Safety
/// `snapshot` is NULL or of `la_snapshot_new`, each text is NULL or ends with 0.
#[no_mangle]
pub unsafe extern "C" fn la_snapshot_child_system(
    snapshot: *mut Snapshot,
    scheme: *const c_char,
    revision: *const c_char,
) -> c_int {
    guard(-1, || {
        // SAFETY: the caller's promise.
        let (snapshot, scheme, given) =
            unsafe { (snapshot.as_mut(), text(scheme), text(revision)) };
        let revision = given.or(revision.is_null().then_some(""));
        let input = snapshot.zip(scheme).zip(revision);
        done(input.and_then(|((snapshot, scheme), revision)| {
            snapshot.name_system(proto::ProofSystem {
                scheme: scheme.into(),
                revision: revision.into(),
                log_inv_rate: 0,
            })
        }))
    })
}

/// Submits, and frees the snapshot in any case. 0: submitted, and `request_id` (may be NULL), which has
/// 65 bytes, has its id. Else the reason for which it was skipped: see la_skip_reason; the log gets what is
/// invalid. -1: an argument is NULL, or the options have no fence, an unknown value or a wrong size.
///
/// # Safety
/// `adapter` is NULL or of `la_new`, `snapshot` is NULL or of `la_snapshot_new` and is not used any more,
/// `options` is NULL or valid, `request_id` is NULL or has 65 bytes.
#[no_mangle]
pub unsafe extern "C" fn la_snapshot_submit(
    adapter: *mut Adapter,
    snapshot: *mut Snapshot,
    options: *const CSubmitOptions,
    request_id: *mut c_char,
) -> c_int {
    guard(-1, || {
        if snapshot.is_null() {
            return -1;
        }
        // SAFETY: the caller's promise.
        let (snapshot, adapter, options) = unsafe {
            let snapshot = Box::from_raw(snapshot);
            let options = read_sized(options, SUBMIT_SIZE_MIN);
            (snapshot, adapter.as_ref(), options)
        };
        let (Some(adapter), Ok(options)) = (adapter, options) else {
            return -1;
        };
        let priority = match options.priority {
            LA_AGGREGATION => Priority::Aggregation,
            LA_PROPOSAL => Priority::Proposal,
            LA_BACKLOG => Priority::Backlog,
            _ => return -1,
        };
        let needs_fence = options.fence_ms == 0 && !adapter.has_slot_times;
        if needs_fence || options.reserved != 0 {
            return -1;
        }
        let unless_zero = |ms: u64| (ms != 0).then(|| Duration::from_millis(ms));
        let deadline = unless_zero(options.deadline_ms);
        let fence = unless_zero(options.fence_ms);
        let may_replace = match options.may_replace {
            0 => false,
            1 => true,
            _ => return -1,
        };
        let inner = &adapter.inner;
        let Snapshot { votes, components } = *snapshot;
        let answer = if components.is_empty() {
            let submit = SubmitOptions {
                priority,
                deadline,
                fence,
                min_inputs: options.min_inputs,
                may_replace,
                ..SubmitOptions::default()
            };
            let made = || Ok::<_, Infallible>(Some(votes));
            inner.submit_or_skip(options.slot, Gates::OPEN, made, &submit)
        } else {
            let submit = MergeOptions {
                priority,
                deadline,
                fence,
                may_replace,
                ..MergeOptions::default()
            };
            let made = || {
                Ok::<_, Infallible>(Some(Merge {
                    head: votes.head,
                    justified: votes.justified,
                    keys: votes.keys,
                    components,
                    ..Merge::default()
                }))
            };
            inner.merge_or_skip(options.slot, Gates::OPEN, made, &submit)
        };
        match answer {
            Ok(id) => {
                // SAFETY: the header asks for 65 bytes.
                unsafe { put_text(&id, request_id, REQUEST_ID_BYTES) };
                0
            }
            Err(skip) => {
                if skip.reason == SkipReason::Invalid {
                    adapter.log.say(&skip.to_string());
                }
                skip.reason as c_int + 1
            }
        }
    })
}

/// The name of a skip reason, for example "in_flight". Never NULL; it lives as long as the library.
#[no_mangle]
pub extern "C" fn la_skip_reason(reason: c_int) -> *const c_char {
    guard(c"none", || skip_reason(reason)).as_ptr()
}

fn skip_reason(reason: c_int) -> &'static CStr {
    let index = usize::try_from(reason.saturating_sub(1)).ok();
    match index.and_then(|index| SkipReason::ALL.get(index)) {
        Some(SkipReason::NotAggregator) => c"not_aggregator",
        Some(SkipReason::NotSynced) => c"not_synced",
        Some(SkipReason::MissingState) => c"missing_state",
        Some(SkipReason::Paused) => c"paused",
        Some(SkipReason::InFlight) => c"in_flight",
        Some(SkipReason::Unreachable) => c"unreachable",
        Some(SkipReason::NothingToSubmit) => c"nothing_to_submit",
        Some(SkipReason::SnapshotThrew) => c"snapshot_threw",
        Some(SkipReason::Invalid) => c"invalid",
        Some(SkipReason::PredictedMiss) => c"predicted_miss",
        Some(SkipReason::Draining) => c"draining",
        Some(SkipReason::Overloaded) => c"overloaded",
        Some(SkipReason::NoProver) => c"no_prover",
        None => c"none",
    }
}

#[cfg(test)]
mod tests {
    use std::ptr::null;

    use super::*;

    /// A snapshot, and a checkpoint for all that it needs.
    fn begun() -> (*mut Snapshot, Checkpoint) {
        let point = Checkpoint {
            root: [1; 32],
            slot: 5,
        };
        // SAFETY: the checkpoint is valid.
        (unsafe { la_snapshot_new(&point, &point) }, point)
    }

    fn taken(snapshot: *mut Snapshot) -> Snapshot {
        // SAFETY: it is of la_snapshot_new, and is not used any more.
        *unsafe { Box::from_raw(snapshot) }
    }

    fn name(scheme: &str, revision: &str) -> Option<proto::ProofSystem> {
        Some(proto::ProofSystem {
            scheme: scheme.into(),
            revision: revision.into(),
            log_inv_rate: 0,
        })
    }

    #[test]
    fn the_newest_child_says_its_proof_system() {
        let (snapshot, point) = begun();
        let (scheme, revision) = (c"another".as_ptr(), c"2".as_ptr());
        // SAFETY: the pointers are valid or NULL.
        unsafe {
            assert_eq!(
                la_snapshot_child_system(std::ptr::null_mut(), scheme, revision),
                -1
            );
            assert_eq!(la_snapshot_child_system(snapshot, scheme, revision), -1);
            assert_eq!(la_snapshot_group(snapshot, 5, &point, &point, &point), 0);
            assert_eq!(la_snapshot_child_system(snapshot, scheme, revision), -1);
            let child = || la_snapshot_child(snapshot, [3].as_ptr(), 1, [9].as_ptr(), 1);
            assert_eq!(child(), 0);
            assert_eq!(la_snapshot_child_system(snapshot, null(), revision), -1);
            let invalid = c"\xff".as_ptr();
            assert_eq!(la_snapshot_child_system(snapshot, scheme, invalid), -1);
            assert_eq!(child(), 0);
            assert_eq!(la_snapshot_child_system(snapshot, scheme, null()), 0);
            assert_eq!(child(), 0);
            assert_eq!(la_snapshot_child_system(snapshot, scheme, revision), 0);
        }
        let children = &taken(snapshot).votes.groups[0].children;
        let systems = children.iter().map(|child| child.proof_system.clone());
        let expected = [None, name("another", ""), name("another", "2")];
        assert_eq!(systems.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_proof_of_a_component_says_its_proof_system() {
        let (snapshot, point) = begun();
        let scheme = c"another".as_ptr();
        // SAFETY: the pointers are valid or NULL.
        unsafe {
            assert_eq!(la_merge_data(snapshot, 5, &point, &point, &point), 0);
            assert_eq!(la_snapshot_child_system(snapshot, scheme, null()), -1);
            assert_eq!(
                la_snapshot_child(snapshot, [3].as_ptr(), 1, [9].as_ptr(), 1),
                0
            );
            assert_eq!(la_snapshot_child_system(snapshot, scheme, null()), 0);
        }
        let expected = Signers::Proof {
            proof: vec![9].into(),
            participants: vec![3].into(),
            proof_system: name("another", ""),
        };
        assert_eq!(taken(snapshot).components[0].signers, expected);
    }
}
