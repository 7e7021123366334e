//! Conditional requests and requests for ranges of pictures.

use actix_web::test::TestRequest;

use super::*;

fn planned(method: Method, headers: &[(&str, &str)]) -> ResponsePlan {
    let request = TestRequest::default().method(method);
    let request = headers
        .iter()
        .fold(request, |request, header| request.append_header(*header))
        .to_http_request();
    let object = Object {
        size: 10,
        etag: Some("\"a\"".to_owned()),
        range: 0..0,
        body: Box::pin(stream::empty()),
    };
    plan_response(&request, &object)
}

fn get(headers: &[(&str, &str)]) -> ResponsePlan {
    planned(Method::GET, headers)
}

#[test]
fn names_are_gids_in_small_letters_with_an_extension() {
    let gid = "0f8fad5b-d9cb-469f-a165-70867728950e";
    for extension in ["png", "jpg", "gif", "webp"] {
        assert!(format_of(&format!("{gid}.{extension}")).is_some());
    }
    let upper_case = gid.to_uppercase();
    for stem in [gid, &upper_case, &gid[1..], "", "..", "x"] {
        for extension in [
            "",
            ".",
            ".jpeg",
            ".PNG",
            ".png ",
            ".png#1",
            ".svg",
            ".html",
            ".png.png",
            "/../x.png",
        ] {
            assert!(
                format_of(&format!("{stem}{extension}")).is_none(),
                "{stem}{extension}"
            );
        }
        assert!(
            stem == gid || format_of(&format!("{stem}.png")).is_none(),
            "{stem}"
        );
    }
}

#[test]
fn matching_etag_gives_not_modified() {
    for tags in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
        assert_eq!(
            get(&[("if-none-match", tags)]),
            ResponsePlan::NotModified,
            "{tags}"
        );
        assert_eq!(
            planned(Method::HEAD, &[("if-none-match", tags)]),
            ResponsePlan::NotModified
        );
        assert_eq!(
            get(&[("if-none-match", tags), ("range", "bytes=0-1")]),
            ResponsePlan::NotModified
        );
    }
    for tags in ["\"b\"", "a", ""] {
        assert_eq!(
            get(&[("if-none-match", tags)]),
            ResponsePlan::Whole,
            "{tags}"
        );
        assert_eq!(
            planned(Method::HEAD, &[("if-none-match", tags)]),
            ResponsePlan::Head
        );
    }
}

#[test]
fn single_range_is_partial_content() {
    for (range, expected) in [
        ("bytes=0-0", ResponsePlan::Part(0..1)),
        ("bytes=2-5", ResponsePlan::Part(2..6)),
        ("bytes=2-", ResponsePlan::Part(2..10)),
        ("bytes=2-99", ResponsePlan::Part(2..10)),
        ("bytes=-3", ResponsePlan::Part(7..10)),
        ("bytes=-99", ResponsePlan::Part(0..10)),
        ("bytes=10-", ResponsePlan::NotSatisfiable),
        ("bytes=10-20", ResponsePlan::NotSatisfiable),
        ("bytes=-0", ResponsePlan::NotSatisfiable),
        // Several ranges, or a malformed one.
        ("bytes=0-1,3-4", ResponsePlan::Whole),
        ("bytes=5-2", ResponsePlan::Whole),
        ("bytes=", ResponsePlan::Whole),
        ("bytes=a-b", ResponsePlan::Whole),
        ("bytes=0-99999999999999999999", ResponsePlan::Whole),
        ("lines=1-2", ResponsePlan::Whole),
        ("x", ResponsePlan::Whole),
    ] {
        assert_eq!(get(&[("range", range)]), expected, "{range}");
        assert_eq!(
            planned(Method::HEAD, &[("range", range)]),
            ResponsePlan::Head,
            "{range}"
        );
    }
}

#[test]
fn range_of_another_version_is_not_sent() {
    for (if_range, expected) in [
        ("\"a\"", ResponsePlan::Part(2..6)),
        ("\"b\"", ResponsePlan::Whole),
        ("W/\"a\"", ResponsePlan::Whole),
        ("Sat, 29 Oct 1994 19:43:31 GMT", ResponsePlan::Whole),
        ("x", ResponsePlan::Whole),
    ] {
        assert_eq!(
            get(&[("range", "bytes=2-5"), ("if-range", if_range)]),
            expected,
            "{if_range}"
        );
    }
}
