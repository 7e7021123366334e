//! Parameters of calls and fields of results, with their schemas and examples.

use serde_json::{Value, json};
use utoipa::openapi::{KnownFormat, Object, RefOr, Schema, SchemaFormat, Type};

use super::{
    builders::{list, map, object, of, reference, text},
    examples,
};

/// Parameter of a call, or field of a result.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) is_required: bool,
    pub(super) description: &'static str,
}

pub(super) const fn required(name: &'static str, shape: Shape, description: &'static str) -> Field {
    Field {
        name,
        shape,
        is_required: true,
        description,
    }
}

pub(super) const fn optional(name: &'static str, shape: Shape, description: &'static str) -> Field {
    Field {
        name,
        shape,
        is_required: false,
        description,
    }
}

/// Type of a field, with its example.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Gid(&'static str),
    Gids(&'static str),
    Text(&'static str),
    Password(&'static str),
    Texts(&'static [&'static str]),
    /// Gid of an item, or `__all__`.
    Item(&'static str),
    Items(&'static str),
    Switch(bool),
    /// Boolean that must be `true`.
    Confirmation,
    File,
    MemberOptions,
    Cursor(i64),
    Release,
    UserProjects,
    /// Rows of the feeds.
    Rows,
    Null,
}

impl Shape {
    pub(super) fn schema(self) -> RefOr<Schema> {
        match self {
            Self::Gid(_) => reference("Gid"),
            Self::Gids(_) => list(reference("Gid")),
            Self::Text(_) => text().into(),
            Self::Password(_) => of(Type::String)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
                .into(),
            Self::Texts(_) => list(text().into()),
            Self::Item(_) => reference("Item"),
            Self::Items(_) => list(reference("Item")),
            Self::Switch(_) => of(Type::Boolean).into(),
            Self::Confirmation => of(Type::Boolean).enum_values(Some([true])).into(),
            Self::File => of(Type::String)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
                .into(),
            Self::MemberOptions => reference("MemberOptions"),
            Self::Cursor(_) => of(Type::Integer).minimum(Some(0)).into(),
            Self::Release => of(Type::String)
                .pattern(Some("^[0-9]{4}\\.[0-9]{2}\\.[0-9]{3}$"))
                .into(),
            Self::UserProjects => map(list(reference("Role"))).into(),
            Self::Rows => list(reference("FeedRow")),
            Self::Null => of(Type::Null).into(),
        }
    }

    /// Returns the name of the type on the page.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gid(_) => "gid",
            Self::Gids(_) => "list of gids",
            Self::Text(_) | Self::Password(_) | Self::Release => "string",
            Self::Texts(_) => "list of strings",
            Self::Item(_) => "gid or __all__",
            Self::Items(_) => "list of gids",
            Self::Switch(_) => "boolean",
            Self::Confirmation => "true",
            Self::File => "file",
            Self::MemberOptions | Self::UserProjects => "object",
            Self::Cursor(_) => "whole number",
            Self::Rows => "list of rows",
            Self::Null => "null",
        }
    }

    pub(super) fn example(self) -> Value {
        match self {
            Self::Gid(text) | Self::Text(text) | Self::Password(text) | Self::Item(text) => {
                json!(text)
            }
            Self::Gids(text) | Self::Items(text) => json!([text]),
            Self::Texts(texts) => json!(texts),
            Self::Switch(value) => json!(value),
            Self::Confirmation => json!(true),
            Self::File => json!("(the bytes of a picture)"),
            Self::MemberOptions => {
                json!({
                    "rate_limit_per_second": 20,
                    "notifications": {"events": ["all"], "frequency": "daily"}
                })
            }
            Self::Cursor(cursor) => json!(cursor),
            Self::Release => json!(doorward_domain::version::current_release()),
            Self::UserProjects => json!({examples::PROJECT: ["owner"]}),
            Self::Rows => json!([examples::feed_row()]),
            Self::Null => Value::Null,
        }
    }
}

/// Returns the schema of an object with these fields.
pub(super) fn fields(fields: &[Field], is_closed: bool) -> Object {
    object(
        fields
            .iter()
            .map(|field| (field.name, field.is_required, field.shape.schema())),
        is_closed,
    )
}

/// Returns an example of an object with these fields. It has the required fields or, if there are
/// no required fields, the first optional one.
pub(super) fn example(fields: &[Field]) -> Value {
    let has_required = fields.iter().any(|field| field.is_required);
    let mut shown: Vec<&Field> = fields
        .iter()
        .filter(|field| field.is_required || !has_required)
        .collect();
    if !has_required {
        shown.truncate(1);
    }
    Value::Object(
        shown
            .into_iter()
            .map(|field| (field.name.to_owned(), field.shape.example()))
            .collect(),
    )
}
