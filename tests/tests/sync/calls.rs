//! Tests the answers of `/sync/get` and `/sync/cursors`. `visibility.rs` tests which rows each user
//! receives, `publish.rs` the rows of other services, and `retention.rs` how long cursors are
//! valid.

use std::time::Duration;

use doorward_tests::{
    ApiUser, App, Backend, MANY_WRITES, PASSWORD, Response, User, eventually, on_both_databases,
    snapshots::assert_json_eq,
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

on_both_databases![
    response_with_rows_has_no_cursors,
    empty_response_has_the_cursors,
    cursors_are_those_of_an_init,
    api_user_reads_as_a_member,
    token_that_is_due_is_renewed,
    more_than_a_thousand_rows_are_paged,
];

pub(super) const GET: &str = "/sync/get";
pub(super) const CURSORS: &str = "/sync/cursors";

/// A project of ann with the member ben and an API user; dan is not a member.
pub(super) struct Fixture {
    pub(super) app: App,
    pub(super) ann: User,
    pub(super) ben: User,
    pub(super) dan: User,
    pub(super) robot: ApiUser,
    pub(super) project: String,
}

impl Fixture {
    pub(super) async fn new(backend: Backend) -> Self {
        Self::with(backend, &[]).await
    }

    async fn with(backend: Backend, variables: &[(&str, &str)]) -> Self {
        let app = App::with_settings(backend, variables).await;
        let ann = app.user("ann").await;
        let ben = app.user("ben").await;
        let dan = app.user("dan").await;
        let project = app.installation.create_project("ann", "Herbarium").await;
        app.installation.add_member(&project, "ben").await;
        let robot = ann.create_api_user(&project, "Robot").await;
        Self {
            app,
            ann,
            ben,
            dan,
            robot,
            project,
        }
    }

    /// Renames ben, which appends one row to the feed.
    async fn rename(&self, name: &str) {
        self.ben
            .call("/api/account/update", &json!({"name": name}))
            .await
            .success();
    }

    async fn position(&self) -> i64 {
        self.ann.call(CURSORS, &json!({})).await.success().0["cc.cursor"]
            .as_i64()
            .expect("a cursor")
    }
}

fn assert_result(answer: &Response, result: &Value) {
    assert_json_eq(
        &answer.json(),
        &json!({"success": true, "result": result, "data": {}}),
    );
    answer.success();
    assert_eq!(
        answer.header("authorization"),
        None,
        "the token is not due for renewal"
    );
}

async fn response_with_rows_has_no_cursors(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let before = scene.position().await;
    scene.rename("Benjamin").await;
    let change = json!({"name": "Hortus", "project": scene.project});
    scene
        .ann
        .call("/api/projects/update", &change)
        .await
        .success();
    let row = |number: i64, data_type: &str, data_key: &str| {
        let cursor = before + number;
        json!({"type": "cc", "cursor": cursor, "action": "UPDATE", "data_type": data_type, "data_key": data_key})
    };
    let rows = [
        row(1, "cc.users", &scene.ben.gid),
        row(2, "cc.projects", &scene.project),
    ];
    for (body, expected) in [
        (json!({"cc_cursor": before}), &rows[..]),
        (
            json!({"cc_cursor": before, "project": scene.project}),
            &rows,
        ),
        (
            json!({"cc_cursor": before, "project": scene.project, "cursor": before}),
            &rows,
        ),
        (
            json!({"cc_cursor": before, "cursor": before, "what": "else"}),
            &rows,
        ),
        (json!({"cc_cursor": before + 1}), &rows[1..]),
    ] {
        let answer = scene.ann.call(GET, &body).await;
        assert_result(&answer, &json!({"sync": expected}));
        // The same request returns the same rows again.
        assert_json_eq(&scene.ann.call(GET, &body).await.json(), &answer.json());
    }
    let order = r#"{"type":"cc","cursor":"#;
    assert!(
        scene
            .ann
            .call(GET, &json!({"cc_cursor": before}))
            .await
            .text()
            .contains(order)
    );
}

async fn empty_response_has_the_cursors(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let before = scene.position().await;
    scene
        .dan
        .call("/api/account/update", &json!({"name": "Dan D."}))
        .await
        .success();
    let now = scene.position().await;
    assert_eq!(now, before + 1);
    let global = json!({"sync": [], "cc.cursor": now});
    let both = json!({"sync": [], "cc.cursor": now, "cursor": now});
    let project = &scene.project;
    for (body, expected) in [
        (json!({}), &global),
        (json!({"cc_cursor": now}), &global),
        // The user who has changed is not visible to ann.
        (json!({"cc_cursor": before}), &global),
        // A cursor in the future.
        (json!({"cc_cursor": i64::MAX}), &global),
        // A cursor without a project is ignored.
        (json!({"cursor": 0}), &global),
        (json!({"project": project}), &both),
        (json!({"project": project, "cursor": 0}), &both),
        (json!({"project": project, "cursor": i64::MAX}), &both),
        (json!({"project": project, "cc_cursor": before}), &both),
        (
            json!({"project": project, "cc_cursor": before, "cursor": before}),
            &both,
        ),
        (
            json!({"project": project.to_uppercase(), "cc_cursor": now, "cursor": now}),
            &both,
        ),
    ] {
        assert_result(&scene.ann.call(GET, &body).await, expected);
    }
}

async fn cursors_are_those_of_an_init(backend: Backend) {
    let scene = Fixture::new(backend).await;
    for name in ["Benjamin", "Ben"] {
        scene.rename(name).await;
        let (init, _) = scene
            .app
            .http
            .project_init(&scene.project, &scene.ann.token)
            .await
            .success();
        let now = &init["cc.cursor"];
        let own = &init["cursor"];
        assert_eq!(now, own);
        assert_result(
            &scene.ann.call(CURSORS, &json!({})).await,
            &json!({"cc.cursor": now}),
        );
        // Members that are no parameters of this call are ignored.
        let body = json!({"cc_cursor": "x", "cursor": null});
        assert_result(
            &scene.ann.call(CURSORS, &body).await,
            &json!({"cc.cursor": now}),
        );
        let both = json!({"cc.cursor": now, "cursor": own});
        assert_result(
            &scene
                .ben
                .call(CURSORS, &json!({"project": scene.project}))
                .await,
            &both,
        );
        let (init, _) = scene.dan.init().await.success();
        assert_result(
            &scene.dan.call(CURSORS, &json!({})).await,
            &json!({"cc.cursor": init["cc.cursor"]}),
        );
    }
}

async fn api_user_reads_as_a_member(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let answer = scene.robot.auth().await;
    let before = answer.json()["result"]["cc.cursor"]
        .as_i64()
        .expect("a cursor");
    let token = answer.token();
    let call = async |path: &str, body: &Value| {
        scene
            .app
            .http
            .post(path)
            .bearer(&token)
            .json(body)
            .send()
            .await
    };
    scene.rename("Benjamin").await;
    let body = json!({"cc_cursor": before, "project": scene.project, "cursor": before});
    let row = json!({
        "type": "cc", "cursor": before + 1, "action": "UPDATE", "data_type": "cc.users", "data_key": scene.ben.gid
    });
    assert_result(&call(GET, &body).await, &json!({"sync": [row]}));
    let cursors = json!({"cc.cursor": before + 1, "cursor": before + 1});
    assert_result(
        &call(CURSORS, &json!({"project": scene.project})).await,
        &cursors,
    );
    let other = scene.app.installation.create_project("dan", "Depot").await;
    for path in [GET, CURSORS] {
        call(path, &json!({"project": other}))
            .await
            .assert_forbidden();
    }
}

async fn token_that_is_due_is_renewed(backend: Backend) {
    let scene = Fixture::with(backend, &[("DOORWARD_TOKEN_RENEW_AFTER", "0s")]).await;
    let before = scene.position().await;
    scene.rename("Benjamin").await;
    for (path, body) in [
        (GET, json!({"cc_cursor": before})),
        (GET, json!({})),
        (CURSORS, json!({"project": scene.project})),
    ] {
        // A call does not wait long for a renewal: if it takes too long, the answer has no token.
        let renewed = eventually("a renewed token", Duration::from_secs(10), async || {
            let answer = scene.ann.call(path, &body).await;
            answer.success();
            answer.header("authorization").map(str::to_owned)
        })
        .await;
        assert_ne!(renewed, scene.ann.token);
        scene
            .app
            .http
            .post(path)
            .bearer(&renewed)
            .json(&body)
            .send()
            .await
            .success();
    }
    let denied = scene
        .app
        .http
        .post(GET)
        .bearer("garbage")
        .json(&json!({}))
        .send()
        .await;
    denied.assert_unauthenticated();
    assert_eq!(scene.app.http.login("ann", PASSWORD).await.status, 200);
}

async fn more_than_a_thousand_rows_are_paged(backend: Backend) {
    const CHANGES: i64 = 1003;
    let scene = Fixture::with(backend, &[MANY_WRITES]).await;
    let before = scene.position().await;
    let names: Vec<String> = (0..CHANGES).map(|number| format!("Ben {number}")).collect();
    let renamed = stream::iter(names.iter().map(|name| scene.rename(name)))
        .buffer_unordered(8)
        .count()
        .await;
    assert_eq!(i64::try_from(renamed), Ok(CHANGES));
    let rows = |cursors: std::ops::RangeInclusive<i64>| {
        let row = |cursor| {
            let data_key = &scene.ben.gid;
            json!({"type": "cc", "cursor": cursor, "action": "UPDATE", "data_type": "cc.users", "data_key": data_key})
        };
        cursors.map(row).collect::<Vec<_>>()
    };
    let read = async |after: i64| scene.ann.call(GET, &json!({"cc_cursor": after})).await;
    let last = before + CHANGES;
    for after in [before, before + 2] {
        let expected = json!({"sync": rows(after + 1..=after + 1000), "warning": "more data"});
        assert_result(&read(after).await, &expected);
    }
    assert_result(
        &read(before + 1000).await,
        &json!({"sync": rows(before + 1001..=last)}),
    );
    // Exactly one full page is left, so there is no warning.
    assert_result(
        &read(before + 3).await,
        &json!({"sync": rows(before + 4..=last)}),
    );
    assert_result(&read(last).await, &json!({"sync": [], "cc.cursor": last}));
}
