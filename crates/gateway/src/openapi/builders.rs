//! Functions that build the schemas of the document from smaller ones.

use utoipa::openapi::{
    Object, ObjectBuilder, Ref, RefOr, Schema, Type,
    schema::{AdditionalProperties, ArrayBuilder, SchemaType},
};

/// Returns a reference to the schema with this name, one of [`super::schemas::all`].
pub(super) fn reference(name: &str) -> RefOr<Schema> {
    Ref::from_schema_name(name).into()
}

/// Starts a schema of one type.
pub(super) fn of(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

pub(super) fn text() -> ObjectBuilder {
    of(Type::String)
}

pub(super) fn text_or_null() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
}

pub(super) fn list(items: RefOr<Schema>) -> RefOr<Schema> {
    ArrayBuilder::new().items(items).into()
}

/// Returns the schema of an object with any keys, `{"<any key>": ...}`.
pub(super) fn map(values: RefOr<Schema>) -> ObjectBuilder {
    of(Type::Object).additional_properties(Some(AdditionalProperties::RefOr(values)))
}

/// Returns the schema of an object with these members (name, whether it is required, schema). If it
/// is closed, it has no other members.
pub(super) fn object<'a>(
    members: impl IntoIterator<Item = (&'a str, bool, RefOr<Schema>)>,
    is_closed: bool,
) -> Object {
    let mut object = of(Type::Object);
    for (name, is_required, schema) in members {
        object = object.property(name, schema);
        if is_required {
            object = object.required(name);
        }
    }
    if is_closed {
        object =
            object.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    }
    object.build()
}

/// Returns the schema of `success`, which has only one value in each kind of response.
pub(super) fn success(value: bool) -> RefOr<Schema> {
    of(Type::Boolean).enum_values(Some([value])).into()
}
