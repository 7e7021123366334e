//! `GET|POST /api/languages/get`.

use actix_web::{HttpResponse, web::Data};
use serde::Serialize;
use serde_json::{json, value::RawValue};

use crate::http::{
    body::OptionalBody,
    envelope::{self, ApiError},
};

/// Global list of languages, serialized once.
pub(crate) struct Languages {
    pub(crate) codes: Vec<&'static str>,
    pub(crate) names: Box<RawValue>,
}

impl Languages {
    pub(crate) fn load() -> serde_json::Result<Self> {
        let names: serde_json::Map<String, serde_json::Value> = doorward_domain::languages::iter()
            .map(|(code, name)| (code.to_owned(), name.into()))
            .collect();
        Ok(Self {
            codes: doorward_domain::languages::iter()
                .map(|(code, _)| code)
                .collect(),
            names: serde_json::value::to_raw_value(&names)?,
        })
    }
}

#[derive(Serialize)]
struct LanguagesData<'a> {
    #[serde(rename = "cc.languages")]
    languages: &'a RawValue,
}

pub(crate) async fn get(
    _: OptionalBody,
    languages: Data<Languages>,
) -> Result<HttpResponse, ApiError> {
    envelope::success_response(
        &json!({"languages": languages.codes}),
        &LanguagesData {
            languages: &languages.names,
        },
    )
}
