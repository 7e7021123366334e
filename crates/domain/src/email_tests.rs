//! Tests of the canonical form of addresses, and of the addresses that are rejected.

use proptest::prelude::*;

use super::*;

fn email(text: &str) -> Email {
    Email::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn spellings_of_one_mailbox_share_a_canonical_form() {
    for (canonical, spellings) in [
        (
            "fay@example.org",
            &[
                "fay@example.org",
                "FAY@Example.ORG",
                "\"fay\"@example.org",
                "\"f\\ay\"@example.org",
                "\"\\f\\a\\y\"@example.org",
                "\"Fay\"@EXAMPLE.org",
                " fay@example.org\u{a0}",
                "fay@ｅｘａｍｐｌｅ．ｏｒｇ",
                "fay@example。org",
                "fay@ex\u{ad}ample.org",
            ] as &[_],
        ),
        (
            "fay@xn--bcher-kva.example",
            &[
                "fay@bücher.example",
                "fay@bu\u{308}cher.example",
                "fay@BÜCHER.example",
                "fay@xn--bcher-kva.example",
                "Fay@XN--BCHER-KVA.Example",
            ],
        ),
        (
            "fay@xn--strae-oqa.example",
            &["fay@straße.example", "fay@xn--strae-oqa.example"],
        ),
        (
            "fée@example.org",
            &[
                "fée@example.org",
                "fe\u{301}e@example.org",
                "\"F\u{c9}E\"@example.org",
            ],
        ),
        (
            "first.last@example.org",
            &["\"first.last\"@example.org", "\"first\\.last\"@example.org"],
        ),
        ("o'brien+tag@example.org", &["\"o'brien+tag\"@example.org"]),
        (
            "\"a b\"@example.org",
            &[
                "\"a b\"@example.org",
                "\"a\\ b\"@example.org",
                "\"\\A b\"@example.org",
            ],
        ),
        (
            "\"a@b\"@example.org",
            &["\"a@b\"@example.org", "\"a\\@b\"@example.org"],
        ),
        (
            "\".a\"@example.org",
            &["\".a\"@example.org", "\"\\.a\"@example.org"],
        ),
        ("\"a..b\"@example.org", &["\"a..b\"@example.org"]),
        (
            "\"\\\"a\\\"\"@example.org",
            &["\"\\\"a\\\"\"@example.org", "\"\\\"\\a\\\"\"@example.org"],
        ),
        ("\"a\\\\b\"@example.org", &["\"a\\\\b\"@example.org"]),
    ] {
        for spelling in spellings {
            assert_eq!(email(spelling).canonical(), canonical, "{spelling}");
            assert_eq!(email(spelling).as_str(), spelling.trim());
        }
    }
}

#[test]
fn different_mailboxes_have_different_canonical_forms() {
    for (one, other) in [
        ("fay@example.org", "fay@example.com"),
        ("fay@example.org", "f.ay@example.org"),
        ("fay@example.org", "fay+tag@example.org"),
        ("fay@example.org", "\" fay\"@example.org"),
        ("fay@example.org", "\"f\\\\ay\"@example.org"),
        ("fay@strasse.example", "fay@straße.example"),
        // A Cyrillic letter in place of a Latin one.
        ("fay@example.org", "fay@ex\u{430}mple.org"),
        ("fay@example.org", "f\u{430}y@example.org"),
    ] {
        assert_ne!(email(one), email(other), "{one} {other}");
    }
}

#[test]
fn emails_are_sent_to_the_local_part_as_written_and_the_domain_in_ascii() {
    for (written, delivered) in [
        ("Fay@Example.org", "Fay@Example.org"),
        ("\"f\\ay\"@example.org", "\"f\\ay\"@example.org"),
        ("\"Fay\"@bücher.example", "\"Fay\"@xn--bcher-kva.example"),
        ("Fée@ｅxample.org", "Fée@example.org"),
        // The mail library takes neither combining characters nor an escaped space.
        ("Fe\u{301}e@example.org", "Fée@example.org"),
        ("\"A\\ b\"@example.org", "\"A b\"@example.org"),
    ] {
        assert_eq!(email(written).delivery_address(), delivered);
    }
}

#[test]
fn lengths_count_the_canonical_form() {
    let local = |length| "x".repeat(length);
    let escaped: String = local(64).chars().flat_map(|c| ['\\', c]).collect();
    assert!(Email::parse(&format!("{}@example.org", local(64))).is_ok());
    assert!(Email::parse(&format!("\"{}\"@example.org", local(64))).is_ok());
    assert!(Email::parse(&format!("\"{escaped}\"@example.org")).is_ok());
    assert!(Email::parse(&format!("{}@example.org", local(65))).is_err());
    assert!(Email::parse(&format!("\"{}\"@example.org", local(65))).is_err());
    // The limits count bytes, and an é has two.
    assert!(Email::parse(&format!("{}@example.org", "é".repeat(32))).is_ok());
    assert!(Email::parse(&format!("{}@example.org", "é".repeat(33))).is_err());

    let label = "y".repeat(61);
    let whole = |last: usize| format!("{}@{label}.{label}.{label}.{}", local(64), "z".repeat(last));
    assert_eq!(whole(3).len(), 254);
    assert!(Email::parse(&whole(3)).is_ok());
    assert!(Email::parse(&whole(4)).is_err());
    // The address is longer as written than in ASCII.
    assert!(Email::parse(&whole(3).replace('y', "ｙ")).is_ok());
    // The address has fewer characters as written than in ASCII.
    let label = "ü".repeat(48);
    assert!(Email::parse(&format!("a@{label}.{label}.{label}.{label}.example")).is_ok());
    assert!(
        Email::parse(&format!(
            "a@{label}.{label}.{label}.{label}.{label}.example"
        ))
        .is_err()
    );
    assert!(Email::parse(&format!("a@{}.example", "y".repeat(64))).is_err());
    assert!(Email::parse(&format!("a@{}.example", "ü".repeat(63))).is_err());
}

#[test]
fn malformed_addresses_are_rejected() {
    for invalid in [
        "",
        "@",
        "ann",
        "ann@",
        "@example.org",
        "\"@example.org",
        "\"\"@example.org",
        "\"ann@example.org",
        "ann\"@example.org",
        "\"a\"b\"@example.org",
        "\"a\".b@example.org",
        "\"a\\\"@example.org",
        "a\\b@example.org",
        ".a@example.org",
        "a.@example.org",
        "a..b@example.org",
        "ann@localhost",
        "ann@example.org.",
        "ann@.example.org",
        "ann@example..org",
        "ann@example。。org",
        "ann@-a.example",
        "ann@a-.example",
        "ann@a b.example",
        "fran\u{212a}@example.org",
        "\"fran\u{212a}\"@example.org",
        "a\u{37e}b@example.org",
        "a\u{1fef}b@example.org",
        "a b@example.org",
        "Ann <ann@example.org>",
        "ann@[127.0.0.1]",
        "ann@[IPv6:::1]",
        "ann@127.0.0.1",
        "ann@１２７．０．０．１",
        "ann@exam_ple.org",
        "ann@xn--a.example",
        "ann@xn--\u{fc}.example",
        "ann@xn--bcher-kvax-.example",
        "ann@xn--zzzzzzzzzzzzzzzzzzzz99999.example",
        "ann@ex\u{2100}ample.org",
        "ann@\u{0}example.org",
        "ann@example.org\r\nBcc: x@y.z",
        "ann@b@example.org",
        "ann＠example.org",
        &format!("ann@{}.example", "ａ".repeat(400)),
    ] {
        assert!(Email::parse(invalid).is_err(), "{invalid}");
    }
}

#[test]
fn white_space_around_an_address_is_ignored() {
    let around =
        " \t\r\n\u{b}\u{c}\u{85}\u{a0}\u{1680}\u{2003}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";
    let email = Email::parse(&format!("{around}ann@example.org{around}")).unwrap();
    assert_eq!(email.as_str(), "ann@example.org");
    for invalid in [
        "\u{200b}ann@example.org",
        "ann @example.org",
        "ann@ example.org",
        "ann@example.org\u{feff}",
    ] {
        assert!(Email::parse(invalid).is_err(), "{invalid:?}");
    }
}

proptest! {
    #[test]
    fn canonical_form_is_canonical(text in "\\PC{0,20}(@\\PC{1,20}[.](org|ÖRG))?") {
        if let Ok(email) = Email::parse(&text) {
            let again = Email::parse(&email.canonical()).unwrap();
            prop_assert_eq!(again.canonical(), email.canonical());
            let delivered = Email::parse(email.delivery_address()).unwrap();
            prop_assert_eq!(delivered.canonical(), email.canonical());
            prop_assert!(email.canonical().len() <= MAX_BYTES);
        }
    }

    #[test]
    fn quotes_and_escapes_change_nothing(local in "[a-zA-Z0-9.+_ \"\\\\@,<>-]{1,20}") {
        let escaped: String = local.chars().flat_map(|c| ['\\', c]).collect();
        let minimal = local.replace('\\', "\\\\").replace('"', "\\\"");
        let fully_escaped = email(&format!("\"{escaped}\"@Example.org"));
        prop_assert_eq!(&fully_escaped, &email(&format!("\"{minimal}\"@example.org")));
        let plain = Email::parse(&format!("{local}@example.org"));
        if let Ok(plain) = plain && !local.starts_with(['"', ' ']) {
            prop_assert_eq!(&fully_escaped, &plain);
        }
    }
}
