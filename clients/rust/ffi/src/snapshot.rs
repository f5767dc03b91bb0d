//! Snapshots, piece by piece.

use std::convert::Infallible;
use std::ffi::{c_char, c_int};
use std::time::Duration;

use lean_aggregator_client::machine::{Gates, Priority, SkipReason};
use lean_aggregator_client::{proto, SubmitOptions};

use super::options::read_sized;
use super::{guard, put_text, Adapter};

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

/// One submission. Set `size` to sizeof(la_submit_options): later versions append fields.
#[repr(C)]
#[derive(Default)]
pub struct CSubmitOptions {
    size: usize,
    slot: u64,
    /// Time in which a proof may start. 0: 750.
    deadline_ms: u64,
    /// Time until the proofs are worthless. Needed.
    fence_ms: u64,
    /// LA_AGGREGATION, LA_PROPOSAL or LA_BACKLOG.
    priority: u32,
    /// Fewest inputs of a group that are worth a proof. 0: one.
    min_inputs: u32,
}

/// A snapshot that is being made.
pub struct Snapshot(proto::Snapshot);

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
        Box::into_raw(Box::new(Snapshot(proto::Snapshot {
            head,
            justified,
            ..Default::default()
        })))
    })
}

/// Frees a snapshot that is not submitted. NULL is ignored.
///
/// # Safety
/// `snapshot` is NULL or of `la_snapshot_new`, and is not used any more.
#[no_mangle]
pub unsafe extern "C" fn la_snapshot_free(snapshot: *mut Snapshot) {
    if !snapshot.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(snapshot) });
    }
}

/// Adds the public key of a validator. 0: done. -1: an argument is NULL.
///
/// # Safety
/// `snapshot` is NULL or of `la_snapshot_new`, `key` has `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn la_snapshot_key(
    snapshot: *mut Snapshot,
    validator: u32,
    key: *const u8,
    len: usize,
) -> c_int {
    guard(-1, || {
        // SAFETY: the caller's promise.
        let (snapshot, key) = unsafe { (snapshot.as_mut(), bytes(key, len)) };
        done(snapshot.zip(key).map(|(snapshot, key)| {
            snapshot.0.keys.push(proto::ValidatorKey {
                validator_index: validator,
                public_key: key.into(),
                ..Default::default()
            });
        }))
    })
}

/// Begins a group: what its votes say. 0: done. -1: `snapshot` is NULL.
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
        let data = unsafe {
            proto::AttestationData {
                slot,
                head: checkpoint(head),
                target: checkpoint(target),
                source: checkpoint(source),
            }
        };
        // SAFETY: the caller's promise.
        done(unsafe { snapshot.as_mut() }.map(|snapshot| {
            snapshot.0.groups.push(proto::Group {
                data: Some(data),
                ..Default::default()
            });
        }))
    })
}

/// Adds a validator's signature to the newest group. 0: done. -1: an argument is NULL, or no group is
/// begun.
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
        let group = snapshot.and_then(|snapshot| snapshot.0.groups.last_mut());
        done(group.zip(signature).map(|(group, signature)| {
            group.raw_signatures.push(proto::RawSignature {
                validator_index: validator,
                signature: signature.into(),
            });
        }))
    })
}

/// Adds a proof that exists already to the newest group. 0: done. -1: an argument is NULL, or no group is
/// begun.
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
        let group = snapshot.and_then(|snapshot| snapshot.0.groups.last_mut());
        let input = group.zip(participants).zip(proof);
        done(input.map(|((group, participants), proof)| {
            group.children.push(proto::Child {
                participants: participants.into(),
                proof: proof.into(),
            });
        }))
    })
}

/// Submits, and frees the snapshot in any case. 0: submitted, and `request_id` (may be NULL), which has
/// 65 bytes, has its id. Else the reason for which it was skipped: see la_skip_reason. -1: an argument
/// is NULL, or the options have no fence, an unknown priority or a wrong size.
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
            let options = read_sized(options, size_of::<CSubmitOptions>());
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
        if options.fence_ms == 0 {
            return -1;
        }
        let deadline = Duration::from_millis(options.deadline_ms);
        let submit = SubmitOptions {
            priority,
            deadline: (!deadline.is_zero()).then_some(deadline),
            fence: Some(Duration::from_millis(options.fence_ms)),
            min_inputs: options.min_inputs,
            ..SubmitOptions::default()
        };
        let made = || Ok::<_, Infallible>(Some(snapshot.0));
        let inner = &adapter.inner;
        match inner.submit_or_skip(options.slot, Gates::OPEN, made, &submit) {
            Ok(id) => {
                // SAFETY: the header asks for 65 bytes.
                unsafe { put_text(&id, request_id, REQUEST_ID_BYTES) };
                0
            }
            Err(skip) => skip.reason as c_int + 1,
        }
    })
}

/// The name of a skip reason, for example "in_flight". Never NULL; it lives as long as the library.
#[no_mangle]
pub extern "C" fn la_skip_reason(reason: c_int) -> *const c_char {
    let name = match usize::try_from(reason - 1)
        .ok()
        .and_then(|index| SkipReason::ALL.get(index))
    {
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
    };
    name.as_ptr()
}
