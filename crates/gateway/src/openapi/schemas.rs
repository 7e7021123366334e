//! The schemas of entries as components of the document.

use serde_json::Value;
use utoipa::openapi::{
    KnownFormat, Object, ObjectBuilder, OneOf, RefOr, Schema, SchemaFormat, Type,
    schema::{OneOfBuilder, SchemaType},
};

use super::{
    builders::{list, map, object, of, reference, text, text_or_null},
    error_response, examples,
};

/// Returns the components by name.
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
            "A change of an entry: `data_type` and `data_key` name the entry, and `action` says \
             whether to fetch it or to remove it.",
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
        .description(Some("A UUID in lower case."))
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .examples([examples::USER])
}

/// Returns the schema of an item in a list of a project.
fn item() -> OneOfBuilder {
    OneOfBuilder::new()
        .description(Some(
            "The gid of an item, or `__all__`: the channel with all records, which cannot be \
             changed.",
        ))
        .item(reference("Gid"))
        .item(text().enum_values(Some(["__all__"])))
}

fn role() -> ObjectBuilder {
    text().enum_values(Some(["owner", "member", "api"]))
}

fn file_name() -> ObjectBuilder {
    text_or_null().description(Some(
        "The name of the picture below `/media`, `<gid>.<extension>`; null without a picture.",
    ))
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
            "The username; null for API users, and for invitees without an account.",
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
    // Both forms have the same order of members: `email` is in the middle, and `options` at the
    // end.
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
                "Any other user. It never has an email address.",
                Some(examples::user_summary()),
            ),
        ),
        (
            "User",
            one_of(
                "A user: the caller is complete, others are short.",
                ["CompleteUser", "ShortUser"],
            ),
        ),
    ]
}

/// Returns the schema of a project with additional members.
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
                "A project in logins and inits.",
                Some(examples::project_summary()),
            ),
        ),
        (
            "FullProject",
            with_description(
                full,
                "A project with its languages, lists and other options.",
                Some(examples::full_project()),
            ),
        ),
        (
            "Project",
            one_of("A project in either form.", ["FullProject", "ShortProject"]),
        ),
    ]
}

/// Returns the schema of a membership, with or without options.
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
        .description(Some(
            "Maximum number of requests per second in this project; null means no limit.",
        ))
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
                "The caller's own membership.",
                Some(examples::membership_details()),
            ),
        ),
        (
            "LimitedMembership",
            with_description(
                membership(Some(limited.into())),
                "The own membership of an API user, and the membership of another member as the \
                 owner of the project sees it.",
                Some(examples::membership_with_limit()),
            ),
        ),
        (
            "ShortMembership",
            with_description(
                membership(None),
                "The membership of another member.",
                Some(examples::membership_summary()),
            ),
        ),
        (
            "Membership",
            one_of(
                "A membership, with the options that the caller is allowed to see.",
                ["CompleteMembership", "LimitedMembership", "ShortMembership"],
            ),
        ),
        (
            "MemberOptions",
            with_description(
                change,
                "Options to change; absent ones stay unchanged.",
                None,
            ),
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

/// Returns the schema of a JWK set with Ed25519 keys (RFC 7517, RFC 8037).
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

/// Returns the schema of binary data.
pub(super) fn bytes() -> RefOr<Schema> {
    text()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        .into()
}
