//! Tests `examples/live`, the page of the demo, in a browser: changes by one user appear in the
//! tabs of others.

use std::time::Duration;

use doorward_tests::{
    App, Backend, Browser, Http, Installation, Process, Tab, app::START_TIMEOUT,
    app::wait_until_ready, eventually,
};
use serde_json::json;

use crate::clients::demo;

/// Maximum time until the page has reconnected; its delay between attempts grows.
const RECONNECTION: Duration = Duration::from_secs(30);
const SCRIPTS: [&str; 7] = [
    "live.js",
    "api.js",
    "feed.js",
    "picture.js",
    "view.js",
    "elements.js",
    "vendor/socket.io.esm.min.js",
];

struct DemoServer {
    process: Process,
    installation: Installation,
    http: Http,
    password: String,
}

impl DemoServer {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(variables: &[(&str, &str)]) -> Self {
        let installation = demo::installation().with(variables);
        let process = installation.spawn(&["demo"], &[]);
        let http = Http::new(&installation.variable("DOORWARD_LISTEN"));
        let mut demo = Self {
            process,
            installation,
            http,
            password: String::new(),
        };
        demo.ready().await;
        let path = demo.installation.path().join("data/demo-password");
        // The demo is ready shortly before its users exist and the password is written.
        let password = eventually("a password", START_TIMEOUT, async || {
            std::fs::read_to_string(&path).ok()
        })
        .await;
        password.trim_end().clone_into(&mut demo.password);
        demo
    }

    async fn ready(&mut self) {
        wait_until_ready(
            &mut self.process,
            &Http::new(&self.installation.variable("DOORWARD_OPS_LISTEN")),
        )
        .await;
    }

    /// Opens a tab and logs one of the demo's users in.
    async fn tab<'a>(&self, browser: &'a Browser, person: &str) -> Tab<'a> {
        let tab = browser
            .open(&format!("http://{}/demo", self.http.address()))
            .await;
        tab.click(&by(&format!("as-{person}"))).await;
        tab.fill(&by("password"), &self.password).await;
        tab.click(&by("log-in")).await;
        tab.assert_visible(&live()).await;
        tab
    }
}

fn by(id: &str) -> String {
    format!("//*[@data-testid='{id}']")
}

fn live() -> String {
    format!("{}[.='live']", by("connection"))
}

fn project(name: &str) -> String {
    format!(
        "{}[.//*[@data-testid='project-name']='{name}']",
        by("project")
    )
}

fn invitation(name: &str) -> String {
    format!(
        "{}[*[@data-testid='invitation-name']='{name}']",
        by("invitation")
    )
}

/// Returns the XPath of a member of a project with this status.
fn member(of: &str, name: &str, status: &str) -> String {
    let names = "*[@data-testid='member-name']";
    let states = "*[@data-testid='member-status']";
    format!(
        "{}{}[{names}='{name}'][{states}='{status}']",
        project(of),
        by("member")
    )
}

/// Opens a form, fills its field and submits it. `within` is the XPath of the surrounding element.
async fn submit(tab: &Tab<'_>, within: &str, form: &str, text: &str) {
    let summary = format!("{within}{}", by(&format!("open-{form}")));
    let form = format!("{within}{}", by(form));
    tab.click(&summary).await;
    tab.fill(&format!("{form}//input"), text).await;
    tab.click(&format!("{form}//button")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_appear_in_other_tabs() {
    let demo = DemoServer::start().await;
    let browser = Browser::start(demo.installation.path()).await;
    let ann = demo.tab(&browser, "ann").await;
    let ben = demo.tab(&browser, "ben").await;
    ann.assert_visible(&member("Spring catalogue", "Ben de Vries", "active"))
        .await;

    submit(&ben, "", "rename-me", "Ben Smit").await;
    ben.assert_visible(&format!("{}[.='Ben Smit']", by("my-name")))
        .await;
    for shared in ["Spring catalogue", "Webshop"] {
        ann.assert_visible(&member(shared, "Ben Smit", "active"))
            .await;
    }
    submit(
        &ann,
        &project("Spring catalogue"),
        "rename-project",
        "Autumn catalogue",
    )
    .await;
    ben.assert_visible(&project("Autumn catalogue")).await;
    ben.assert_hidden(&project("Spring catalogue")).await;

    // A name with HTML must be shown as text.
    let name = "<b>Herbarium</b>";
    ann.fill(&format!("{}//input", by("create-project")), name)
        .await;
    ann.click(&format!("{}//button", by("create-project")))
        .await;
    submit(&ann, &project(name), "invite", "ben").await;
    ann.assert_visible(&member(name, "Ben Smit", "invited"))
        .await;
    ben.click(&format!("{}{}", invitation(name), by("accept")))
        .await;
    ben.assert_visible(&member(name, "Ann Smit", "active"))
        .await;
    ann.assert_visible(&member(name, "Ben Smit", "active"))
        .await;

    ann.click(&format!(
        "{}{}",
        member(name, "Ben Smit", "active"),
        by("remove")
    ))
    .await;
    ben.assert_hidden(&project(name)).await;
    ben.assert_visible(&format!("{}[*='DELETE'][*='cc.projects']", by("row")))
        .await;

    submit(&ann, &project(name), "invite", "ben@example.org").await;
    ben.click(&format!("{}{}", invitation(name), by("decline")))
        .await;
    ben.assert_hidden(&invitation(name)).await;
    ann.assert_visible(&member(name, "Ben Smit", "declined"))
        .await;

    submit(&ann, &project(name), "invite", "flora@example.net").await;
    ann.assert_visible(&member(name, "somebody invited by mail", "invited"))
        .await;

    ben.click(&format!("{}{}", project("Autumn catalogue"), by("leave")))
        .await;
    ben.assert_hidden(&project("Autumn catalogue")).await;
    ann.assert_hidden(&member("Autumn catalogue", "Ben Smit", "active"))
        .await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    // The page's policy must allow a WebSocket: otherwise the client falls back to polling.
    let polled = "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/sync/io')).length";
    assert_eq!(ann.run(polled, &json!([])).await, json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_during_a_disconnect_are_caught_up() {
    let mut demo = DemoServer::start().await;
    let browser = Browser::start(demo.installation.path()).await;
    let ann = demo.tab(&browser, "ann").await;
    demo.process.kill();
    ann.assert_visible(&format!("{}[.='offline']", by("connection")))
        .await;
    demo.process = demo.installation.spawn(&["demo"], &[]);
    demo.ready().await;
    let token = demo.http.login("ben", &demo.password).await.token();
    let renamed = json!({"name": "Ben Smit"});
    demo.http
        .post("/api/account/update")
        .bearer(&token)
        .json(&renamed)
        .send()
        .await
        .success();
    ann.assert_visible_within(RECONNECTION, &member("Webshop", "Ben Smit", "active"))
        .await;
    ann.assert_visible(&live()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_fetch_restarts_the_sync() {
    let demo = DemoServer::start().await;
    let browser = Browser::start(demo.installation.path()).await;
    let ann = demo.tab(&browser, "ann").await;
    let ben = demo.tab(&browser, "ben").await;
    let fail_once = "const real = window.fetch;
        window.fetch = (path, ...rest) => {
            if (path !== '/api/users/get') return real(path, ...rest);
            window.fetch = real;
            return Promise.reject(new TypeError('as when the network is away'));
        };";
    ann.run(fail_once, &json!([])).await;
    submit(&ben, "", "rename-me", "Ben Smit").await;
    ann.assert_visible(&member("Webshop", "Ben Smit", "active"))
        .await;
    ann.assert_visible(&live()).await;
    submit(&ben, "", "rename-me", "Ben Jansen").await;
    ann.assert_visible(&member("Webshop", "Ben Jansen", "active"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_continues_after_token_renewal() {
    let demo = DemoServer::with(&[
        ("DOORWARD_TOKEN_LIFETIME", "10s"),
        ("DOORWARD_TOKEN_RENEW_AFTER", "2s"),
    ])
    .await;
    let browser = Browser::start(demo.installation.path()).await;
    let ann = demo.tab(&browser, "ann").await;
    let later = demo.http.login("ann", &demo.password).await.token();
    eventually("an expired token", START_TIMEOUT, async || {
        (demo
            .http
            .post("/api/users/get")
            .bearer(&later)
            .json(&json!({}))
            .send()
            .await
            .status
            == 401)
            .then_some(())
    })
    .await;
    submit(&ann, "", "rename-me", "Anna Smit").await;
    ann.assert_visible(&format!("{}[.='Anna Smit']", by("my-name")))
        .await;
    ann.assert_visible(&live()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_shown_and_ended_sessions_left() {
    let demo = DemoServer::start().await;
    let browser = Browser::start(demo.installation.path()).await;
    let problem = |text: &str| format!("{}[contains(., '{text}')]", by("problem"));
    let ann = demo.tab(&browser, "ann").await;
    submit(&ann, &project("Spring catalogue"), "invite", "ben").await;
    ann.assert_visible(&problem("already_member")).await;

    // Another login of the same user ends all sessions.
    let token = demo.http.login("ann", &demo.password).await.token();
    let everywhere = json!({"everywhere": true});
    demo.http
        .post("/api/account/logout")
        .bearer(&token)
        .json(&everywhere)
        .send()
        .await
        .success();
    ann.assert_visible(&problem("Log in again")).await;
    ann.assert_hidden(&by("home")).await;
    ann.fill(&by("username"), "ann").await;
    ann.fill(&by("password"), "wrong").await;
    ann.click(&by("log-in")).await;
    ann.assert_visible(&problem("Nobody has this username and password"))
        .await;

    let ben = demo.tab(&browser, "ben").await;
    ben.click(&by("log-out")).await;
    ben.assert_visible(&by("log-in")).await;
    ben.assert_hidden(&by("home")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_may_load_nothing_from_elsewhere() {
    let demo = DemoServer::start().await;
    for file in ["", "/live.css", "/icon.svg"]
        .map(str::to_owned)
        .into_iter()
        .chain(SCRIPTS.map(|one| format!("/{one}")))
    {
        let path = format!("/demo{file}");
        let answer = demo.http.get(&path).send().await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        demo.http
            .post(&path)
            .send()
            .await
            .assert_error(405, "Method not allowed", &json!({}));
    }
    let paths = demo.http.get("/api/openapi.json").send().await.json();
    assert!(
        !paths["paths"]
            .as_object()
            .expect("paths")
            .keys()
            .any(|path| path.starts_with("/demo"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn page_is_served_by_the_demo_only() {
    let app = App::start(Backend::Sqlite).await;
    for path in ["/demo", "/demo/", "/demo/live.js"] {
        app.http
            .get(path)
            .send()
            .await
            .assert_error(404, "Not found", &json!({}));
    }
}
