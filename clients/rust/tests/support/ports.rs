//! Ports that stay free until a test uses them.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{SocketAddr, TcpListener};

/// Below the ports that systems give to who asks for any, and no other process gets one between two
/// runs of a server: from 32768 on Linux, 49152 elsewhere.
const PORTS: std::ops::Range<u64> = 20_000..32_768;

/// A loopback address with a port on which nobody listens now.
pub fn free_address() -> SocketAddr {
    let random = || RandomState::new().build_hasher().finish();
    let any = || PORTS.start + random() % (PORTS.end - PORTS.start);
    let bound = || TcpListener::bind(("127.0.0.1", any() as u16));
    let free = (0..100).find_map(|_| bound().ok()).expect("a free port");
    free.local_addr().unwrap()
}
