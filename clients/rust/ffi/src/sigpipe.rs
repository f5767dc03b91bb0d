//! The signal of a write that nobody can read: it would end a node that does not ignore it.

use std::mem::MaybeUninit;
use std::ptr::null_mut;

use libc::{c_int, sigset_t, SIGPIPE};

/// Runs with SIGPIPE blocked, on this thread and on those that it starts. Drops the signal where it was raised
/// on this one.
pub fn without_sigpipe<T>(run: impl FnOnce() -> T) -> T {
    let sigpipe = sigpipe();
    let was_pending = is_pending();
    let mut before = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: both sets are valid, and the call fails for no signal that exists.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &sigpipe, before.as_mut_ptr()) };
    let result = run();
    if !was_pending && is_pending() {
        // Not `sigwait`: where another thread has taken the signal meanwhile, it would wait for ever.
        // SAFETY: a time of zero is valid, and no information is asked for.
        unsafe {
            let at_once: libc::timespec = std::mem::zeroed();
            libc::sigtimedwait(&sigpipe, null_mut(), &at_once);
        }
    }
    // SAFETY: the call above has written the set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut()) };
    result
}

fn sigpipe() -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call writes the set, and the signal exists.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), SIGPIPE);
        set.assume_init()
    }
}

/// Whether SIGPIPE waits for this thread to let it through.
fn is_pending() -> bool {
    let mut set = sigpipe();
    // SAFETY: the set is valid.
    let is_member: c_int = unsafe {
        libc::sigpending(&mut set);
        libc::sigismember(&set, SIGPIPE)
    };
    is_member == 1
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs;
    use std::time::{Duration, Instant};

    use crate::options::Options;
    use crate::{la_close, la_new};

    /// Whether each thread of this process that has this name blocks SIGPIPE.
    fn are_blocking(name: &str) -> Vec<bool> {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let texts = tasks.filter_map(|task| {
            let path = task.ok()?.path().join("status");
            fs::read_to_string(path).ok()
        });
        let threads = texts.filter_map(|text| {
            let field = |key: &str| {
                let mut lines = text.lines();
                lines.find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned()))
            };
            let blocked = u64::from_str_radix(&field("SigBlk:")?, 16).ok()?;
            let is_it = field("Name:")? == name;
            is_it.then_some((blocked >> (libc::SIGPIPE - 1)) & 1 == 1)
        });
        threads.collect()
    }

    #[test]
    fn the_threads_of_an_adapter_block_the_signal() {
        let endpoint = CString::new("127.0.0.1:1").unwrap();
        let options = Options {
            endpoints: endpoint.as_ptr(),
            node_id: c"node-1".as_ptr(),
            ..Options::default()
        };
        // SAFETY: the options are valid, and no error is asked for.
        let adapter = unsafe { la_new(&options, std::ptr::null_mut(), 0) };
        assert!(!adapter.is_null());
        let start = Instant::now();
        let mut blocking = Vec::new();
        // A new thread has its name a moment later.
        while blocking.is_empty() && start.elapsed() < Duration::from_secs(5) {
            blocking = are_blocking("lean-aggregator");
        }
        assert!(!blocking.is_empty() && blocking.iter().all(|each| *each));
        // SAFETY: it is of la_new, and is not used any more.
        unsafe { la_close(adapter, 0) };
    }
}
