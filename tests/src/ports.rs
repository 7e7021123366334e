//! Finds free ports. They are below the range from which the kernel assigns ports to outgoing
//! connections, so that no connection takes the port of a server while it restarts.

use std::{fs::File, net::TcpListener};

use doorward_domain::{IdGenerator, RandomIdGenerator};

/// Returns a port that is free now and that no other test gets until this process ends. A server
/// can therefore start on it later, and restart.
#[must_use]
pub fn find_free_port() -> u16 {
    let directory = std::env::temp_dir().join("doorward-test-ports");
    std::fs::create_dir_all(&directory).expect("a directory");
    for _ in 0..1000 {
        let port = 16_384
            + u16::from_str_radix(&RandomIdGenerator.new_gid().to_string()[..4], 16)
                .expect("hexadecimal")
                % 16_000;
        let lock = File::create(directory.join(port.to_string())).expect("a file");
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            // The lock must be held until the process ends.
            std::mem::forget(lock);
            return port;
        }
    }
    panic!("no free port");
}

/// Returns a loopback address with a free port.
#[must_use]
pub fn free_address() -> String {
    format!("127.0.0.1:{}", find_free_port())
}
