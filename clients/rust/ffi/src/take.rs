//! Results, copied out.

use std::collections::VecDeque;
use std::ffi::c_char;
use std::mem::{offset_of, size_of};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lean_aggregator_client::{proto, Ending, Skip, TickResult};

use super::{guard, make_readable, put_text, Adapter};

/// As a service reported: with a proof, or without one.
pub const LA_OUTCOME: u32 = 0;
/// An earlier proof of the same slot and root has all participants of this one.
pub const LA_DUPLICATE: u32 = 1;
/// The node's own check did not accept the proof.
pub const LA_REFUSED: u32 = 2;
/// The node cancelled the group.
pub const LA_CANCELLED: u32 = 3;
/// No service will end the group before its fence.
pub const LA_LOST: u32 = 4;
/// The service has skipped the request: one result for all its groups, with slot 0.
pub const LA_SKIPPED: u32 = 5;

/// Skips that wait to be taken; beyond it the oldest is dropped.
const SKIPS_MAX: usize = 64;
/// The size of the first version, without `reason`.
const RESULT_SIZE_MIN: usize = offset_of!(CResult, reason);

/// Skips by a service that the caller has not taken yet. Results wait in the adapter, which drops a proof at
/// its fence.
#[derive(Default)]
pub struct Skips(VecDeque<Skip>);

impl Skips {
    pub fn lock(skips: &Mutex<Skips>) -> MutexGuard<'_, Skips> {
        skips.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a skip by a service. False: it was one in the call that submits, which has returned it.
    pub fn keep(&mut self, skip: &Skip) -> bool {
        if skip.request_id.is_none() {
            return false;
        }
        self.0.push_back(skip.clone());
        if self.0.len() > SKIPS_MAX {
            self.0.pop_front();
        }
        true
    }

    fn take(&mut self, max: usize) -> Vec<Skip> {
        let count = max.min(self.0.len());
        self.0.drain(..count).collect()
    }
}

/// One result. Free it with la_result_free. Later versions append fields.
#[repr(C)]
pub struct CResult {
    request_id: [c_char; 65],
    group_index: u32,
    /// Slot of the submission.
    slot: u64,
    /// LA_OUTCOME, LA_DUPLICATE, LA_REFUSED, LA_CANCELLED, LA_LOST or LA_SKIPPED.
    ending: u32,
    /// NULL: the group has no proof.
    proof: *mut u8,
    proof_len: usize,
    /// Validator i is bit i % 8 of byte i / 8. NULL for a merge, whose proof has all that was asked for.
    participants: *mut u8,
    participants_len: usize,
    /// Index of the first bad component of a merge, which is why it has no proof. -1: none.
    bad_component: i64,
    /// Why the group has no proof: of LA_OUTCOME the service's reason, such as "deadline", or its status where
    /// that says all, such as "rejected"; of LA_SKIPPED a reason that la_skip_reason names. Else empty.
    reason: [c_char; 32],
}

/// Takes up to `capacity` results, each of `result_size` bytes: sizeof(la_result). Returns their number; 0 for
/// a size that is too small. Call until it returns less than `capacity`:
/// what is left for a later tick may pass its fence meanwhile. Until then the eventfd stays readable.
///
/// # Safety
/// `adapter` is NULL or of `la_new`, `results` has room for `capacity` of `result_size` bytes.
#[no_mangle]
pub unsafe extern "C" fn la_take(
    adapter: *mut Adapter,
    slot: u64,
    results: *mut CResult,
    result_size: usize,
    capacity: usize,
) -> usize {
    guard(0, || {
        // SAFETY: the caller's promise.
        let Some(adapter) = (unsafe { adapter.as_ref() }) else {
            return 0;
        };
        if results.is_null() || result_size < RESULT_SIZE_MIN {
            return 0;
        }
        let skips = Skips::lock(&adapter.skips).take(capacity);
        // What there is no room for stays in the adapter, which drops a proof at its fence.
        let taken = adapter.inner.take_at_most(slot, capacity - skips.len());
        let count = skips.len() + taken.len();
        let made = skips.iter().map(c_skip).chain(taken.iter().map(c_result));
        for (index, result) in made.enumerate() {
            // SAFETY: `index` is less than `capacity`: the adapter gives no more than is asked for.
            unsafe { write_sized(&result, results.byte_add(index * result_size), result_size) };
        }
        if count == capacity {
            // Others may be left.
            make_readable(&adapter.ready_fd);
        }
        count
    })
}

/// Writes the fields that the caller's version has, and 0 where it has more than this one.
///
/// # Safety
/// `into` has room for `size` bytes.
unsafe fn write_sized(result: &CResult, into: *mut CResult, size: usize) {
    let known = size.min(size_of::<CResult>());
    let into = into.cast::<u8>();
    // SAFETY: the caller's promise, and `known` is no more than either has.
    unsafe {
        std::ptr::copy_nonoverlapping(std::ptr::from_ref(result).cast(), into, known);
        into.add(known).write_bytes(0, size - known);
    }
}

fn c_result(result: &TickResult) -> CResult {
    let proof = result.proof();
    let (proof, participants) = proof.map(|proof| (proof.bytes, proof.participants)).unzip();
    let (proof, proof_len) = leak(proof.as_deref());
    let participants = participants.filter(|participants| !participants.is_empty());
    let (participants, participants_len) = leak(participants.as_deref());
    let mut c_result = CResult {
        request_id: [0; 65],
        group_index: u32::try_from(result.group_index).unwrap_or(u32::MAX),
        slot: result.slot,
        ending: match result.ending {
            Ending::Outcome(_) => LA_OUTCOME,
            Ending::Duplicate => LA_DUPLICATE,
            Ending::Refused => LA_REFUSED,
            Ending::Cancelled => LA_CANCELLED,
            Ending::Lost => LA_LOST,
        },
        proof,
        proof_len,
        participants,
        participants_len,
        bad_component: bad_component(result).map_or(-1, i64::from),
        reason: [0; 32],
    };
    put(&result.request_id, &mut c_result.request_id);
    put(&reason(result), &mut c_result.reason);
    c_result
}

fn c_skip(skip: &Skip) -> CResult {
    let mut c_result = CResult {
        request_id: [0; 65],
        group_index: 0,
        slot: 0,
        ending: LA_SKIPPED,
        proof: std::ptr::null_mut(),
        proof_len: 0,
        participants: std::ptr::null_mut(),
        participants_len: 0,
        bad_component: -1,
        reason: [0; 32],
    };
    let request_id = skip.request_id.as_deref().unwrap_or_default();
    put(request_id, &mut c_result.request_id);
    put(skip.reason.name(), &mut c_result.reason);
    c_result
}

fn put(text: &str, into: &mut [c_char]) {
    // SAFETY: the array has this length.
    unsafe { put_text(text, into.as_mut_ptr(), into.len()) };
}

/// The name on the wire, in small letters and without its prefix; empty with a proof.
fn reason(result: &TickResult) -> String {
    let Some(outcome) = result.outcome() else {
        return String::new();
    };
    let named = |name: &str, prefix: &str| name.replacen(prefix, "", 1).to_lowercase();
    match (outcome.status(), outcome.reason()) {
        (proto::OutcomeStatus::Proved | proto::OutcomeStatus::ProvedLate, _) => String::new(),
        (status, proto::OutcomeReason::Unspecified) => {
            named(status.as_str_name(), "OUTCOME_STATUS_")
        }
        (_, reason) => named(reason.as_str_name(), "OUTCOME_REASON_"),
    }
}

fn bad_component(result: &TickResult) -> Option<u32> {
    let mut inputs = result.outcome()?.left_out.iter();
    inputs.find_map(|each| match each.input {
        Some(proto::left_out::Input::ComponentIndex(index)) => Some(index),
        _ => None,
    })
}

/// A copy that `la_result_free` frees.
fn leak(bytes: Option<&[u8]>) -> (*mut u8, usize) {
    match bytes {
        None => (std::ptr::null_mut(), 0),
        Some(bytes) => {
            let copy: Box<[u8]> = bytes.into();
            let len = copy.len();
            (Box::into_raw(copy).cast(), len)
        }
    }
}

/// # Safety
/// `pointer` and `len` are of `leak`, or NULL.
unsafe fn free(pointer: &mut *mut u8, len: &mut usize) {
    if !pointer.is_null() {
        let slice = std::ptr::slice_from_raw_parts_mut(*pointer, *len);
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(slice) });
    }
    (*pointer, *len) = (std::ptr::null_mut(), 0);
}

/// Frees the bytes of a result. NULL is ignored.
///
/// # Safety
/// `result` is NULL or of `la_take`.
#[no_mangle]
pub unsafe extern "C" fn la_result_free(result: *mut CResult) {
    guard((), || {
        if result.is_null() {
            return;
        }
        // SAFETY: the caller's promise, and `la_take` made both. The caller's version may be smaller than this
        // one: the references are of fields that every version has, never of the whole.
        unsafe {
            free(&mut (*result).proof, &mut (*result).proof_len);
            let len = &mut (*result).participants_len;
            free(&mut (*result).participants, len);
        }
    });
}
