//! `/api/p/{project}/languages/...`, `/channels/...`, `/orderings/...`, `/fieldlists/...`: what each call answers, and to whom.

use std::collections::BTreeSet;

use doorward_tests::{
    Answer, Backend, Http, MANY_WRITES, Role, Services, User, backend::execute, on_both_databases,
    snapshots::assert_json_eq,
};
use serde_json::{Map, Value, json};

use crate::{
    api_keys::calls::UNKNOWN_GID,
    projects::calls::{Fixture, about, cursor, herbarium, options},
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

/// Of a list: the path, the parameter, the parameter of several, that of another one, and where it stands in the options.
struct List {
    path: &'static str,
    one: &'static str,
    before: &'static str,
    order: &'static str,
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
    async fn call(&self, user: &User, project: &str, call: &str, body: &Value) -> Answer {
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

    /// The parameter with one item, and another one.
    fn item(&self, gid: &str, more: &[(&str, &str)]) -> Value {
        let first = [(self.one.to_owned(), json!(gid))];
        let more = more
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)));
        Value::Object(first.into_iter().chain(more).collect::<Map<_, _>>())
    }

    /// The ids in their order, without that of all records.
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

    async fn order(&self, user: &User, project: &str) -> Vec<String> {
        let options = options(user, project).await;
        let ids = self.ids(&options);
        // Each is named, and nothing else is.
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

async fn language(user: &User, project: &str, call: &str, language: &str) -> Answer {
    user.call(
        &format!("/api/p/{project}/languages/{call}"),
        &json!({"language": language}),
    )
    .await
}

async fn language_is_added_and_removed(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let assert_languages = |answer: &Answer, languages: Value| {
        let mut project = herbarium();
        project["options"]["languages"] = languages;
        let data = json!({
            "cc.projects": {"<project>": project}, "definitions": {}, "classes": {}, "fields": {}, "layouts": {}
        });
        scene.assert_answer(answer, false, json!({"project": "<project>"}), data);
    };
    for (user, call, code, languages) in [
        (&scene.ann, "add", "de", json!(["en", "nl", "de"])),
        (
            &scene.ben,
            "add",
            "nl-be",
            json!(["en", "nl", "de", "nl-be"]),
        ),
        (
            &scene.program,
            "add",
            "aa",
            json!(["en", "nl", "de", "nl-be", "aa"]),
        ),
        (
            &scene.ben,
            "remove",
            "en",
            json!(["nl", "de", "nl-be", "aa"]),
        ),
        (
            &scene.ann,
            "add",
            "en",
            json!(["nl", "de", "nl-be", "aa", "en"]),
        ),
        (
            &scene.program,
            "remove",
            "nl-be",
            json!(["nl", "de", "aa", "en"]),
        ),
    ] {
        assert_languages(&language(user, &scene.project, call, code).await, languages);
    }
    assert_eq!(
        options(&scene.ben, &scene.project).await["languages"],
        json!(["nl", "de", "aa", "en"])
    );
}

async fn language_that_cannot_be_is_unprocessable(backend: Backend) {
    let scene = Fixture::new(backend).await;
    language(&scene.ann, &scene.project, "remove", "nl")
        .await
        .success();
    let before = cursor(&scene.ann).await;
    let unknown = ["", "EN", "xx", "english", "nl_be", " nl", "nl\u{0}"];
    for code in unknown {
        language(&scene.ann, &scene.project, "add", code)
            .await
            .assert_unprocessable("unknown_language");
    }
    for code in unknown.into_iter().chain(["nl"]) {
        language(&scene.ann, &scene.project, "remove", code)
            .await
            .assert_unprocessable("not_there");
    }
    language(&scene.ann, &scene.project, "add", "en")
        .await
        .assert_unprocessable("already_there");
    language(&scene.ann, &scene.project, "remove", "en")
        .await
        .assert_unprocessable("last_one");
    assert_eq!(cursor(&scene.ann).await, before);
    assert_eq!(
        options(&scene.ann, &scene.project).await["languages"],
        json!(["en"])
    );
}

async fn item_is_made_renamed_and_deleted(backend: Backend) {
    let scene = Fixture::new(backend).await;
    for list in &LISTS {
        for user in [&scene.ann, &scene.ben, &scene.program] {
            let made = list
                .call(
                    user,
                    &scene.project,
                    "create",
                    &json!({"name": " Web\t", "gid": UNKNOWN_GID}),
                )
                .await;
            let gid = made.json()["result"][list.one]
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
            scene.assert_answer(&made, false, result, expected("Web"));
            // Two may have one name.
            let body = list.item(&gid, &[("name", " Main channel ")]);
            let renamed = list.call(user, &scene.project, "update", &body).await;
            scene.assert_answer(
                &renamed,
                false,
                json!({"project": "<project>"}),
                expected("Main channel"),
            );
            scene.assert_answer(
                &about(user, "get", &scene.project).await,
                false,
                json!({"project": "<project>"}),
                expected("Main channel"),
            );
            let deleted = list
                .call(user, &scene.project, "delete", &list.item(&gid, &[]))
                .await;
            scene.assert_project(&deleted, |_| ());
            list.call(user, &scene.project, "delete", &list.item(&gid, &[]))
                .await
                .assert_unprocessable("not_there");
        }
    }
}

async fn names_are_trimmed_and_required(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let longest = "\u{1f33f}".repeat(200);
    for list in &LISTS {
        let gid = list.create(&scene.ann, &scene.project, "x").await;
        let bodies = |name: &str| {
            [
                ("create", json!({"name": name})),
                ("update", list.item(&gid, &[("name", name)])),
            ]
        };
        for (call, body) in bodies(&format!(" {longest}\n")) {
            let (_, data) = list
                .call(&scene.ann, &scene.project, call, &body)
                .await
                .success();
            let names = &data["cc.projects"][&scene.project]["options"][list.path];
            assert!(
                names
                    .as_object()
                    .expect("names")
                    .values()
                    .any(|name| *name == json!(longest))
            );
        }
        let before = cursor(&scene.ann).await;
        let too_long = format!("{longest}x");
        for (name, reason) in [
            ("", "invalid"),
            (" \n", "invalid"),
            ("a\u{0}b", "invalid"),
            ("a\u{85}b", "invalid"),
            (&too_long, "too_long"),
        ] {
            for (call, body) in bodies(name) {
                list.call(&scene.ann, &scene.project, call, &body)
                    .await
                    .assert_validation_error("name", reason);
            }
        }
        assert_eq!(cursor(&scene.ann).await, before);
    }
}

async fn item_moves_before_another_or_to_the_end(backend: Backend) {
    let scene = Fixture::new(backend).await;
    for list in &LISTS {
        let mut ids = list.order(&scene.ann, &scene.project).await;
        for name in ["1", "2", "3"] {
            ids.push(list.create(&scene.ann, &scene.project, name).await);
        }
        let reorder = async |user: &User, item: usize, before: Option<usize>| {
            let more: Vec<(&str, &str)> = before
                .iter()
                .map(|before| (list.before, ids[*before].as_str()))
                .collect();
            let answer = list
                .call(user, &scene.project, "move", &list.item(&ids[item], &more))
                .await;
            let (result, data) = answer.success();
            assert_eq!(
                (result, answer.header("authorization")),
                (json!({"project": scene.project}), None)
            );
            let entry = &data["cc.projects"][&scene.project];
            assert_json_eq(
                entry,
                &about(user, "get", &scene.project).await.success().1["cc.projects"]
                    [&scene.project],
            );
            let order = list.ids(&entry["options"]);
            order
                .iter()
                .map(|id| ids.iter().position(|other| other == id).expect("known"))
                .collect::<Vec<_>>()
        };
        let (ann, ben, robot) = (&scene.ann, &scene.ben, &scene.program);
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
        // A new one is the last, also where one has gone.
        list.call(ann, &scene.project, "delete", &list.item(&ids[0], &[]))
            .await
            .success();
        let new = list.create(ann, &scene.project, "4").await;
        let expected = [&ids[1], &ids[2], &ids[3], &new].map(Clone::clone);
        assert_eq!(list.order(ann, &scene.project).await, expected);
    }
}

async fn several_are_deleted_or_none(backend: Backend) {
    let scene = Fixture::new(backend).await;
    for list in &LISTS {
        let mut ids = list.order(&scene.ann, &scene.project).await;
        for name in ["1", "2", "3", "4"] {
            ids.push(list.create(&scene.ann, &scene.project, name).await);
        }
        let delete =
            async |body: Value| list.call(&scene.ann, &scene.project, "delete", &body).await;
        for bad in [
            json!([ids[1], UNKNOWN_GID]),
            json!([UNKNOWN_GID]),
            json!([ids[1], scene.project]),
        ] {
            delete(json!({list.path: bad}))
                .await
                .assert_unprocessable("not_there");
        }
        delete(json!({list.path: [ids[1], "x"]}))
            .await
            .assert_bad_parameter("Invalid parameter", list.path);
        delete(json!({list.path: []})).await.success();
        assert_eq!(list.order(&scene.ann, &scene.project).await, ids);
        // One named twice is one; the one wins over the several.
        let (result, data) = delete(json!({list.path: [ids[3], ids[1], ids[3]]}))
            .await
            .success();
        assert_eq!(result, json!({"project": scene.project}));
        assert_eq!(
            list.ids(&data["cc.projects"][&scene.project]["options"]),
            [&*ids[0], &ids[2], &ids[4]]
        );
        delete(json!({list.one: ids[4], list.path: [ids[0], ids[2]]}))
            .await
            .success();
        assert_eq!(
            list.order(&scene.ann, &scene.project).await,
            [&*ids[0], &ids[2]]
        );
        delete(json!({list.one: ids[2], list.path: 1}))
            .await
            .success();
    }
}

async fn built_in_channel_cannot_be_changed(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let [channels, orderings, fieldlists] = &LISTS;
    let main = channels.order(&scene.ann, &scene.project).await.remove(0);
    let before = cursor(&scene.ann).await;
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
            .call(&scene.ann, &scene.project, call, &body)
            .await
            .assert_unprocessable("not_there");
    }
    // In the other lists it is no id.
    for list in [orderings, fieldlists] {
        let body = list.item("__all__", &[("name", "x")]);
        for call in ["update", "move", "delete"] {
            let answer = list.call(&scene.ann, &scene.project, call, &body).await;
            answer.assert_bad_parameter("Invalid parameter", list.one);
        }
    }
    assert_eq!(cursor(&scene.ann).await, before);
    // All others may go.
    let (_, data) = channels
        .call(
            &scene.ann,
            &scene.project,
            "delete",
            &json!({"channel": main}),
        )
        .await
        .success();
    let options = &data["cc.projects"][&scene.project]["options"];
    assert_eq!(options["orderedchannels"], json!(["__all__"]));
    assert_eq!(options["channels"], json!({"__all__": "[all records]"}));
}

async fn last_ordering_and_fieldlist_stay(backend: Backend) {
    let scene = Fixture::new(backend).await;
    for list in &LISTS[1..] {
        let main = list.order(&scene.ann, &scene.project).await.remove(0);
        let other = list.create(&scene.ann, &scene.project, "Other").await;
        let delete =
            async |body: Value| list.call(&scene.ann, &scene.project, "delete", &body).await;
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
        assert_eq!(list.order(&scene.ann, &scene.project).await, [other]);
    }
}

async fn missing_items_are_unprocessable(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let other = scene.app.installation.create_project("ann", "Atlas").await;
    let theirs = options(&scene.ann, &other).await;
    let own = options(&scene.ann, &scene.project).await;
    for (number, list) in LISTS.iter().enumerate() {
        let main = &list.ids(&own)[0];
        // Of nothing, of another project, of another list of this one.
        let elsewhere = &LISTS[(number + 1) % 3];
        for gid in [
            UNKNOWN_GID,
            &list.ids(&theirs)[0],
            &elsewhere.ids(&own)[0],
            &scene.project,
            &"0".repeat(8),
        ] {
            let invalid = gid.len() == 8;
            for (call, body, name) in [
                ("update", list.item(gid, &[("name", "")]), list.one),
                ("move", list.item(gid, &[]), list.one),
                ("move", list.item(gid, &[(list.before, main)]), list.one),
                ("move", list.item(main, &[(list.before, gid)]), list.before),
                ("delete", list.item(gid, &[]), list.one),
            ] {
                let answer = list.call(&scene.ann, &scene.project, call, &body).await;
                if invalid {
                    answer.assert_bad_parameter("Invalid parameter", name);
                } else {
                    answer.assert_unprocessable("not_there");
                }
            }
        }
    }
    scene.assert_project(&about(&scene.ann, "get", &scene.project).await, |_| ());
}

async fn list_has_at_most_a_thousand_items(backend: Backend) {
    let scene = Fixture::new(backend).await;
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
            scene.project, list.one
        );
        execute(&scene.app.installation.databases.directory, &sql);
        let last = list.create(&scene.ann, &scene.project, "The last").await;
        for name in ["One more", ""] {
            let more = list
                .call(&scene.ann, &scene.project, "create", &json!({"name": name}))
                .await;
            more.assert_unprocessable("too_many");
        }
        let order = list.order(&scene.ann, &scene.project).await;
        assert_eq!((order.len(), order.last()), (1000, Some(&last)));
        let first = list.item(&last, &[(list.before, &order[0])]);
        list.call(&scene.ann, &scene.project, "move", &first)
            .await
            .success();
        let moved = list.order(&scene.ann, &scene.project).await;
        assert_eq!((&moved[0], &moved[1..]), (&last, &order[..999]));
        let all_but_one = json!({list.path: order[..999]});
        list.call(&scene.ann, &scene.project, "delete", &all_but_one)
            .await
            .success();
        assert_eq!(list.order(&scene.ann, &scene.project).await, [last]);
    }
}

async fn first_bad_parameter_is_reported(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let (missing, invalid) = ("Missing parameter", "Invalid parameter");
    let bad = [json!(null), json!(1), json!(false), json!(["x"]), json!({})];
    // Also to who may not.
    for user in [&scene.ann, &scene.cas] {
        for call in ["add", "remove"] {
            let path = format!("/api/p/{}/languages/{call}", scene.project);
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
            let call =
                async |call: &str, body: Value| list.call(user, &scene.project, call, &body).await;
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
            let answer = scene
                .ann
                .call(&format!("/api/p/{project}/{path}"), &body)
                .await;
            answer.assert_bad_parameter(invalid, "project");
        }
        let get = scene
            .app
            .http
            .get(&format!("/api/p/{}/{path}", scene.project))
            .bearer(&scene.ann.token)
            .send()
            .await;
        get.assert_error(405, "Method not allowed", &json!({}));
    }
}

/// Each call, with parameters that would do.
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
    let scene = Fixture::new(backend).await;
    let before = cursor(&scene.ann).await;
    for (path, body) in all_calls(UNKNOWN_GID) {
        let of = |project: &str| format!("/api/p/{project}/{path}");
        scene
            .app
            .http
            .post(&of(&scene.project))
            .json(&body)
            .send()
            .await
            .assert_unauthenticated();
        scene
            .app
            .http
            .post(&of(&scene.project))
            .bearer("garbage")
            .json(&body)
            .send()
            .await
            .assert_unauthenticated();
        scene
            .cas
            .call(&of(&scene.project), &body)
            .await
            .assert_forbidden();
        scene
            .cas
            .call(&of(UNKNOWN_GID), &body)
            .await
            .assert_forbidden();
        scene
            .ann
            .call(&of(UNKNOWN_GID), &body)
            .await
            .assert_forbidden();
    }
    assert_eq!(cursor(&scene.ann).await, before);
    for status in ["invited", "declined", "inactive"] {
        let sql = format!(
            "UPDATE memberships SET status = '{status}' WHERE user_gid = '{}'",
            scene.ben.gid
        );
        execute(&scene.app.installation.databases.directory, &sql);
        for (path, body) in all_calls(UNKNOWN_GID) {
            scene
                .ben
                .call(&format!("/api/p/{}/{path}", scene.project), &body)
                .await
                .assert_forbidden();
        }
    }
    // A program is of its own project alone.
    let other = scene.app.installation.create_project("ann", "Atlas").await;
    for (path, body) in all_calls(UNKNOWN_GID) {
        scene
            .program
            .call(&format!("/api/p/{other}/{path}"), &body)
            .await
            .assert_forbidden();
    }
}

async fn every_change_moves_the_feed_and_nothing_else_does(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let (ann, project) = (&scene.ann, scene.project.as_str());
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

const AT_ONCE: usize = 20;

/// Runs them all at once, and waits for all.
async fn all(calls: impl Iterator<Item = (User, String, Value)>) -> Vec<Answer> {
    let calls = calls.map(|(user, path, body)| async move { user.call(&path, &body).await });
    let answers = futures_util::future::join_all(calls.map(tokio::spawn)).await;
    answers
        .into_iter()
        .map(|answer| answer.expect("an answer"))
        .collect()
}

/// Over two directories and one database; SQLite has one process, and two gateways before it.
async fn nothing_is_lost_when_two_members_change_at_once(backend: Backend) {
    let split = Services::with(backend, &[MANY_WRITES]).await;
    let (ann, ben) = (split.user("ann").await, split.user("ben").await);
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
        let made = all((0..AT_ONCE).map(|n| {
            (
                here(n),
                path("create"),
                json!({"name": format!("Item {n}")}),
            )
        }))
        .await;
        let made: Vec<String> = made
            .iter()
            .map(|made| {
                made.success().0[list.one]
                    .as_str()
                    .expect("an id")
                    .to_owned()
            })
            .collect();
        let order = list.order(&ann, &project).await;
        assert_eq!(order.len(), AT_ONCE + 1);
        assert_eq!(
            order[1..].iter().collect::<BTreeSet<_>>(),
            made.iter().collect::<BTreeSet<_>>()
        );

        let renames = made.iter().enumerate();
        let renames = renames.map(|(n, gid)| {
            (
                here(n),
                path("update"),
                list.item(gid, &[("name", &format!("New {n}"))]),
            )
        });
        all(renames)
            .await
            .iter()
            .for_each(|answer| drop(answer.success()));
        let names = options(&ben, &project).await[list.path].clone();
        for (n, gid) in made.iter().enumerate() {
            assert_eq!(names[gid], json!(format!("New {n}")));
        }
        // Each to the front: whatever their order, each was put there once, and the main one is behind them all.
        let moves = made.iter().enumerate();
        let moves = moves.map(|(n, gid)| {
            (
                here(n),
                path("move"),
                list.item(gid, &[(list.before, &order[0])]),
            )
        });
        let answers = all(moves).await;
        let after = list.order(&ann, &project).await;
        assert_eq!(after.last(), Some(&order[0]));
        assert_eq!(
            after.iter().collect::<BTreeSet<_>>(),
            order.iter().collect::<BTreeSet<_>>()
        );
        // The answer of one of them is what all came to, for the last one saw them all.
        let seen =
            |answer: &Answer| list.ids(&answer.success().1["cc.projects"][&project]["options"]);
        assert!(answers.iter().any(|answer| seen(answer) == after));
        assert_eq!(list.order(&here(1), &project).await, after);
    }
    let codes = [
        "nb", "de", "fr", "es", "it", "pt", "da", "sv", "fi", "pl", "cs", "sk", "hu", "ro", "bg",
        "el", "tr", "ja", "zh", "ko",
    ];
    let add = format!("/api/p/{project}/languages/add");
    let added = all(codes
        .iter()
        .enumerate()
        .map(|(n, code)| (here(n), add.clone(), json!({"language": code}))))
    .await;
    added.iter().for_each(|answer| drop(answer.success()));
    let languages = options(&ann, &project).await["languages"].clone();
    let told: BTreeSet<&str> = languages
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!((told.len(), &languages[0]), (AT_ONCE + 2, &json!("en")));
    assert!(codes.iter().all(|code| told.contains(code)));
    // Of two who add the same, or remove the last two, one is right.
    let same = all((0..AT_ONCE).map(|n| (here(n), add.clone(), json!({"language": "aa"})))).await;
    assert_eq!(same.iter().filter(|answer| answer.status == 200).count(), 1);
    same.iter()
        .filter(|answer| answer.status != 200)
        .for_each(|answer| answer.assert_unprocessable("already_there"));
    let remove = format!("/api/p/{project}/languages/remove");
    let every: Vec<String> = told
        .iter()
        .map(|code| (*code).to_owned())
        .chain(["aa".to_owned()])
        .collect();
    let removed = all(every
        .iter()
        .enumerate()
        .map(|(n, code)| (here(n), remove.clone(), json!({"language": code}))))
    .await;
    let refused: Vec<&Answer> = removed
        .iter()
        .filter(|answer| answer.status != 200)
        .collect();
    assert_eq!(refused.len(), 1);
    refused[0].assert_unprocessable("last_one");
    assert_eq!(
        options(&ben, &project).await["languages"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let changes = 3 * 3 * AT_ONCE + AT_ONCE + 1 + AT_ONCE + 2;
    assert!(
        cursor(&ann).await <= before + i64::try_from(changes).expect("few"),
        "a row for each change at most"
    );
}
