//! Compares the OpenAPI document with the routes of `app.rs`, whose source text is parsed here: the
//! comments `Without a token` and `With a token` in it are significant.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

const ROUTES: &str = include_str!("../app.rs");

/// Methods of a route, and whether it requires a token.
type Route = (&'static [&'static str], bool);

/// Parses the lists of routes; returns them by path.
fn routes() -> BTreeMap<String, Route> {
    let mut prefix = "";
    let mut needs_token = false;
    let mut routes = BTreeMap::new();
    for line in ROUTES.lines().map(str::trim) {
        match line {
            "fn project_routes(config: &mut ServiceConfig) {" => prefix = "/api/p/{project}",
            "// Without a token." => needs_token = false,
            "// With a token." => needs_token = true,
            _ => {}
        }
        let Some((function, rest)) = line
            .strip_prefix(".service(")
            .and_then(|line| line.split_once("(\""))
        else {
            continue;
        };
        let methods: &[&str] = match function {
            "get" => &["get", "head"],
            "post" => &["post"],
            "get_or_post" => &["get", "post", "head"],
            "change" => {
                assert!(needs_token, "a write budget needs a user: {line}");
                &["post"]
            }
            "web::scope" => continue,
            other => panic!("{other}"),
        };
        let (path, _) = rest.split_once('"').unwrap();
        let earlier = routes.insert(format!("{prefix}{path}"), (methods, needs_token));
        assert_eq!(earlier, None, "{path} is listed twice");
    }
    routes
}

fn document() -> Value {
    serde_json::from_str(&openapi_json().unwrap()).unwrap()
}

/// Returns path, method and operation of each operation of the document.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, one)| (&**path, &**method, one))
        })
        .collect()
}

#[test]
fn document_matches_the_route_list() {
    let document = document();
    let routes = routes();
    let lines = ROUTES
        .lines()
        .filter(|line| line.trim().starts_with(".service("))
        .count();
    assert_eq!(
        routes.len(),
        lines - 1,
        "a line other than the scope was not parsed"
    );
    let mut described: BTreeMap<String, (Vec<&str>, bool)> = BTreeMap::new();
    for (path, method, operation) in operations(&document) {
        let entry = described.entry(path.to_owned()).or_default();
        entry.0.push(method);
        entry.1 = operation.get("security").is_some();
        assert_eq!(
            entry.1,
            operation["responses"].get("401").is_some(),
            "{method} {path}"
        );
    }
    let listed: BTreeMap<_, _> = routes
        .into_iter()
        .map(|(path, (methods, token))| (path, (methods.to_vec(), token)))
        .collect();
    assert_eq!(described, listed);
}

#[test]
fn every_write_call_documents_429() {
    let document = document();
    let changes = ROUTES
        .lines()
        .filter_map(|line| line.trim().strip_prefix(".service(change(\""));
    let changes: Vec<&str> = changes
        .filter_map(|rest| Some(rest.split_once('"')?.0))
        .collect();
    assert!(changes.len() > 30, "{changes:?}");
    for path in changes {
        let path = if path.starts_with("/api/") {
            path.to_owned()
        } else {
            format!("/api/p/{{project}}{path}")
        };
        let responses = &document["paths"][&path]["post"]["responses"];
        assert!(responses.get("429").is_some(), "{path}: {responses}");
    }
}

#[test]
fn operation_ids_are_unique_and_tags_exist() {
    let document = document();
    let mut names: Vec<&str> = operations(&document)
        .iter()
        .map(|(.., one)| one["operationId"].as_str().unwrap())
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for (path, _, operation) in operations(&document) {
        let section = operation["tags"][0].as_str().unwrap();
        assert!(
            calls::SECTIONS.iter().any(|(name, _)| *name == section),
            "{path}: {section}"
        );
    }
}

#[test]
fn every_reference_resolves() {
    fn walk(value: &Value, document: &Value) {
        if let Some(reference) = value.get("$ref") {
            let pointer = reference.as_str().unwrap().trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        match value {
            Value::Object(members) => members.values().for_each(|member| walk(member, document)),
            Value::Array(items) => items.iter().for_each(|item| walk(item, document)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    walk(&document, &document);
}

#[test]
fn request_schemas_are_open_and_response_schemas_closed() {
    let document = document();
    for (path, _, operation) in operations(&document) {
        for content in operation
            .pointer("/requestBody/content")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            assert_eq!(
                content.1["schema"].get("additionalProperties"),
                None,
                "{path}"
            );
        }
        let schema = operation.pointer("/responses/200/content/application~1json/schema");
        if let Some(envelope) = schema.filter(|schema| schema.get("properties").is_some()) {
            for closed in ["", "/properties/result", "/properties/data"] {
                assert_eq!(
                    envelope.pointer(closed).unwrap()["additionalProperties"],
                    Value::Bool(false),
                    "{path}"
                );
            }
        }
    }
}

#[test]
fn document_names_its_version_and_the_release() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(
        document["info"]["version"],
        doorward_domain::version::current_release()
    );
    assert_eq!(
        document["components"]["securitySchemes"]["token"]["scheme"],
        "bearer"
    );
}

#[test]
fn page_has_every_call_and_no_external_resources() {
    let page = page::render(&calls::all());
    for path in routes().keys() {
        assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
    }
    for foreign in ["<script", "src=", "http://", "https://", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}
