//! The page `examples/live`, which `doorward demo` serves in addition to the API. It is an ordinary
//! client.

use doorward_gateway::Page;

pub(crate) const PATH: &str = "/demo";

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! page {
    ($path:expr, $content_type:expr, $file:literal) => {
        Page {
            path: $path,
            content_type: $content_type,
            body: include_str!(concat!("../../../examples/live/", $file)),
        }
    };
}

pub(crate) const PAGES: &[Page] = &[
    page!(PATH, "text/html; charset=utf-8", "index.html"),
    page!("/demo/live.css", "text/css; charset=utf-8", "live.css"),
    page!("/demo/icon.svg", "image/svg+xml", "icon.svg"),
    page!("/demo/live.js", SCRIPT, "live.js"),
    page!("/demo/api.js", SCRIPT, "api.js"),
    page!("/demo/feed.js", SCRIPT, "feed.js"),
    page!("/demo/picture.js", SCRIPT, "picture.js"),
    page!("/demo/view.js", SCRIPT, "view.js"),
    page!("/demo/elements.js", SCRIPT, "elements.js"),
    page!(
        "/demo/vendor/socket.io.esm.min.js",
        SCRIPT,
        "vendor/socket.io.esm.min.js"
    ),
];
