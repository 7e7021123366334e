//! Tests that white space around usernames and email addresses is ignored in every call and
//! command.

use doorward_tests::{
    App, Backend, MailApp, PASSWORD, User,
    installation::gid,
    mail_app::{with_codes, with_field},
    on_both_databases,
};
use serde_json::{Value, json};

on_both_databases![
    logins_ignore_white_space_around_names,
    accounts_ignore_white_space_around_names_and_addresses,
    invitations_ignore_white_space_around_names_and_addresses,
    commands_ignore_white_space_around_names_and_addresses,
];

/// Some of the characters with the Unicode property `White_Space`.
const AROUND: [&str; 6] = [
    " ",
    "\t",
    "\r\n",
    "\u{a0}",
    "\u{3000}",
    "\u{2003}\u{85}\u{2028} \u{b}",
];

fn padded(text: &str) -> impl Iterator<Item = String> {
    AROUND.iter().flat_map(move |space| {
        [
            format!("{space}{text}"),
            format!("{text}{space}"),
            format!("{space}{text}{space}"),
        ]
    })
}

fn pad(text: &str) -> String {
    format!("\u{3000} \t{text}\u{a0}\r\n")
}

async fn logins_ignore_white_space_around_names(backend: Backend) {
    let app = App::with_settings(
        backend,
        &[
            ("DOORWARD_LOGIN_FAILURES", "3"),
            ("DOORWARD_LOGIN_BACKOFF", "1m"),
        ],
    )
    .await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    for name in padded("ann") {
        for answer in [
            app.http.login(&name, PASSWORD).await,
            app.http.project_login(&project, &name, PASSWORD).await,
        ] {
            assert_eq!(answer.status, 200, "{name:?}");
            assert_eq!(answer.success().0["user"], json!(ann.gid));
        }
    }
    // A password is never trimmed.
    app.http
        .login("ann", &pad(PASSWORD))
        .await
        .assert_unknown_user();
    for other in ["a nn", "\u{200b}ann", "ann\u{feff}"] {
        app.http.login(other, PASSWORD).await.assert_unknown_user();
    }
    // Failures of all spellings share one count, also for text that is not a valid username.
    for name in ["ben", "b en"] {
        for typed in [
            name.to_owned(),
            format!(" {name}"),
            format!("{name}\u{3000}"),
        ] {
            app.http.login(&typed, PASSWORD).await.assert_unknown_user();
        }
        for typed in [name.to_owned(), pad(name)] {
            assert_eq!(
                app.http.login(&typed, PASSWORD).await.status,
                429,
                "{typed:?}"
            );
        }
    }
}

async fn accounts_ignore_white_space_around_names_and_addresses(backend: Backend) {
    let app = MailApp::start(backend).await;
    let (checked, _) = app
        .http
        .post_anonymous("/api/username", &json!({"username": pad("ann")}))
        .await
        .success();
    assert_eq!(checked, json!({"username": "ann", "available": true}));
    let first =
        json!({"username": pad("ann"), "password": PASSWORD, "email": pad("ann@example.org")});
    let response = app.http.post_anonymous("/api/signup_request", &first).await;
    let code = app.mailed_code("ann@example.org").await;
    // White space in the second step can differ from that in the first.
    let second = json!({"username": "ann\n", "password": PASSWORD, "email": "\tann@example.org"});
    let answer = app
        .http
        .post_anonymous("/api/signup", &with_codes(&second, &response, &code))
        .await;
    let (result, data) = answer.success();
    let gid = result["user"].as_str().expect("a gid").to_owned();
    let entry = |data: &Value| {
        (
            data["cc.users"][&gid]["username"].clone(),
            data["cc.users"][&gid]["email"].clone(),
        )
    };
    assert_eq!(entry(&data), (json!("ann"), json!("ann@example.org")));
    let ann = User {
        gid: gid.clone(),
        username: "ann".to_owned(),
        token: answer.token(),
        http: app.http.clone(),
    };

    let response = app
        .http
        .post_anonymous(
            "/api/signup_request",
            &with_field(&first, "email", "ben@example.org"),
        )
        .await;
    response.assert_validation_error("username", "unavailable");
    // The address is a user input without its padding, so it is a weak password.
    let hinted = json!({"username": "ben", "password": "bartholomew@example.org", "email": pad("bartholomew@example.org")});
    assert_eq!(
        app.http
            .post_anonymous("/api/signup_request", &hinted)
            .await
            .status,
        422
    );

    let (_, data) = ann
        .call("/api/account/update", &json!({"username": pad("anna")}))
        .await
        .success();
    assert_eq!(entry(&data).0, json!("anna"));
    let response = ann
        .call(
            "/api/account/update_email_request",
            &json!({"email": pad("anna@example.org")}),
        )
        .await;
    let code = app.mailed_code("anna@example.org").await;
    let second = json!({"email": "\u{2003}anna@example.org"});
    let (_, data) = ann
        .call(
            "/api/account/update_email",
            &with_codes(&second, &response, &code),
        )
        .await
        .success();
    assert_eq!(entry(&data).1, json!("anna@example.org"));

    for name in [pad("anna"), pad("anna@example.org")] {
        let response = app
            .http
            .post_anonymous(
                "/api/reset_password_request",
                &json!({"username_or_email": name}),
            )
            .await;
        assert_eq!(
            response.success().0["usernames"],
            json!(["anna"]),
            "{name:?}"
        );
        let code = app.mailed_code("anna@example.org").await;
        let second =
            json!({"username": pad("anna"), "new_password": "a new horse battery staple 8"});
        let reset = app
            .http
            .post_anonymous(
                "/api/reset_password",
                &with_codes(&second, &response, &code),
            )
            .await;
        assert_eq!(reset.success().0["user"], json!(gid));
        // This mail says that the password was changed.
        app.smtp.mail_to("anna@example.org").await;
    }
}

async fn invitations_ignore_white_space_around_names_and_addresses(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let invite = async |project: &str, name: String| {
        let path = format!("/api/p/{project}/members/invite");
        ann.call(&path, &json!({"username_or_email": name}))
            .await
            .success()
            .0["user"]
            .clone()
    };
    for (number, name) in [pad("ben"), pad("ben@example.org")].into_iter().enumerate() {
        let project = app
            .installation
            .create_project("ann", &format!("Herbarium {number}"))
            .await;
        assert_eq!(invite(&project, name).await, json!(ben.gid));
    }
    let project = app.installation.create_project("ann", "Garden").await;
    let placeholder = invite(&project, pad("new@example.org")).await;
    app.smtp.mail_to("new@example.org").await;
    assert_eq!(
        invite(&project, "new@example.org".to_owned()).await,
        placeholder
    );
    let own =
        json!({"user": ann.gid, "options": {"notifications": {"email": pad("ann@work.example")}}});
    let (_, data) = ann
        .call(&format!("/api/p/{project}/members/update"), &own)
        .await
        .success();
    assert_eq!(
        data["cc.projects_members"][0]["options"]["notifications"]["email"],
        json!("ann@work.example")
    );
}

async fn commands_ignore_white_space_around_names_and_addresses(backend: Backend) {
    let app = App::start(backend).await;
    let words = [
        "user",
        "create",
        "--username",
        &pad("ann"),
        "--email",
        &pad("ann@example.org"),
        "--password-stdin",
    ];
    let created = app
        .installation
        .cli(&words, PASSWORD)
        .await
        .assert_success();
    let entry = created.json();
    assert_eq!(
        (&entry["username"], &entry["email"]),
        (&json!("ann"), &json!("ann@example.org"))
    );
    let ann = gid(&created);
    assert_eq!(
        gid(&app
            .installation
            .cli(&["user", "show", &pad("ann")], "")
            .await
            .assert_success()),
        ann
    );
    let words = [
        "project",
        "create",
        "--owner",
        &pad("ann"),
        "--name",
        "Herbarium",
    ];
    let project = gid(&app.installation.cli(&words, "").await.assert_success());
    let line = json!({"username": pad("ben"), "email": pad("ben@example.org")}).to_string() + "\n";
    let file = app.installation.path().join("users.jsonl");
    let hash = line.replace(
        '}',
        ",\"password_hash\":\"$2b$04$abcdefghijklmnopqrstuuKWVxn4kCGEN1.O9jcbxbUnwQvUPBBpC\"}",
    );
    std::fs::write(&file, hash).expect("a file");
    app.installation
        .cli(&["user", "import", &file.to_string_lossy()], "")
        .await
        .assert_success();
    let shown = app
        .installation
        .cli(&["user", "show", "ben"], "")
        .await
        .assert_success()
        .json();
    assert_eq!(shown["email"], json!("ben@example.org"));
    let words = [
        "member",
        "add",
        "--project",
        &project,
        "--user",
        &pad("ben"),
    ];
    app.installation.cli(&words, "").await.assert_success();
    app.installation
        .cli(&["user", "deactivate", &pad("ben")], "")
        .await
        .assert_success();
    let shown = app
        .installation
        .cli(&["user", "show", "ben"], "")
        .await
        .assert_success()
        .json();
    assert_eq!(shown["status"], json!("inactive"));
}
