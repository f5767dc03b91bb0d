//! C interface of lean-aggregator-client. cbindgen makes `include/lean_aggregator.h` from it.
//!
//! Every function guards against NULL and against panics: none unwinds into C.

mod log;
mod options;
mod sigpipe;
mod snapshot;
mod take;
mod verify;

use std::ffi::{c_char, c_int, CStr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lean_aggregator_client::Aggregator;
use log::Log;
use options::Options;
use sigpipe::without_sigpipe;
use take::Skips;
use verify::Closed;

/// An adapter. One for each node.
pub struct Adapter {
    inner: Aggregator,
    /// The adapter's thread has them too, and may be the last one.
    ready_fd: Arc<OwnedFd>,
    skips: Arc<Mutex<Skips>>,
    closed: Closed,
    log: Log,
    has_slot_times: bool,
}

/// Makes the eventfd readable until the caller reads it.
fn make_readable(ready_fd: &OwnedFd) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: the descriptor is open. A full counter is readable already.
    unsafe { libc::write(ready_fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// Runs a call of C. A panic becomes `otherwise`.
fn guard<T>(otherwise: T, run: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(otherwise)
}

/// Starts an adapter. NULL: an option is invalid; `error` (may be NULL) has `error_len` bytes and says
/// which.
///
/// # Safety
/// `options` is NULL or has `options->size` bytes, `error` is NULL or has `error_len` bytes.
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
/// As `la_new`.
unsafe fn new(options: *const Options) -> Result<Adapter, String> {
    // SAFETY: the caller's promise.
    let options = unsafe { Options::read(options)? };
    let closed = Closed::default();
    let log = Log::new(options.log, options.log_context, closed.clone());
    // SAFETY: the caller's promise.
    let builder = unsafe { options.builder(&closed, &log)? };
    // SAFETY: an eventfd needs no memory.
    let ready_fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if ready_fd < 0 {
        return Err("the system has no eventfd left".into());
    }
    // SAFETY: it was opened above, and nobody else has it.
    let ready_fd = Arc::new(unsafe { OwnedFd::from_raw_fd(ready_fd) });
    let skips = Arc::<Mutex<Skips>>::default();
    let for_results = ready_fd.clone();
    let (for_skips, skipped) = (ready_fd.clone(), skips.clone());
    let builder = builder
        .on_ready(move || make_readable(&for_results))
        .on_skip(move |skip| {
            if Skips::lock(&skipped).keep(skip) {
                make_readable(&for_skips);
            }
        });
    // A connection that breaks must not end the node: the adapter's threads begin with this one's mask.
    let built = without_sigpipe(|| builder.build());
    Ok(Adapter {
        inner: built.map_err(|error| error.to_string())?,
        ready_fd,
        skips,
        closed,
        log,
        has_slot_times: options.has_slot_times(),
    })
}

/// Closes the adapter within `drain_ms` and about one second, waits for calls of `verify` and `log` that
/// run, and frees it. NULL is ignored. Never call it from `verify` or `log`.
///
/// # Safety
/// `adapter` is NULL or of `la_new`, and is not used any more.
#[no_mangle]
pub unsafe extern "C" fn la_close(adapter: *mut Adapter, drain_ms: u64) {
    guard((), || {
        if !adapter.is_null() {
            // SAFETY: the caller's promise.
            let adapter = unsafe { Box::from_raw(adapter) };
            adapter.inner.close(Duration::from_millis(drain_ms));
            adapter.closed.close();
        }
    });
}

/// An eventfd that is readable when results can be taken, also those that `la_take` had no room for;
/// read 8 bytes from it, then take. It is the adapter's: never close it. -1: `adapter` is NULL.
///
/// # Safety
/// `adapter` is NULL or of `la_new`.
#[no_mangle]
pub unsafe extern "C" fn la_ready_fd(adapter: *const Adapter) -> c_int {
    guard(-1, || {
        // SAFETY: the caller's promise.
        let adapter = unsafe { adapter.as_ref() };
        adapter.map_or(-1, |adapter| adapter.ready_fd.as_raw_fd())
    })
}

/// Cancels each group of a request that has not ended, for example because its votes have left the
/// chain. Returns their number; each is taken as `LA_CANCELLED`. 0: the request is unknown or over, or
/// an argument is NULL.
///
/// # Safety
/// `adapter` is NULL or of `la_new`, `request_id` is NULL or a text that ends with 0.
#[no_mangle]
pub unsafe extern "C" fn la_cancel(adapter: *const Adapter, request_id: *const c_char) -> usize {
    guard(0, || {
        // SAFETY: the caller's promise.
        let (adapter, request_id) = unsafe { (adapter.as_ref(), text(request_id)) };
        adapter.zip(request_id).map_or(0, |(adapter, request_id)| {
            adapter.inner.cancel_request(request_id)
        })
    })
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
