//! Tests the responses, errors and permissions of the calls `/api/p/{project}/languages/...`,
//! `/channels/...`, `/orderings/...` and `/fieldlists/...`.

use std::collections::BTreeSet;

use doorward_tests::{
    Backend, Http, MANY_WRITES, Response, Role, Services, User, on_both_databases,
    snapshots::assert_json_eq, sql::execute,
};
use serde_json::{Map, Value, json};

use crate::{
    api_keys::calls::UNKNOWN_GID,
    projects::fixture::{Fixture, about, cursor, herbarium, options},
};

on_both_databases![
    language_is_added_and_removed,
    language_that_cannot_be_is_unprocessable,
    item_is_made_renamed_and_deleted,
    names_are_trimmed_and_required,
    item_moves_before_another_or_to_the_end,
    several_are_deleted_or_none,
    built_in_channel_cannot_be_changed,
    last_ordering_and_fieldlist_stay,
    missing_items_are_unprocessable,
    list_has_at_most_a_thousand_items,
    first_bad_parameter_is_reported,
    calls_require_active_membership,
    every_change_moves_the_feed_and_nothing_else_does,
    nothing_is_lost_when_two_members_change_at_once,
];

/// The names by which a list of project items occurs in calls and options.
struct List {
    /// The path of the calls, the parameter with several items, and the option with the items'
    /// names.
    path: &'static str,
    /// The parameter with one item.
    one: &'static str,
    /// The parameter with the item before which another one is moved.
    before: &'static str,
    /// The option with the order of the items.
    order: &'static str,
    /// The placeholder of the item that a new project has.
    main: &'static str,
}

const LISTS: [List; 3] = [
    List {
        path: "channels",
        one: "channel",
        before: "before_channel",
        order: "orderedchannels",
        main: "<channel>",
    },
    List {
        path: "orderings",
        one: "ordering",
        before: "before_ordering",
        order: "orderedorderings",
        main: "<ordering>",
    },
    List {
        path: "fieldlists",
        one: "fieldlist",
        before: "before_fieldlist",
        order: "orderedfieldlists",
        main: "<fieldlist>",
    },
];

impl List {
    async fn call(&self, user: &User, project: &str, call: &str, body: &Value) -> Response {
        user.call(&format!("/api/p/{project}/{}/{call}", self.path), body)
            .await
    }

    async fn create(&self, user: &User, project: &str, name: &str) -> String {
        let (result, _) = self
            .call(user, project, "create", &json!({"name": name}))
            .await
            .success();
        result[self.one].as_str().expect("an id").to_owned()
    }

    /// Returns a body with the parameter for one item and more parameters.
    fn item(&self, gid: &str, more: &[(&str, &str)]) -> Value {
        let first = [(self.one.to_owned(), json!(gid))];
        let more = more
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)));
        Value::Object(first.into_iter().chain(more).collect::<Map<_, _>>())
    }

    /// Returns the ids in their order, without the built-in channel `__all__`.
    fn ids(&self, options: &Value) -> Vec<String> {
        let order = options[self.order].as_array().expect("a list").iter();
        let ids: Vec<String> = order
            .map(|id| id.as_str().expect("an id").to_owned())
            .collect();
        if self.one == "channel" {
            assert_eq!(ids[0], "__all__");
            ids[1..].to_vec()
        } else {
            ids
        }
    }

    /// Reads the ids in their order.
    async fn order(&self, user: &User, project: &str) -> Vec<String> {
        let options = options(user, project).await;
        let ids = self.ids(&options);
        // Every item has a name, and there are no names of other items.
        let names: BTreeSet<&String> = options[self.path]
            .as_object()
            .expect("an object")
            .keys()
            .collect();
        let listed: BTreeSet<&str> = options[self.order]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(
            names
                .into_iter()
                .map(String::as_str)
                .collect::<BTreeSet<_>>(),
            listed
        );
        ids
    }
}

async fn language(user: &User, project: &str, call: &str, language: &str) -> Response {
    user.call(
        &format!("/api/p/{project}/languages/{call}"),
        &json!({"language": language}),
    )
    .await
}

async fn language_is_added_and_removed(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let assert_languages = |answer: &Response, languages: Value| {
        let mut project = herbarium();
        project["options"]["languages"] = languages;
        let data = json!({
            "cc.projects": {"<project>": project}, "definitions": {}, "classes": {}, "fields": {}, "layouts": {}
        });
        fixture.assert_answer(answer, false, json!({"project": "<project>"}), data);
    };
    for (user, call, code, languages) in [
        (&fixture.ann, "add", "de", json!(["en", "nl", "de"])),
        (
            &fixture.ben,
            "add",
            "nl-be",
            json!(["en", "nl", "de", "nl-be"]),
        ),
        (
            &fixture.program,
            "add",
            "aa",
            json!(["en", "nl", "de", "nl-be", "aa"]),
        ),
        (
            &fixture.ben,
            "remove",
            "en",
            json!(["nl", "de", "nl-be", "aa"]),
        ),
        (
            &fixture.ann,
            "add",
            "en",
            json!(["nl", "de", "nl-be", "aa", "en"]),
        ),
        (
            &fixture.program,
            "remove",
            "nl-be",
            json!(["nl", "de", "aa", "en"]),
        ),
    ] {
        assert_languages(
            &language(user, &fixture.project, call, code).await,
            languages,
        );
    }
    assert_eq!(
        options(&fixture.ben, &fixture.project).await["languages"],
        json!(["nl", "de", "aa", "en"])
    );
}

async fn language_that_cannot_be_is_unprocessable(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    language(&fixture.ann, &fixture.project, "remove", "nl")
        .await
        .success();
    let before = cursor(&fixture.ann).await;
    let unknown = ["", "EN", "xx", "english", "nl_be", " nl", "nl\u{0}"];
    for code in unknown {
        language(&fixture.ann, &fixture.project, "add", code)
            .await
            .assert_unprocessable("unknown_language");
    }
    for code in unknown.into_iter().chain(["nl"]) {
        language(&fixture.ann, &fixture.project, "remove", code)
            .await
            .assert_unprocessable("not_there");
    }
    language(&fixture.ann, &fixture.project, "add", "en")
        .await
        .assert_unprocessable("already_there");
    language(&fixture.ann, &fixture.project, "remove", "en")
        .await
        .assert_unprocessable("last_one");
    assert_eq!(cursor(&fixture.ann).await, before);
    assert_eq!(
        options(&fixture.ann, &fixture.project).await["languages"],
        json!(["en"])
    );
}

async fn item_is_made_renamed_and_deleted(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    for list in &LISTS {
        for user in [&fixture.ann, &fixture.ben, &fixture.program] {
            let created = list
                .call(
                    user,
                    &fixture.project,
                    "create",
                    &json!({"name": " Web\t", "gid": UNKNOWN_GID}),
                )
                .await;
            let gid = created.json()["result"][list.one]
                .as_str()
                .expect("an id")
                .to_owned();
            assert!(gid.parse::<doorward_domain::Gid>().is_ok() && gid != UNKNOWN_GID);
            let expected = |name: &str| {
                let mut project = herbarium();
                project["options"][list.path][&gid] = json!(name);
                project["options"][list.order]
                    .as_array_mut()
                    .expect("a list")
                    .push(json!(gid));
                json!({"cc.projects": {"<project>": project}})
            };
            let result = list.item(&gid, &[("project", "<project>")]);
            fixture.assert_answer(&created, false, result, expected("Web"));
            // Names need not be unique.
            let body = list.item(&gid, &[("name", " Main channel ")]);
            let renamed = list.call(user, &fixture.project, "update", &body).await;
            fixture.assert_answer(
                &renamed,
                false,
                json!({"project": "<project>"}),
                expected("Main channel"),
            );
            fixture.assert_answer(
                &about(user, "get", &fixture.project).await,
                false,
                json!({"project": "<project>"}),
                expected("Main channel"),
            );
            let deleted = list
                .call(user, &fixture.project, "delete", &list.item(&gid, &[]))
                .await;
            fixture.assert_project(&deleted, |_| ());
            list.call(user, &fixture.project, "delete", &list.item(&gid, &[]))
                .await
                .assert_unprocessable("not_there");
        }
    }
}

async fn names_are_trimmed_and_required(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let longest = "\u{1f33f}".repeat(200);
    for list in &LISTS {
        let gid = list.create(&fixture.ann, &fixture.project, "x").await;
        let bodies = |name: &str| {
            [
                ("create", json!({"name": name})),
                ("update", list.item(&gid, &[("name", name)])),
            ]
        };
        for (call, body) in bodies(&format!(" {longest}\n")) {
            let (_, data) = list
                .call(&fixture.ann, &fixture.project, call, &body)
                .await
                .success();
            let names = &data["cc.projects"][&fixture.project]["options"][list.path];
            assert!(
                names
                    .as_object()
                    .expect("names")
                    .values()
                    .any(|name| *name == json!(longest))
            );
        }
        let before = cursor(&fixture.ann).await;
        let too_long = format!("{longest}x");
        for (name, reason) in [
            ("", "invalid"),
            (" \n", "invalid"),
            ("a\u{0}b", "invalid"),
            ("a\u{85}b", "invalid"),
            (&too_long, "too_long"),
        ] {
            for (call, body) in bodies(name) {
                list.call(&fixture.ann, &fixture.project, call, &body)
                    .await
                    .assert_validation_error("name", reason);
            }
        }
        assert_eq!(cursor(&fixture.ann).await, before);
    }
}

async fn item_moves_before_another_or_to_the_end(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    for list in &LISTS {
        let mut ids = list.order(&fixture.ann, &fixture.project).await;
        for name in ["1", "2", "3"] {
            ids.push(list.create(&fixture.ann, &fixture.project, name).await);
        }
        let reorder = async |user: &User, item: usize, before: Option<usize>| {
            let more: Vec<(&str, &str)> = before
                .iter()
                .map(|before| (list.before, ids[*before].as_str()))
                .collect();
            let answer = list
                .call(
                    user,
                    &fixture.project,
                    "move",
                    &list.item(&ids[item], &more),
                )
                .await;
            let (result, data) = answer.success();
            assert_eq!(
                (result, answer.header("authorization")),
                (json!({"project": fixture.project}), None)
            );
            let entry = &data["cc.projects"][&fixture.project];
            assert_json_eq(
                entry,
                &about(user, "get", &fixture.project).await.success().1["cc.projects"]
                    [&fixture.project],
            );
            let order = list.ids(&entry["options"]);
            order
                .iter()
                .map(|id| ids.iter().position(|other| other == id).expect("known"))
                .collect::<Vec<_>>()
        };
        let ann = &fixture.ann;
        let ben = &fixture.ben;
        let robot = &fixture.program;
        for (user, item, before, expected) in [
            (ann, 0, None, [1, 2, 3, 0]),
            (ben, 3, Some(1), [3, 1, 2, 0]),
            (robot, 0, Some(2), [3, 1, 0, 2]),
            (ann, 1, Some(1), [3, 1, 0, 2]),
            (ann, 1, Some(0), [3, 1, 0, 2]),
            (ann, 2, None, [3, 1, 0, 2]),
            (ann, 2, Some(3), [2, 3, 1, 0]),
            (ann, 3, None, [2, 1, 0, 3]),
            (ann, 2, Some(3), [1, 0, 2, 3]),
        ] {
            assert_eq!(
                reorder(user, item, before).await,
                expected,
                "{} {item} {before:?}",
                list.path
            );
        }
        // A new item is the last, also after the deletion of another one.
        list.call(ann, &fixture.project, "delete", &list.item(&ids[0], &[]))
            .await
            .success();
        let new = list.create(ann, &fixture.project, "4").await;
        let expected = [&ids[1], &ids[2], &ids[3], &new].map(Clone::clone);
        assert_eq!(list.order(ann, &fixture.project).await, expected);
    }
}

async fn several_are_deleted_or_none(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    for list in &LISTS {
        let mut ids = list.order(&fixture.ann, &fixture.project).await;
        for name in ["1", "2", "3", "4"] {
            ids.push(list.create(&fixture.ann, &fixture.project, name).await);
        }
        let delete = async |body: Value| {
            list.call(&fixture.ann, &fixture.project, "delete", &body)
                .await
        };
        for bad in [
            json!([ids[1], UNKNOWN_GID]),
            json!([UNKNOWN_GID]),
            json!([ids[1], fixture.project]),
        ] {
            delete(json!({list.path: bad}))
                .await
                .assert_unprocessable("not_there");
        }
        delete(json!({list.path: [ids[1], "x"]}))
            .await
            .assert_bad_parameter("Invalid parameter", list.path);
        delete(json!({list.path: []})).await.success();
        assert_eq!(list.order(&fixture.ann, &fixture.project).await, ids);
        // A repeated id counts once. If both parameters are given, only the single item is deleted.
        let (result, data) = delete(json!({list.path: [ids[3], ids[1], ids[3]]}))
            .await
            .success();
        assert_eq!(result, json!({"project": fixture.project}));
        assert_eq!(
            list.ids(&data["cc.projects"][&fixture.project]["options"]),
            [&*ids[0], &ids[2], &ids[4]]
        );
        delete(json!({list.one: ids[4], list.path: [ids[0], ids[2]]}))
            .await
            .success();
        assert_eq!(
            list.order(&fixture.ann, &fixture.project).await,
            [&*ids[0], &ids[2]]
        );
        delete(json!({list.one: ids[2], list.path: 1}))
            .await
            .success();
    }
}

async fn built_in_channel_cannot_be_changed(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let [channels, orderings, fieldlists] = &LISTS;
    let main = channels
        .order(&fixture.ann, &fixture.project)
        .await
        .remove(0);
    let before = cursor(&fixture.ann).await;
    for (call, body) in [
        (
            "update",
            json!({"channel": "__all__", "name": "Some records"}),
        ),
        ("move", json!({"channel": "__all__"})),
        (
            "move",
            json!({"channel": "__all__", "before_channel": main}),
        ),
        (
            "move",
            json!({"channel": main, "before_channel": "__all__"}),
        ),
        ("delete", json!({"channel": "__all__"})),
        ("delete", json!({"channels": [main, "__all__"]})),
    ] {
        channels
            .call(&fixture.ann, &fixture.project, call, &body)
            .await
            .assert_unprocessable("not_there");
    }
    // In the other lists, `__all__` is not a valid id.
    for list in [orderings, fieldlists] {
        let body = list.item("__all__", &[("name", "x")]);
        for call in ["update", "move", "delete"] {
            let answer = list.call(&fixture.ann, &fixture.project, call, &body).await;
            answer.assert_bad_parameter("Invalid parameter", list.one);
        }
    }
    assert_eq!(cursor(&fixture.ann).await, before);
    // All other channels can be deleted.
    let (_, data) = channels
        .call(
            &fixture.ann,
            &fixture.project,
            "delete",
            &json!({"channel": main}),
        )
        .await
        .success();
    let options = &data["cc.projects"][&fixture.project]["options"];
    assert_eq!(options["orderedchannels"], json!(["__all__"]));
    assert_eq!(options["channels"], json!({"__all__": "[all records]"}));
}

async fn last_ordering_and_fieldlist_stay(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    for list in &LISTS[1..] {
        let main = list.order(&fixture.ann, &fixture.project).await.remove(0);
        let other = list.create(&fixture.ann, &fixture.project, "Other").await;
        let delete = async |body: Value| {
            list.call(&fixture.ann, &fixture.project, "delete", &body)
                .await
        };
        delete(json!({list.path: [main, other]}))
            .await
            .assert_unprocessable("last_one");
        delete(json!({list.one: main})).await.success();
        delete(json!({list.one: other}))
            .await
            .assert_unprocessable("last_one");
        delete(json!({list.path: [other, other]}))
            .await
            .assert_unprocessable("last_one");
        assert_eq!(list.order(&fixture.ann, &fixture.project).await, [other]);
    }
}

async fn missing_items_are_unprocessable(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let other = fixture
        .app
        .installation
        .create_project("ann", "Atlas")
        .await;
    let theirs = options(&fixture.ann, &other).await;
    let own = options(&fixture.ann, &fixture.project).await;
    for (number, list) in LISTS.iter().enumerate() {
        let main = &list.ids(&own)[0];
        // Ids of no item, of an item of another project, of another list, and of the project
        // itself, and a text that is no id.
        let elsewhere = &LISTS[(number + 1) % 3];
        for gid in [
            UNKNOWN_GID,
            &list.ids(&theirs)[0],
            &elsewhere.ids(&own)[0],
            &fixture.project,
            &"0".repeat(8),
        ] {
            let is_invalid = gid.len() == 8;
            for (call, body, name) in [
                ("update", list.item(gid, &[("name", "")]), list.one),
                ("move", list.item(gid, &[]), list.one),
                ("move", list.item(gid, &[(list.before, main)]), list.one),
                ("move", list.item(main, &[(list.before, gid)]), list.before),
                ("delete", list.item(gid, &[]), list.one),
            ] {
                let answer = list.call(&fixture.ann, &fixture.project, call, &body).await;
                if is_invalid {
                    answer.assert_bad_parameter("Invalid parameter", name);
                } else {
                    answer.assert_unprocessable("not_there");
                }
            }
        }
    }
    fixture.assert_project(&about(&fixture.ann, "get", &fixture.project).await, |_| ());
}

async fn list_has_at_most_a_thousand_items(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let numbers = match backend {
        Backend::Postgres => {
            "SELECT n, lpad(n::text, 12, '0') AS digits FROM generate_series(2, 999) AS numbers(n)"
        }
        Backend::Sqlite => {
            "WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < 999) \
             SELECT n, printf('%012d', n) AS digits FROM c"
        }
    };
    for list in &LISTS {
        let sql = format!(
            "INSERT INTO project_items (project_gid, kind, gid, name, position) \
             SELECT '{}', '{}', '00000000-0000-4000-8000-' || digits, 'Item', n + 10 FROM ({numbers}) AS numbers",
            fixture.project, list.one
        );
        execute(&fixture.app.installation.databases.directory, &sql);
        let last = list
            .create(&fixture.ann, &fixture.project, "The last")
            .await;
        for name in ["One more", ""] {
            let more = list
                .call(
                    &fixture.ann,
                    &fixture.project,
                    "create",
                    &json!({"name": name}),
                )
                .await;
            more.assert_unprocessable("too_many");
        }
        let order = list.order(&fixture.ann, &fixture.project).await;
        assert_eq!((order.len(), order.last()), (1000, Some(&last)));
        let first = list.item(&last, &[(list.before, &order[0])]);
        list.call(&fixture.ann, &fixture.project, "move", &first)
            .await
            .success();
        let moved = list.order(&fixture.ann, &fixture.project).await;
        assert_eq!((&moved[0], &moved[1..]), (&last, &order[..999]));
        let all_but_one = json!({list.path: order[..999]});
        list.call(&fixture.ann, &fixture.project, "delete", &all_but_one)
            .await
            .success();
        assert_eq!(list.order(&fixture.ann, &fixture.project).await, [last]);
    }
}

async fn first_bad_parameter_is_reported(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let missing = "Missing parameter";
    let invalid = "Invalid parameter";
    let bad = [json!(null), json!(1), json!(false), json!(["x"]), json!({})];
    // Parameters are checked before permissions, so callers without access get the same errors.
    for user in [&fixture.ann, &fixture.cas] {
        for call in ["add", "remove"] {
            let path = format!("/api/p/{}/languages/{call}", fixture.project);
            user.call(&path, &json!({"languages": ["nl"]}))
                .await
                .assert_bad_parameter(missing, "language");
            for bad in &bad {
                user.call(&path, &json!({"language": bad}))
                    .await
                    .assert_bad_parameter(invalid, "language");
            }
        }
        for list in &LISTS {
            let call = async |call: &str, body: Value| {
                list.call(user, &fixture.project, call, &body).await
            };
            call("create", json!({}))
                .await
                .assert_bad_parameter(missing, "name");
            for (path, others) in [
                ("update", json!({"name": 1})),
                ("move", json!({list.before: 1})),
            ] {
                call(path, others.clone())
                    .await
                    .assert_bad_parameter(missing, list.one);
                for bad in &bad {
                    let mut body = others.clone();
                    body[list.one] = bad.clone();
                    call(path, body)
                        .await
                        .assert_bad_parameter(invalid, list.one);
                }
            }
            call("update", list.item(UNKNOWN_GID, &[]))
                .await
                .assert_bad_parameter(missing, "name");
            call("delete", json!({}))
                .await
                .assert_bad_parameter(missing, list.one);
            for bad in &bad {
                call("create", json!({"name": bad}))
                    .await
                    .assert_bad_parameter(invalid, "name");
                let mut body = list.item(UNKNOWN_GID, &[]);
                body["name"] = bad.clone();
                call("update", body)
                    .await
                    .assert_bad_parameter(invalid, "name");
                let mut body = list.item(UNKNOWN_GID, &[]);
                body[list.before] = bad.clone();
                call("move", body)
                    .await
                    .assert_bad_parameter(invalid, list.before);
                call("delete", json!({list.one: bad, list.path: [UNKNOWN_GID]}))
                    .await
                    .assert_bad_parameter(invalid, list.one);
                call("delete", json!({list.path: bad}))
                    .await
                    .assert_bad_parameter(invalid, list.path);
            }
            for several in [
                json!("x"),
                json!([1]),
                json!([null]),
                json!([UNKNOWN_GID, ["x"]]),
            ] {
                call("delete", json!({list.path: several}))
                    .await
                    .assert_bad_parameter(invalid, list.path);
            }
        }
    }
    for (path, body) in all_calls(UNKNOWN_GID) {
        for project in ["x", "__all__", "%27"] {
            let answer = fixture
                .ann
                .call(&format!("/api/p/{project}/{path}"), &body)
                .await;
            answer.assert_bad_parameter(invalid, "project");
        }
        let get = fixture
            .app
            .http
            .get(&format!("/api/p/{}/{path}", fixture.project))
            .bearer(&fixture.ann.token)
            .send()
            .await;
        get.assert_error(405, "Method not allowed", &json!({}));
    }
}

/// Returns each call with valid parameters.
fn all_calls(item: &str) -> Vec<(String, Value)> {
    let mut calls: Vec<(String, Value)> = ["add", "remove"]
        .map(|call| (format!("languages/{call}"), json!({"language": "nl"})))
        .into();
    for list in &LISTS {
        calls.extend(["create", "update", "move", "delete"].map(|call| {
            (
                format!("{}/{call}", list.path),
                list.item(item, &[("name", "x"), (list.before, item)]),
            )
        }));
    }
    calls
}

async fn calls_require_active_membership(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let before = cursor(&fixture.ann).await;
    for (path, body) in all_calls(UNKNOWN_GID) {
        let path_in = |project: &str| format!("/api/p/{project}/{path}");
        fixture
            .app
            .http
            .post(&path_in(&fixture.project))
            .json(&body)
            .send()
            .await
            .assert_unauthenticated();
        fixture
            .app
            .http
            .post(&path_in(&fixture.project))
            .bearer("garbage")
            .json(&body)
            .send()
            .await
            .assert_unauthenticated();
        fixture
            .cas
            .call(&path_in(&fixture.project), &body)
            .await
            .assert_forbidden();
        fixture
            .cas
            .call(&path_in(UNKNOWN_GID), &body)
            .await
            .assert_forbidden();
        fixture
            .ann
            .call(&path_in(UNKNOWN_GID), &body)
            .await
            .assert_forbidden();
    }
    assert_eq!(cursor(&fixture.ann).await, before);
    for status in ["invited", "declined", "inactive"] {
        let sql = format!(
            "UPDATE memberships SET status = '{status}' WHERE user_gid = '{}'",
            fixture.ben.gid
        );
        execute(&fixture.app.installation.databases.directory, &sql);
        for (path, body) in all_calls(UNKNOWN_GID) {
            fixture
                .ben
                .call(&format!("/api/p/{}/{path}", fixture.project), &body)
                .await
                .assert_forbidden();
        }
    }
    // An API user has access only to its own project.
    let other = fixture
        .app
        .installation
        .create_project("ann", "Atlas")
        .await;
    for (path, body) in all_calls(UNKNOWN_GID) {
        fixture
            .program
            .call(&format!("/api/p/{other}/{path}"), &body)
            .await
            .assert_forbidden();
    }
}

async fn every_change_moves_the_feed_and_nothing_else_does(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ann = &fixture.ann;
    let project = fixture.project.as_str();
    let mut now = cursor(ann).await;
    for (call, code, rows) in [
        ("add", "de", 1),
        ("add", "de", 0),
        ("add", "xx", 0),
        ("remove", "en", 1),
        ("remove", "en", 0),
        ("remove", "nl", 1),
        ("remove", "de", 0),
    ] {
        language(ann, project, call, code).await;
        now += rows;
        assert_eq!(cursor(ann).await, now, "{call} {code}");
    }
    for list in &LISTS {
        let main = list.order(ann, project).await.remove(0);
        let other = list.create(ann, project, "Other").await;
        now += 1;
        for (call, body, rows) in [
            ("create", json!({"name": ""}), 0),
            ("update", list.item(&other, &[("name", " Other ")]), 0),
            ("update", list.item(&other, &[("name", "Another")]), 1),
            ("move", list.item(&other, &[]), 0),
            ("move", list.item(&main, &[(list.before, &other)]), 0),
            ("move", list.item(&main, &[]), 1),
            ("move", list.item(&main, &[(list.before, UNKNOWN_GID)]), 0),
            ("delete", json!({list.path: []}), 0),
            ("delete", json!({list.path: [main, UNKNOWN_GID]}), 0),
            ("delete", list.item(&main, &[]), 1),
            ("delete", list.item(&main, &[]), 0),
        ] {
            list.call(ann, project, call, &body).await;
            now += rows;
            assert_eq!(cursor(ann).await, now, "{} {call} {body}", list.path);
        }
        assert_ne!(main, list.main);
    }
}

/// Number of concurrent calls of each kind.
const CONCURRENT_CALLS: usize = 20;

/// Sends calls concurrently and waits for all responses.
async fn send_all(calls: impl Iterator<Item = (User, String, Value)>) -> Vec<Response> {
    let calls = calls.map(|(user, path, body)| async move { user.call(&path, &body).await });
    let answers = futures_util::future::join_all(calls.map(tokio::spawn)).await;
    answers
        .into_iter()
        .map(|answer| answer.expect("an answer"))
        .collect()
}

/// Uses two directories on one PostgreSQL database. SQLite allows only one process, so there two
/// gateways use the same directory.
async fn nothing_is_lost_when_two_members_change_at_once(backend: Backend) {
    let split = Services::with(backend, &[MANY_WRITES]).await;
    let ann = split.user("ann").await;
    let ben = split.user("ben").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    split.installation.add_member(&project, "ben").await;
    let second = match backend {
        Backend::Postgres => Some(split.start_replica(Role::Directory, &[]).await),
        Backend::Sqlite => None,
    };
    let url = second
        .as_ref()
        .map_or_else(|| split.directory.clone(), |second| second.address.clone());
    let url = format!("http://{url}");
    let gateway = split
        .start_replica(Role::Gateway, &[("DOORWARD_DIRECTORY_URL", &url)])
        .await;
    let here = |number: usize| -> User {
        let (user, http): (&User, Http) = if number.is_multiple_of(2) {
            (&ann, split.http.clone())
        } else {
            (&ben, gateway.http())
        };
        User {
            gid: user.gid.clone(),
            username: user.username.clone(),
            token: user.token.clone(),
            http,
        }
    };
    let before = cursor(&ann).await;
    for list in &LISTS {
        let path = |call: &str| format!("/api/p/{project}/{}/{call}", list.path);
        let created = send_all((0..CONCURRENT_CALLS).map(|n| {
            (
                here(n),
                path("create"),
                json!({"name": format!("Item {n}")}),
            )
        }))
        .await;
        let created: Vec<String> = created
            .iter()
            .map(|created| {
                created.success().0[list.one]
                    .as_str()
                    .expect("an id")
                    .to_owned()
            })
            .collect();
        let order = list.order(&ann, &project).await;
        assert_eq!(order.len(), CONCURRENT_CALLS + 1);
        assert_eq!(
            order[1..].iter().collect::<BTreeSet<_>>(),
            created.iter().collect::<BTreeSet<_>>()
        );

        let renames = created.iter().enumerate();
        let renames = renames.map(|(n, gid)| {
            (
                here(n),
                path("update"),
                list.item(gid, &[("name", &format!("New {n}"))]),
            )
        });
        send_all(renames)
            .await
            .iter()
            .for_each(|answer| drop(answer.success()));
        let names = options(&ben, &project).await[list.path].clone();
        for (n, gid) in created.iter().enumerate() {
            assert_eq!(names[gid], json!(format!("New {n}")));
        }
        // Each item is moved to the place before the main item. The calls run in any order, but
        // afterwards the main item is the last and no item is lost.
        let moves = created.iter().enumerate();
        let moves = moves.map(|(n, gid)| {
            (
                here(n),
                path("move"),
                list.item(gid, &[(list.before, &order[0])]),
            )
        });
        let answers = send_all(moves).await;
        let after = list.order(&ann, &project).await;
        assert_eq!(after.last(), Some(&order[0]));
        assert_eq!(
            after.iter().collect::<BTreeSet<_>>(),
            order.iter().collect::<BTreeSet<_>>()
        );
        // The last call sees the effect of all others, so one of the responses has the final order.
        let seen =
            |answer: &Response| list.ids(&answer.success().1["cc.projects"][&project]["options"]);
        assert!(answers.iter().any(|answer| seen(answer) == after));
        assert_eq!(list.order(&here(1), &project).await, after);
    }
    let codes = [
        "nb", "de", "fr", "es", "it", "pt", "da", "sv", "fi", "pl", "cs", "sk", "hu", "ro", "bg",
        "el", "tr", "ja", "zh", "ko",
    ];
    let add = format!("/api/p/{project}/languages/add");
    let added = send_all(
        codes
            .iter()
            .enumerate()
            .map(|(n, code)| (here(n), add.clone(), json!({"language": code}))),
    )
    .await;
    added.iter().for_each(|answer| drop(answer.success()));
    let languages = options(&ann, &project).await["languages"].clone();
    let added_codes: BTreeSet<&str> = languages
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        (added_codes.len(), &languages[0]),
        (CONCURRENT_CALLS + 2, &json!("en"))
    );
    assert!(codes.iter().all(|code| added_codes.contains(code)));
    // If all add the same language, one succeeds. If all languages are removed, one call fails,
    // because a project must have a language.
    let same =
        send_all((0..CONCURRENT_CALLS).map(|n| (here(n), add.clone(), json!({"language": "aa"}))))
            .await;
    assert_eq!(same.iter().filter(|answer| answer.status == 200).count(), 1);
    same.iter()
        .filter(|answer| answer.status != 200)
        .for_each(|answer| answer.assert_unprocessable("already_there"));
    let remove = format!("/api/p/{project}/languages/remove");
    let every: Vec<String> = added_codes
        .iter()
        .map(|code| (*code).to_owned())
        .chain(["aa".to_owned()])
        .collect();
    let removed = send_all(
        every
            .iter()
            .enumerate()
            .map(|(n, code)| (here(n), remove.clone(), json!({"language": code}))),
    )
    .await;
    let rejected: Vec<&Response> = removed
        .iter()
        .filter(|answer| answer.status != 200)
        .collect();
    assert_eq!(rejected.len(), 1);
    rejected[0].assert_unprocessable("last_one");
    assert_eq!(
        options(&ben, &project).await["languages"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let changes = 3 * 3 * CONCURRENT_CALLS + CONCURRENT_CALLS + 1 + CONCURRENT_CALLS + 2;
    assert!(
        cursor(&ann).await <= before + i64::try_from(changes).expect("few"),
        "the feed must have at most one row per change"
    );
}
