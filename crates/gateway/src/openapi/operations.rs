//! Converts the description of a call to operations of the document, one for each method.

use serde_json::{Value, json};
use utoipa::openapi::{
    ContentBuilder, RefOr, Required, Response, ResponseBuilder, Responses, Schema, Type,
    path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::{RequestBody, RequestBodyBuilder},
    security::SecurityRequirement,
};

use super::{
    builders::{object, of, reference, success, text},
    call::{Call, Input, Method, Renewal, ResponseKind},
    entries::Entries,
    examples,
    field::{self, Field},
    headers::reference as header_reference,
    schemas::bytes,
};

/// Name of the security scheme.
pub(super) const TOKEN: &str = "token";

/// Returns the operations of a call with their methods.
pub(super) fn to_operations(call: &Call) -> Vec<(HttpMethod, Operation)> {
    let build = |method: &Method| {
        let http = match method {
            Method::Get => HttpMethod::Get,
            Method::Head => HttpMethod::Head,
            Method::Post => HttpMethod::Post,
        };
        (http, operation(call, *method))
    };
    call.methods().iter().map(build).collect()
}

fn operation(call: &Call, method: Method) -> Operation {
    let mut operation = OperationBuilder::new()
        .tag(call.section)
        .summary(Some(call.summary))
        .description(Some(call.description))
        .operation_id(Some(operation_id(call, method)))
        .responses(responses(call, method));
    if call.requires_token {
        operation = operation.security(SecurityRequirement::new::<_, [&str; 0], &str>(TOKEN, []));
    }
    for name in ["project", "name"] {
        if call.path.contains(&format!("{{{name}}}")) {
            operation = operation.parameter(path_parameter(name));
        }
    }
    if method == Method::Post {
        operation.request_body(request_body(&call.input)).build()
    } else {
        operation.build()
    }
}

/// Returns the unique id of an operation, after which client generators name a function. The id of
/// `POST /api/p/{project}/members/get` is `project_members_get`; other methods of a call have a
/// suffix.
pub(super) fn operation_id(call: &Call, method: Method) -> String {
    let path = call
        .path
        .replace("/api/p/{project}", "/project")
        .replace("/api/", "")
        .replace("/{name}", "");
    let words: Vec<&str> = path
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .collect();
    let name = words
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_");
    match method {
        Method::Head => format!("{name}_by_head"),
        Method::Get if call.main_method() == Method::Post => format!("{name}_by_get"),
        Method::Get | Method::Post => name,
    }
}

fn path_parameter(name: &str) -> ParameterBuilder {
    let (schema, example, description): (RefOr<Schema>, _, _) = match name {
        "project" => (
            reference("Gid"),
            examples::PROJECT.to_owned(),
            "The gid of the project.",
        ),
        _ => (
            text().into(),
            format!("{}.png", examples::USER),
            "The name of the file, as `avatar` or `icon` of the entry has it.",
        ),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(schema))
        .example(Some(example.into()))
}

fn request_body(input: &Input) -> Option<RequestBody> {
    let json = "application/json";
    let (media_type, fields, is_required) = match input {
        Input::Nothing => return None,
        Input::OptionalBody => (json, &[][..], Required::False),
        Input::Json(fields) => (json, fields.as_slice(), Required::True),
        Input::UploadForm(fields) => ("multipart/form-data", fields.as_slice(), Required::True),
    };
    let mut schema = field::fields(fields, false);
    for field in fields {
        if let Some(property) = schema.properties.get_mut(field.name) {
            describe(property, field.description);
        }
    }
    let mut content = ContentBuilder::new().schema(Some(schema));
    if media_type == json {
        content = content.example(Some(field::example(fields)));
    }
    Some(
        RequestBodyBuilder::new()
            .required(Some(is_required))
            .content(media_type, content.build())
            .build(),
    )
}

/// Adds the description of a parameter to its schema.
fn describe(property: &mut RefOr<Schema>, description: &str) {
    match property {
        RefOr::Ref(reference) => description.clone_into(&mut reference.description),
        RefOr::T(Schema::Object(object)) => object.description = Some(description.to_owned()),
        RefOr::T(Schema::Array(array)) => array.description = Some(description.to_owned()),
        // No parameter has a schema of another kind.
        RefOr::T(_) => {}
    }
}

fn responses(call: &Call, method: Method) -> Responses {
    let mut responses = Responses::new();
    responses
        .responses
        .insert("200".to_owned(), success_response(call, method));
    if matches!(call.response, ResponseKind::Picture { .. }) {
        let not_modified = ResponseBuilder::new()
            .description("The picture has not changed: its `ETag` is in `If-None-Match`.")
            .build();
        responses
            .responses
            .insert("304".to_owned(), RefOr::T(not_modified));
        if method == Method::Get {
            let part = picture("The part of the picture that `Range` asks for.")
                .header_ref("Content-Range", header_reference("Content-Range"));
            responses
                .responses
                .insert("206".to_owned(), RefOr::T(part.build()));
        }
    }
    for error in call.all_errors(method) {
        // A response to `HEAD` has no body to describe.
        let response = if method == Method::Head {
            RefOr::T(
                ResponseBuilder::new()
                    .description(error.description())
                    .build(),
            )
        } else {
            error.reference().into()
        };
        responses
            .responses
            .insert(error.code().to_string(), response);
    }
    if let Some(response) = call.unprocessable.response() {
        responses
            .responses
            .insert("422".to_owned(), RefOr::T(response));
    }
    responses
}

fn success_response(call: &Call, method: Method) -> RefOr<Response> {
    let mut response = if method == Method::Head {
        ResponseBuilder::new()
            .description("The headers of the response to `GET`, without its body.")
    } else {
        content(&call.response)
    };
    response = response.header_ref("x-request-id", header_reference("x-request-id"));
    match call.renewal {
        Renewal::Never => {}
        Renewal::WhenDue => {
            response = response.header_ref("Authorization", header_reference("RenewedToken"));
        }
        Renewal::Always => {
            response = response.header_ref("Authorization", header_reference("FreshToken"));
        }
    }
    RefOr::T(response.build())
}

fn content(response: &ResponseKind) -> ResponseBuilder {
    match response {
        ResponseKind::Picture { .. } => picture("The picture."),
        ResponseKind::Keys => response_of_type(
            "application/jwk-set+json",
            reference("KeySet"),
            "The public keys, as a JWK set.",
        )
        .header_ref("Cache-Control", header_reference("Cache-Control")),
        ResponseKind::Document => response_of_type(
            "application/json",
            of(Type::Object).into(),
            "The OpenAPI document.",
        )
        .header_ref("Cache-Control", header_reference("Cache-Control")),
        ResponseKind::Page => response_of_type("text/html", text().into(), "The page."),
        ResponseKind::Envelope { result, data } => {
            let content = ContentBuilder::new()
                .schema(Some(envelope(result, data)))
                .example(Some(example(result, data)))
                .build();
            ResponseBuilder::new()
                .description("The call succeeded.")
                .content("application/json", content)
        }
    }
}

fn response_of_type(media_type: &str, schema: RefOr<Schema>, description: &str) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content(media_type, content)
}

fn picture(description: &str) -> ResponseBuilder {
    let content = || ContentBuilder::new().schema(Some(bytes())).build();
    ["image/png", "image/jpeg", "image/gif", "image/webp"]
        .into_iter()
        .fold(
            ResponseBuilder::new().description(description),
            |response, kind| response.content(kind, content()),
        )
        .header_ref("Cache-Control", header_reference("Cache-Control"))
        .header_ref("ETag", header_reference("ETag"))
}

/// Returns the schema of a successful response.
fn envelope(result: &[Field], data: &[Entries]) -> RefOr<Schema> {
    let result = field::fields(result, true);
    let data = object(
        data.iter()
            .map(|entries| (entries.key(), true, entries.schema())),
        true,
    );
    object(
        [
            ("success", true, success(true)),
            ("result", true, result.into()),
            ("data", true, data.into()),
        ],
        true,
    )
    .into()
}

/// Returns an example of a successful response.
pub(super) fn example(result: &[Field], data: &[Entries]) -> Value {
    let data: serde_json::Map<String, Value> = data
        .iter()
        .map(|entries| (entries.key().to_owned(), entries.example()))
        .collect();
    json!({"success": true, "result": field::example(result), "data": data})
}
