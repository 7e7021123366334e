//! Free ports. From below the range of which the kernel gives ports to outgoing connections, so that none of these
//! takes a port while a server that had it is being restarted.

use std::net::TcpListener;

use doorward_domain::{Ids, RandomIds};

/// A port that nothing listens on.
#[must_use]
pub fn free() -> u16 {
    for _ in 0..1000 {
        let port = 16_384 + u16::from_str_radix(&RandomIds.gid().to_string()[..4], 16).expect("hexadecimal") % 16_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// An address to listen on.
#[must_use]
pub fn free_address() -> String {
    format!("127.0.0.1:{}", free())
}
