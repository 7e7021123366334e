//! Email addresses: what is accepted is accepted again and stays the same.

#![no_main]

use doorward_domain::Email;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let Ok(email) = Email::parse(text) else {
        return;
    };
    let again = Email::parse(email.as_str()).expect("an address that was accepted");
    assert_eq!(again, email);
    assert_eq!(again.as_str(), email.as_str());
    assert!(!email.as_str().chars().any(char::is_control));
});
