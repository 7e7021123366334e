//! Free ports. From below the range of which the kernel gives ports to outgoing connections, so that none of these
//! takes a port while a server that had it is being restarted.

use std::{fs::File, net::TcpListener};

use doorward_domain::{IdGenerator, RandomIdGenerator};

/// A port that nothing listens on, and that no other test gets until this one's process ends: what is to listen there may
/// take its time to start.
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
            // Held until the process ends.
            std::mem::forget(lock);
            return port;
        }
    }
    panic!("no free port");
}

/// An address to listen on.
#[must_use]
pub fn free_address() -> String {
    format!("127.0.0.1:{}", find_free_port())
}
