//! Fuzzes the parser of forms with files. The first line of an input is the content type, the rest
//! is the body.

#![no_main]

use std::{cell::LazyCell, thread_local};

use doorward_gateway::fuzzing::read_form;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: LazyCell<Runtime> =
        LazyCell::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));
}

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let (Some(content_type), Some(body)) = (lines.next(), lines.next()) else {
        return;
    };
    match RUNTIME.with(|runtime| runtime.block_on(read_form(content_type, body))) {
        Ok(file) => assert!(file.is_none_or(|length| length <= body.len())),
        Err(status) => assert!(matches!(status, 400 | 413 | 415), "{status}"),
    }
});
