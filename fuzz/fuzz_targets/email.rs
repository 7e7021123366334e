//! Fuzzes the parser of email addresses: an accepted address must be accepted again, unchanged.

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
    let again = Email::parse(email.as_str()).expect("an accepted address must be accepted again");
    assert_eq!(again, email);
    assert_eq!(again.as_str(), email.as_str());
    assert!(!email.as_str().chars().any(char::is_control));
});
