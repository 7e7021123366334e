//! Makes complete responses comparable between runs: random ids and cursors are replaced by names
//! and placeholders.

use serde_json::{Value, json};

/// Returns the value with every occurrence of these ids replaced by its name.
#[must_use]
pub fn with_names(value: &Value, names: &[(&str, &str)]) -> Value {
    let text = names
        .iter()
        .fold(value.to_string(), |text, (id, name)| text.replace(id, name));
    serde_json::from_str(&text).expect("still JSON")
}

/// Returns a project's init with the replacements of [`redact`] and placeholders for the ids of the
/// project's options.
#[must_use]
pub fn redact_project(answer: &Value, names: &[(&str, &str)]) -> Value {
    let cursor = &answer["result"]["cursor"];
    assert!(
        cursor.as_i64().is_some_and(|cursor| cursor >= 0),
        "cursor {cursor}"
    );
    let project = answer["result"]["project"].as_str().expect("a project");
    let options = &answer["data"]["cc.projects"][project]["options"];
    let id =
        |list: &str, position: usize| options[list][position].as_str().expect("an id").to_owned();
    let ids = [
        id("orderedchannels", 1),
        id("orderedorderings", 0),
        id("orderedfieldlists", 0),
    ];
    assert!(
        ids.iter()
            .all(|id| id.parse::<doorward_domain::Gid>().is_ok()),
        "{ids:?}"
    );
    assert!(
        ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2],
        "{ids:?}"
    );
    let ids = ids
        .iter()
        .map(String::as_str)
        .zip(["<channel>", "<ordering>", "<fieldlist>"]);
    let mut answer = redact(&with_names(answer, &ids.collect::<Vec<_>>()), names);
    answer["result"]["cursor"] = json!("<cursor>");
    // The caller is first. The contract does not define the order of the other members.
    let members = answer["result"]["project_members"]
        .as_array_mut()
        .expect("a list");
    members[1..].sort_by_key(Value::to_string);
    answer
}

/// Returns an init with placeholders for the cursor, the version and the long list of languages.
/// Memberships are sorted, because the contract does not define their order.
#[must_use]
pub fn redact(answer: &Value, names: &[(&str, &str)]) -> Value {
    let mut answer = with_names(answer, names);
    let cursor = &mut answer["result"]["cc.cursor"];
    assert!(
        cursor.as_i64().is_some_and(|cursor| cursor >= 0),
        "cc.cursor {cursor}"
    );
    *cursor = json!("<cursor>");
    let version = &mut answer["result"]["cc.version"];
    assert!(is_release(version), "cc.version {version}");
    *version = json!("<version>");
    let languages = &mut answer["data"]["cc.languages"];
    assert_eq!(languages["nl"], json!("Dutch"));
    *languages = json!("<languages>");
    if let Some(memberships) = answer["data"]["cc.projects_members"].as_array_mut() {
        memberships.sort_by_key(|membership| {
            format!("{} {}", membership["project_gid"], membership["user_gid"])
        });
    }
    answer
}

/// Returns whether a value has the form of an API version, `YYYY.MM.NNN`.
#[must_use]
pub fn is_release(version: &Value) -> bool {
    let parts: Vec<&str> = version.as_str().unwrap_or_default().split('.').collect();
    parts.iter().map(|part| part.len()).eq([4, 2, 3])
        && parts
            .iter()
            .all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Asserts that two values are equal, with a message that shows both in full.
pub fn assert_json_eq(actual: &Value, expected: &Value) {
    assert!(actual == expected, "got {actual:#}\nexpected {expected:#}");
}
