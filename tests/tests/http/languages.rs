//! Tests `ping` and `languages/get`, which need no token.

use doorward_tests::{App, Backend, on_both_databases, snapshots::is_release};
use serde_json::json;

on_both_databases![
    ping_returns_the_api_version,
    languages_are_all_of_iso_639_1_and_regional_forms
];

async fn ping_returns_the_api_version(backend: Backend) {
    let app = App::start(backend).await;
    let calls = [
        app.http.get("/api/ping"),
        app.http.post("/api/ping"),
        app.http.post("/api/ping").json(&json!({})),
        app.http.get("/api/ping").bearer("garbage"),
    ];
    for call in calls {
        let answer = call.send().await;
        let (result, data) = answer.success();
        assert!(is_release(&result["cc.version"]), "{result}");
        assert_eq!(
            (result.as_object().map(serde_json::Map::len), data),
            (Some(1), json!({}))
        );
        assert_eq!(answer.header("authorization"), None);
    }
}

async fn languages_are_all_of_iso_639_1_and_regional_forms(backend: Backend) {
    let app = App::start(backend).await;
    let calls = [
        app.http.get("/api/languages/get"),
        app.http.post("/api/languages/get"),
        app.http.post("/api/languages/get").json(&json!({})),
    ];
    for call in calls {
        let (result, data) = call.send().await.success();
        assert_eq!(result.as_object().map(serde_json::Map::len), Some(1));
        assert_eq!(data.as_object().map(serde_json::Map::len), Some(1));
        let codes: Vec<&str> = result["languages"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|code| code.as_str())
            .collect();
        assert!(codes.is_sorted_by(|one, next| one < next), "{codes:?}");
        assert_eq!(codes.iter().filter(|code| code.len() == 2).count(), 183);
        assert!(codes.iter().all(|code| *code == code.to_lowercase()));
        let names = data["cc.languages"].as_object().expect("an object");
        assert_eq!(names.len(), codes.len());
        assert!(
            codes
                .iter()
                .all(|code| names[*code].as_str().is_some_and(|name| !name.is_empty()))
        );
        assert_eq!(
            (&names["da"], &names["nl"]),
            (&json!("Danish"), &json!("Dutch"))
        );
        assert!(names.contains_key("nl-be"));
    }
    let user = app.user("ann").await;
    let (_, data) = user.init().await.success();
    assert_eq!(
        data["cc.languages"],
        app.http.get("/api/languages/get").send().await.success().1["cc.languages"]
    );
}
