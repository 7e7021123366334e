//! Settings of the log and of traces. `RUST_LOG` and the variables of OpenTelemetry have the names
//! that every tool uses.

use tracing_subscriber::EnvFilter;

use super::reader::Reader;

#[derive(Debug, Clone)]
pub(crate) struct LogSettings {
    /// Filter in the syntax of `RUST_LOG`.
    pub filter: String,
    pub format: LogFormat,
    /// URL of the collector to which spans are exported, if any. The exporter reads its other
    /// variables itself.
    pub collector: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
    /// Text on a terminal, otherwise JSON.
    Auto,
}

const FILTER: &str = "RUST_LOG";
/// Variables with the URL of the collector. The variable for traces takes precedence over the
/// general one.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const DISABLED: &str = "OTEL_SDK_DISABLED";

impl LogSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let variable = |name: &str| {
            reader
                .environment
                .get(name)
                .filter(|value| !value.is_empty())
        };
        let filter = variable(FILTER).map_or("info", String::as_str).to_owned();
        let is_disabled =
            variable(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let collector = ENDPOINTS
            .into_iter()
            .find_map(variable)
            .filter(|_| !is_disabled)
            .cloned();
        if EnvFilter::builder().parse(&filter).is_err() {
            reader.mistakes.push(
                FILTER,
                "expected levels, such as info or info,doorward_auth=debug",
            );
        }
        Some(Self {
            filter,
            format: reader.value("log_format", parse_format)?,
            collector,
        })
    }
}

fn parse_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        "auto" => Ok(LogFormat::Auto),
        _ => Err("expected text, json or auto".to_owned()),
    }
}
