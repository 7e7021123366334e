//! The entries as components.

use serde_json::Value;
use utoipa::openapi::{
    KnownFormat, Object, ObjectBuilder, OneOf, Ref, RefOr, Schema, SchemaFormat, Type,
    schema::{OneOfBuilder, SchemaType},
};

use super::{
    examples,
    field::{list, map, object, of, text, text_or_null},
};
use crate::openapi::error_response;

pub(super) fn reference(name: &str) -> RefOr<Schema> {
    Ref::from_schema_name(name).into()
}

/// By their names.
pub(super) fn all() -> Vec<(&'static str, RefOr<Schema>)> {
    let mut all = vec![
        ("Gid", gid().into()),
        ("Item", item().into()),
        ("Role", role().into()),
    ];
    all.extend(users());
    all.extend(projects());
    all.extend(memberships());
    all.push((
        "FeedRow",
        with_description(
            feed_row(),
            "A change of an entry.",
            Some(examples::feed_row()),
        ),
    ));
    all.push(("Feedback", feedback().into()));
    all.push(("Refusal", error_response::any_error().into()));
    all.push(("KeySet", key_set().into()));
    all
}

fn gid() -> ObjectBuilder {
    text()
        .description(Some("A UUID, in small letters."))
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .examples([examples::USER])
}

/// Of a list of a project.
fn item() -> OneOfBuilder {
    OneOfBuilder::new()
        .description(Some(
            "A gid, or the channel of all records, which nobody can change.",
        ))
        .item(reference("Gid"))
        .item(text().enum_values(Some(["__all__"])))
}

fn role() -> ObjectBuilder {
    text().enum_values(Some(["owner", "member", "api"]))
}

fn file_name() -> ObjectBuilder {
    text_or_null().description(Some("`<gid>.<extension>`, under `/media`; or null."))
}

fn with_description(
    mut object: Object,
    description: &str,
    example: Option<Value>,
) -> RefOr<Schema> {
    object.description = Some(description.to_owned());
    object.examples.extend(example);
    object.into()
}

fn one_of<const N: usize>(description: &str, names: [&str; N]) -> RefOr<Schema> {
    let one_of: OneOf = names
        .into_iter()
        .fold(
            OneOfBuilder::new().description(Some(description)),
            |one_of, name| one_of.item(reference(name)),
        )
        .build();
    RefOr::T(one_of.into())
}

fn users() -> Vec<(&'static str, RefOr<Schema>)> {
    let username = || {
        text_or_null().description(Some(
            "Null for API users, and for invitees without an account.",
        ))
    };
    let status = || text().enum_values(Some(["active", "invited", "inactive", "deleted"]));
    let options = object(
        [
            ("language", true, text().into()),
            ("timezone", true, text().into()),
        ],
        true,
    );
    let user = |email: Vec<(&'static str, bool, RefOr<Schema>)>,
                options: Vec<(&'static str, bool, RefOr<Schema>)>| {
        let mut members = vec![
            ("gid", true, reference("Gid")),
            ("username", true, username().into()),
        ];
        members.extend(email);
        members.push(("name", true, text().into()));
        members.push(("avatar", true, file_name().into()));
        members.push(("status", true, status().into()));
        members.extend(options);
        object(members, true)
    };
    let complete = user(
        vec![("email", true, text_or_null().into())],
        vec![("options", true, options.into())],
    );
    let short = user(Vec::new(), Vec::new());
    vec![
        (
            "CompleteUser",
            with_description(complete, "The caller.", Some(examples::user_details())),
        ),
        (
            "ShortUser",
            with_description(
                short,
                "Anybody else: never with an email.",
                Some(examples::user_summary()),
            ),
        ),
        (
            "User",
            one_of("As the caller may see them.", ["CompleteUser", "ShortUser"]),
        ),
    ]
}

fn project(more: Vec<(&'static str, bool, RefOr<Schema>)>) -> Object {
    let mut members = vec![
        ("gid", true, reference("Gid")),
        ("name", true, text().into()),
        ("icon", true, file_name().into()),
        ("owner", true, reference("Gid")),
        (
            "status",
            true,
            text().enum_values(Some(["active", "deleted"])).into(),
        ),
    ];
    members.extend(more);
    object(members, true)
}

fn projects() -> Vec<(&'static str, RefOr<Schema>)> {
    let names = || RefOr::from(map(text().into()));
    let closed = || RefOr::from(object([], true));
    let image_server = object(
        [("type", true, text().into()), ("options", true, closed())],
        true,
    );
    let options = object(
        [
            ("channels", true, names()),
            ("orderedchannels", true, list(reference("Item"))),
            ("orderings", true, names()),
            ("orderedorderings", true, list(reference("Gid"))),
            ("fieldlists", true, names()),
            ("orderedfieldlists", true, list(reference("Gid"))),
            ("languages", true, list(text().into())),
            ("timezone", true, text().into()),
            ("imageserver", true, image_server.into()),
        ],
        true,
    );
    let versions = list(RefOr::T(utoipa::openapi::schema::empty()));
    let backups = object(
        [
            ("versions", true, versions),
            ("next_version", true, of(Type::Integer).into()),
        ],
        true,
    );
    let full = project(vec![
        ("options", true, options.into()),
        ("build", true, of(Type::Integer).into()),
        ("backups", true, backups.into()),
    ]);
    vec![
        (
            "ShortProject",
            with_description(
                project(Vec::new()),
                "In logins and inits.",
                Some(examples::project_summary()),
            ),
        ),
        (
            "FullProject",
            with_description(
                full,
                "With all that it is set up with.",
                Some(examples::full_project()),
            ),
        ),
        (
            "Project",
            one_of("In either form.", ["FullProject", "ShortProject"]),
        ),
    ]
}

fn membership(options: Option<RefOr<Schema>>) -> Object {
    let mut members = vec![
        ("project_gid", true, reference("Gid")),
        ("user_gid", true, reference("Gid")),
        (
            "status",
            true,
            text()
                .enum_values(Some(["active", "invited", "declined", "inactive"]))
                .into(),
        ),
        ("roles", true, list(reference("Role"))),
    ];
    members.extend(options.map(|options| ("options", true, options)));
    object(members, true)
}

fn limit() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::Integer, Type::Null]))
        .minimum(Some(1))
        .description(Some("Requests a second in this project; null: no limit."))
}

fn memberships() -> Vec<(&'static str, RefOr<Schema>)> {
    let notifications = |is_required| {
        let email: RefOr<Schema> = if is_required {
            text_or_null().into()
        } else {
            text().into()
        };
        let word = || text().min_length(Some(1));
        object(
            [
                ("email", is_required, email),
                ("events", is_required, list(word().into())),
                ("frequency", is_required, word().into()),
            ],
            is_required,
        )
    };
    let limit = |is_required| {
        (
            "rate_limit_per_second",
            is_required,
            limit().maximum(Some(u32::MAX as usize)).into(),
        )
    };
    let complete = object(
        [
            ("notifications", true, notifications(true).into()),
            limit(true),
        ],
        true,
    );
    let limited = object([limit(true)], true);
    let change = object(
        [
            limit(false),
            ("notifications", false, notifications(false).into()),
        ],
        false,
    );
    vec![
        (
            "CompleteMembership",
            with_description(
                membership(Some(complete.into())),
                "A caller's own.",
                Some(examples::membership_details()),
            ),
        ),
        (
            "LimitedMembership",
            with_description(
                membership(Some(limited.into())),
                "An API user's own, and what the owner of the project sees of other members.",
                Some(examples::membership_with_limit()),
            ),
        ),
        (
            "ShortMembership",
            with_description(
                membership(None),
                "Of anybody else.",
                Some(examples::membership_summary()),
            ),
        ),
        (
            "Membership",
            one_of(
                "As the caller may see it.",
                ["CompleteMembership", "LimitedMembership", "ShortMembership"],
            ),
        ),
        (
            "MemberOptions",
            with_description(change, "What is given replaces what is there.", None),
        ),
    ]
}

fn feed_row() -> Object {
    object(
        [
            (
                "type",
                true,
                text().enum_values(Some(["cc", "project"])).into(),
            ),
            ("cursor", true, of(Type::Integer).minimum(Some(1)).into()),
            (
                "action",
                true,
                text()
                    .enum_values(Some(["INSERT", "UPDATE", "DELETE"]))
                    .into(),
            ),
            ("data_type", true, text().into()),
            ("data_key", true, text().into()),
        ],
        true,
    )
}

fn feedback() -> Object {
    object(
        [
            ("warning", false, text_or_null().into()),
            ("suggestions", false, list(text().into())),
        ],
        true,
    )
}

/// RFC 7517, RFC 8037.
fn key_set() -> Object {
    let word = |only: &'static str| RefOr::from(text().enum_values(Some([only])));
    let base64 = || RefOr::from(text().pattern(Some("^[A-Za-z0-9_-]+$")));
    let key = object(
        [
            ("kty", true, word("OKP")),
            ("crv", true, word("Ed25519")),
            ("kid", true, base64()),
            ("use", true, word("sig")),
            ("alg", true, word("EdDSA")),
            ("x", true, base64()),
        ],
        true,
    );
    object([("keys", true, list(key.into()))], true)
}

/// Only for its bytes.
pub(super) fn bytes() -> RefOr<Schema> {
    text()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        .into()
}
