//! The node's own check of a proof.

use std::ffi::{c_char, c_int, c_void, CString};
use std::sync::{Arc, PoisonError, RwLock};

use lean_aggregator_client::proto;

/// A proof to be checked. Its bytes are the adapter's, until the call returns.
#[repr(C)]
pub struct CProof {
    pub request_id: *const c_char,
    pub group_index: u32,
    /// Slot of the submission.
    pub slot: u64,
    /// Root of the attestation data, 32 bytes. Of a merge, it and the participants have no bytes: the
    /// proof is of the components of the request, in their order.
    pub message: *const u8,
    pub message_len: usize,
    pub proof: *const u8,
    pub proof_len: usize,
    /// Validator i is bit i % 8 of byte i / 8.
    pub participants: *const u8,
    pub participants_len: usize,
}

/// Returns whether a proof is valid: 0 ends its group as LA_REFUSED. Called on threads of the adapter,
/// up to 4 at a time, and never after la_close has returned; it may take its time, and must not unwind.
pub type VerifyFn =
    Option<unsafe extern "C" fn(context: *mut c_void, proof: *const CProof) -> c_int>;

/// C's context, which C says may be used from any thread.
pub struct Context(pub *mut c_void);

// SAFETY: the header asks for a callback that may be called on threads of the adapter.
unsafe impl Send for Context {}
// SAFETY: as above, by several of them at a time.
unsafe impl Sync for Context {}

/// Says whether the adapter is closed; each call of C that runs holds it for reading.
#[derive(Clone, Default)]
pub struct Closed(Arc<RwLock<bool>>);

impl Closed {
    /// Waits for the calls that run; no other is made from then on.
    pub fn close(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Makes a call of C. Once the adapter is closed, returns `otherwise` instead.
    pub fn unless_closed<T>(&self, otherwise: T, call: impl FnOnce() -> T) -> T {
        let is_closed = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match *is_closed {
            true => otherwise,
            false => call(),
        }
    }
}

/// The check as the adapter calls it. `None`: no check was given.
pub fn verifier(
    verify: VerifyFn,
    context: *mut c_void,
    closed: Closed,
) -> Option<impl Fn(&proto::Outcome) -> bool + Send + Sync + 'static> {
    let (verify, context) = (verify?, Context(context));
    Some(move |outcome: &proto::Outcome| {
        let context = &context;
        let Ok(request_id) = CString::new(outcome.request_id.as_str()) else {
            return false;
        };
        let proof = CProof {
            request_id: request_id.as_ptr(),
            group_index: outcome.group_index,
            slot: outcome.slot,
            message: outcome.message.as_ptr(),
            message_len: outcome.message.len(),
            proof: outcome.proof.as_ptr(),
            proof_len: outcome.proof.len(),
            participants: outcome.participants.as_ptr(),
            participants_len: outcome.participants.len(),
        };
        // SAFETY: the bytes live until the call returns, and the caller promises the rest, for the context
        // until the adapter is closed.
        closed.unless_closed(false, || unsafe { verify(context.0, &proof) != 0 })
    })
}
