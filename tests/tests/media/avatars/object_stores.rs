//! Tests the object stores of pictures: an S3-compatible bucket, another directory, and unusable
//! stores.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use doorward_tests::{
    App, Backend, Installation, S3, eventually, installation::COMMAND, on_both_databases,
    s3::SECRET,
};
use serde_json::json;

use crate::media::avatars::{DELETE, SWEEP, assert_gone_within, get, png, upload, uploaded};

on_both_databases![pictures_are_kept_in_a_bucket];

async fn pictures_are_kept_in_a_bucket(backend: Backend) {
    let mut s3 = S3::start().await;
    let app = App::with_settings(
        backend,
        &[
            ("DOORWARD_OBJECT_STORE", &s3.url("a/b")),
            ("RUST_LOG", "info"),
        ],
    )
    .await;
    let ann = app.user("ann").await;
    let first = uploaded(&ann, &png()).await;
    assert_eq!(s3.names().await, [format!("a/b/avatars/{first}")]);
    let whole = get(&app.http, &first).await;
    assert_eq!(
        (whole.status, whole.header("content-type")),
        (200, Some("image/png"))
    );
    let etag = whole.header("etag").expect("an ETag");
    let call = || app.http.get(&format!("/media/avatars/{first}"));
    let part = call()
        .header("range", "bytes=3-9")
        .header("if-range", etag)
        .send()
        .await;
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[3..10]));
    assert_eq!(
        call().header("if-none-match", etag).send().await.status,
        304
    );
    assert_eq!(
        call().header("range", "bytes=999999-").send().await.status,
        416
    );

    let second = uploaded(&ann, &png()).await;
    assert_gone_within(&app.http, &first, Duration::from_secs(10)).await;
    ann.call(DELETE, &json!({})).await.success();
    assert_gone_within(&app.http, &second, Duration::from_secs(10)).await;
    let third = uploaded(&ann, &png()).await;
    app.installation.change_user("delete", "ann").await;
    assert_gone_within(&app.http, &third, SWEEP).await;
    assert!(s3.names().await.is_empty());

    let ben = app.user("ben").await;
    let fourth = uploaded(&ben, &png()).await;
    s3.stop();
    get(&app.http, &fourth).await.assert_unavailable();
    upload(&ben, &png()).await.assert_unavailable();
    // Calls that need no picture still work, and the avatar stays set.
    let (_, data) = ben.init().await.success();
    assert_eq!(data["cc.users"][&ben.gid]["avatar"], json!(fourth));
    assert!(ben.call(DELETE, &json!({})).await.status == 200);
    eventually("a line in the log", SWEEP * 6, async || {
        app.process
            .stderr()
            .contains("cannot delete discarded pictures")
            .then_some(())
    })
    .await;
    assert!(!app.process.stderr().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn media_directory_is_private() {
    let installation = Installation::new(Backend::Sqlite);
    let directory = installation.path().join("a b/pictures");
    let url = format!(
        "file://{}",
        directory.display().to_string().replace(' ', "%20")
    );
    let app = App::on_installation(installation.with(&[("DOORWARD_OBJECT_STORE", &url)])).await;
    let ann = app.user("ann").await;
    let name = uploaded(&ann, &png()).await;
    assert!(directory.join("avatars").join(&name).exists());
    assert_eq!(
        std::fs::metadata(&directory)
            .expect("a directory")
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    // The default directory is not created.
    assert!(!app.installation.path().join("data/media").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_object_store_fails_the_start() {
    let s3 = S3::start().await;
    let no_bucket = s3.url_of("nowhere", "");
    for url in ["/dev/null/x", "file:///proc/x", no_bucket.as_str()] {
        let installation =
            Installation::new(Backend::Sqlite).with(&[("DOORWARD_OBJECT_STORE", url)]);
        let output = installation
            .spawn(&["serve"], &[])
            .wait_for_exit(COMMAND)
            .await
            .assert_failure(1);
        assert!(
            output.stderr.contains("DOORWARD_OBJECT_STORE") && !output.stderr.contains("panicked"),
            "{output}"
        );
        assert!(!output.stderr.contains(SECRET), "{output}");
    }
    for url in ["gs://x", "s3://", "s3://bucket?s3cret=s3cret"] {
        let installation =
            Installation::new(Backend::Sqlite).with(&[("DOORWARD_OBJECT_STORE", url)]);
        let output = installation.cli(&["serve"], "").await.assert_failure(2);
        assert!(
            output.stderr.contains("DOORWARD_OBJECT_STORE: expected"),
            "{output}"
        );
        assert!(!output.stderr.contains("s3cret=s3cret"), "{output}");
    }
}
