//! C interface of lean-aggregator-client. `include/lean_aggregator.h` documents it.
//!
//! Every function guards against NULL and against panics: none unwinds into C.

mod snapshot;
mod take;

use std::collections::VecDeque;
use std::ffi::{c_char, c_int, CStr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lean_aggregator_client::{Aggregator, TickResult};

/// `la_options` of the header.
#[repr(C)]
pub struct Options {
    size: usize,
    endpoints: *const c_char,
    node_id: *const c_char,
    node_epoch: u64,
}

/// `la_adapter` of the header.
pub struct Adapter {
    inner: Aggregator,
    /// The adapter's thread has it too, and may be the last one.
    ready_fd: Arc<OwnedFd>,
    /// Taken from the adapter and not yet by the caller, whose capacity was too small.
    taken: Mutex<VecDeque<TickResult>>,
}

/// Runs a call of C. A panic becomes `otherwise`.
fn guard<T>(otherwise: T, run: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(otherwise)
}

/// # Safety
/// As the header says: `options` is NULL or valid, `error` is NULL or has `error_len` bytes.
#[no_mangle]
pub unsafe extern "C" fn la_new(
    options: *const Options,
    error: *mut c_char,
    error_len: usize,
) -> *mut Adapter {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        match unsafe { new(options) } {
            Ok(adapter) => Box::into_raw(Box::new(adapter)),
            Err(why) => {
                // SAFETY: the caller's promise.
                unsafe { put_text(&why, error, error_len) };
                std::ptr::null_mut()
            }
        }
    })
}

/// # Safety
/// `options` is NULL or valid.
unsafe fn new(options: *const Options) -> Result<Adapter, String> {
    // SAFETY: the caller's promise.
    let options = unsafe { options.as_ref() }.ok_or("options is NULL")?;
    if options.size < std::mem::size_of::<Options>() {
        return Err("options.size is too small: set it to sizeof(la_options)".into());
    }
    // SAFETY: the caller's promise.
    let endpoints = unsafe { text(options.endpoints) }.ok_or("options.endpoints is no text")?;
    // SAFETY: the caller's promise.
    let node_id = unsafe { text(options.node_id) }.ok_or("options.node_id is no text")?;
    // SAFETY: an eventfd needs no memory.
    let ready_fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if ready_fd < 0 {
        return Err("the system has no eventfd left".into());
    }
    // SAFETY: it was opened above, and nobody else has it.
    let ready_fd = Arc::new(unsafe { OwnedFd::from_raw_fd(ready_fd) });
    let for_thread = ready_fd.clone();
    let mut builder = Aggregator::builder().node_id(node_id).on_ready(move || {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the descriptor is open. A full counter is readable already.
        unsafe { libc::write(for_thread.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    });
    if options.node_epoch != 0 {
        builder = builder.node_epoch(options.node_epoch);
    }
    for endpoint in endpoints.split(',').map(str::trim) {
        builder = builder.endpoint(endpoint);
    }
    let inner = builder.build().map_err(|error| error.to_string())?;
    Ok(Adapter {
        inner,
        ready_fd,
        taken: Mutex::default(),
    })
}

/// # Safety
/// `adapter` is NULL or of `la_new`, and is not used any more.
#[no_mangle]
pub unsafe extern "C" fn la_close(adapter: *mut Adapter, drain_ms: u64) {
    guard((), || {
        if !adapter.is_null() {
            // SAFETY: the caller's promise.
            let adapter = unsafe { Box::from_raw(adapter) };
            adapter.inner.close(Duration::from_millis(drain_ms));
        }
    });
}

/// # Safety
/// `adapter` is NULL or of `la_new`.
#[no_mangle]
pub unsafe extern "C" fn la_ready_fd(adapter: *const Adapter) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { adapter.as_ref() }.map_or(-1, |adapter| adapter.ready_fd.as_raw_fd())
}

/// # Safety
/// `pointer` is NULL or a text that ends with 0.
unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a str> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }.to_str().ok()
}

/// Copies a text with its 0, shortened to what fits.
///
/// # Safety
/// `out` is NULL or has `len` bytes.
unsafe fn put_text(text: &str, out: *mut c_char, len: usize) {
    if out.is_null() || len == 0 {
        return;
    }
    let length = text.len().min(len - 1);
    // SAFETY: `length` is less than `len`.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast(), out, length);
        *out.add(length) = 0;
    }
}
