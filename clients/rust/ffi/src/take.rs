//! Results, copied out.

use std::ffi::c_char;
use std::sync::PoisonError;

use lean_aggregator_client::{proto, Ending, TickResult};

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

/// One result. Free it with la_result_free.
#[repr(C)]
pub struct CResult {
    request_id: [c_char; 65],
    group_index: u32,
    /// Slot of the submission.
    slot: u64,
    /// LA_OUTCOME, LA_DUPLICATE, LA_REFUSED, LA_CANCELLED or LA_LOST.
    ending: u32,
    /// NULL: the group has no proof.
    proof: *mut u8,
    proof_len: usize,
    /// Validator i is bit i % 8 of byte i / 8. NULL for a merge, whose proof has all that was asked for.
    participants: *mut u8,
    participants_len: usize,
    /// Index of the first bad component of a merge, which is why it has no proof. -1: none.
    bad_component: i64,
}

/// Takes up to `capacity` results. Returns their number. Call until it returns less than `capacity`:
/// what is left for a later tick may pass its fence meanwhile. The eventfd stays readable for it.
///
/// # Safety
/// `adapter` is NULL or of `la_new`, `results` has room for `capacity`.
#[no_mangle]
pub unsafe extern "C" fn la_take(
    adapter: *mut Adapter,
    slot: u64,
    results: *mut CResult,
    capacity: usize,
) -> usize {
    guard(0, || {
        // SAFETY: the caller's promise.
        let Some(adapter) = (unsafe { adapter.as_ref() }) else {
            return 0;
        };
        if results.is_null() {
            return 0;
        }
        let mut taken = adapter.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.extend(adapter.inner.take_results(slot));
        let count = taken.len().min(capacity);
        for (index, result) in taken.drain(..count).enumerate() {
            // SAFETY: `index` is less than `capacity`.
            unsafe { results.add(index).write(c_result(&result)) };
        }
        if !taken.is_empty() {
            make_readable(&adapter.ready_fd);
        }
        count
    })
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
    };
    // SAFETY: the array has this length.
    unsafe { put_text(&result.request_id, c_result.request_id.as_mut_ptr(), 65) };
    c_result
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
    // SAFETY: the caller's promise.
    if let Some(result) = unsafe { result.as_mut() } {
        // SAFETY: `la_take` made both.
        unsafe {
            free(&mut result.proof, &mut result.proof_len);
            free(&mut result.participants, &mut result.participants_len);
        }
    }
}
