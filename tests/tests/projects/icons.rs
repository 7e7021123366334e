//! Tests that `/api/projects/upload_icon` and `delete_icon` change the icon of a project, and that
//! `/media/icons/...` serves it under a stable name. Picture formats and forms are tested with
//! avatars.

use std::{
    io::Cursor,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use doorward_tests::{
    Backend, Http, Response, Role, Services, User, eventually,
    http::{BOUNDARY, form},
    on_both_databases,
};
use http::Method;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};

use crate::{
    api_keys::calls::UNKNOWN_GID,
    projects::fixture::{Fixture, about, cursor, options},
};

on_both_databases![
    icon_name_is_stable,
    new_format_replaces_the_extension,
    icon_is_served_until_replaced,
    icon_is_available_during_replacement,
    first_bad_part_is_reported,
    icon_calls_require_the_owner,
    owner_can_change_the_icon_of_a_deleted_project,
    replaced_icon_is_gone_on_every_gateway,
];

const UPLOAD: &str = "/api/projects/upload_icon";
/// Maximum time until files that another gateway has replaced are deleted.
const SWEEP: Duration = Duration::from_secs(20);

fn picture(format: ImageFormat, red: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = DynamicImage::from(RgbImage::from_pixel(32, 24, Rgb([red, 30, 30])));
    image.write_to(&mut bytes, format).expect("a picture");
    bytes.into_inner()
}

pub(crate) fn png() -> Vec<u8> {
    picture(ImageFormat::Png, 200)
}

async fn send(user: &User, parts: &[(&str, &[u8])]) -> Response {
    let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
    user.http
        .post(UPLOAD)
        .bearer(&user.token)
        .header("content-type", &media_type)
        .body(form(parts))
        .send()
        .await
}

async fn upload(user: &User, project: &str, bytes: &[u8]) -> Response {
    send(
        user,
        &[("project", project.as_bytes()), ("upload_file", bytes)],
    )
    .await
}

pub(crate) async fn uploaded(user: &User, project: &str, bytes: &[u8]) -> String {
    let (_, data) = upload(user, project, bytes).await.success();
    data["cc.projects"][project]["icon"]
        .as_str()
        .expect("an icon")
        .to_owned()
}

pub(crate) async fn get(http: &Http, name: &str) -> Response {
    http.get(&format!("/media/icons/{name}")).send().await
}

fn red(answer: &Response) -> u8 {
    assert_eq!(answer.status, 200, "{answer:?}");
    image::load_from_memory(&answer.body)
        .expect("a picture")
        .to_rgb8()
        .get_pixel(9, 9)
        .0[0]
}

/// Returns the names of the stored files.
fn files(directory: &std::path::Path) -> Vec<String> {
    let Ok(listed) = std::fs::read_dir(directory.join("data/media/icons")) else {
        return Vec::new();
    };
    listed
        .map(|entry| {
            entry
                .expect("a file")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

async fn icon_name_is_stable(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let name = format!("{}.png", fixture.project);
    let mut now = cursor(&fixture.ben).await;
    let mut tags = Vec::new();
    for red_value in [200, 100, 50] {
        let answer = upload(
            &fixture.ann,
            &fixture.project,
            &picture(ImageFormat::Png, red_value),
        )
        .await;
        fixture.assert_project(&answer, |project| project["icon"] = json!("<project>.png"));
        let icon = get(&fixture.app.http, &name).await;
        assert_eq!(red(&icon), red_value);
        let tag = icon.header("etag").expect("an ETag").to_owned();
        assert!(!tags.contains(&tag), "{tag}");
        tags.push(tag);
        now += 1;
        assert_eq!(cursor(&fixture.ben).await, now);
        let (_, data) = fixture.ben.init().await.success();
        assert_eq!(data["cc.projects"][&fixture.project]["icon"], json!(name));
    }
    eventually("one file", Duration::from_secs(10), async || {
        (files(fixture.app.installation.path()).len() == 1).then_some(())
    })
    .await;
    // A repeated call changes nothing and appends no row to the feed.
    for _ in 0..2 {
        let answer = about(&fixture.ann, "delete_icon", &fixture.project).await;
        fixture.assert_project(&answer, |_| ());
        assert_eq!(cursor(&fixture.ben).await, now + 1);
    }
    get(&fixture.app.http, &name)
        .await
        .assert_error(404, "Not found", &json!({}));
    eventually("no file", Duration::from_secs(10), async || {
        files(fixture.app.installation.path())
            .is_empty()
            .then_some(())
    })
    .await;
}

async fn new_format_replaces_the_extension(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let mut last: Option<String> = None;
    for (format, extension, media_type) in [
        (ImageFormat::Png, "png", "image/png"),
        (ImageFormat::Jpeg, "jpg", "image/jpeg"),
        (ImageFormat::Gif, "png", "image/png"),
        (ImageFormat::WebP, "webp", "image/webp"),
    ] {
        let name = uploaded(&fixture.ann, &fixture.project, &picture(format, 200)).await;
        assert_eq!(name, format!("{}.{extension}", fixture.project));
        assert_eq!(
            get(&fixture.app.http, &name).await.header("content-type"),
            Some(media_type)
        );
        if let Some(last) = last.replace(name) {
            get(&fixture.app.http, &last)
                .await
                .assert_error(404, "Not found", &json!({}));
        }
    }
    // The name of the stored file is not part of a valid URL.
    for file in files(fixture.app.installation.path()) {
        get(&fixture.app.http, &file)
            .await
            .assert_error(404, "Not found", &json!({}));
    }
    let webp = last.expect("an icon");
    let stem = &fixture.project;
    for other in [
        "x.webp",
        stem,
        &format!("{stem}.png"),
        &format!("{stem}.WEBP"),
        &format!("{UNKNOWN_GID}.webp"),
    ] {
        get(&fixture.app.http, other)
            .await
            .assert_error(404, "Not found", &json!({}));
    }
    get(&fixture.app.http, &webp.to_uppercase())
        .await
        .assert_error(404, "Not found", &json!({}));
}

async fn icon_is_served_until_replaced(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let name = uploaded(&fixture.ann, &fixture.project, &png()).await;
    let path = format!("/media/icons/{name}");
    let icon = get(&fixture.app.http, &name).await;
    let tag = icon.header("etag").expect("an ETag").to_owned();
    for (header, value) in [
        ("cache-control", "no-cache"),
        ("content-type", "image/png"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cross-origin-resource-policy", "cross-origin"),
    ] {
        assert_eq!(icon.header(header), Some(value));
    }
    let get_if_changed = |tag: &str| {
        fixture
            .app
            .http
            .get(&path)
            .header("if-none-match", tag)
            .send()
    };
    let same = get_if_changed(&tag).await;
    assert_eq!(
        (same.status, same.body.len(), same.header("etag")),
        (304, 0, Some(tag.as_str()))
    );
    assert_eq!(same.header("cache-control"), Some("no-cache"));
    let head = fixture.app.http.call(Method::HEAD, &path).send().await;
    assert_eq!(
        (head.status, head.header("etag")),
        (200, Some(tag.as_str()))
    );
    let part = fixture
        .app
        .http
        .get(&path)
        .header("range", "bytes=0-3")
        .send()
        .await;
    assert_eq!((part.status, &part.body[..]), (206, &icon.body[..4]));

    uploaded(
        &fixture.ann,
        &fixture.project,
        &picture(ImageFormat::Png, 10),
    )
    .await;
    let changed = get_if_changed(&tag).await;
    assert_eq!(red(&changed), 10);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    fixture
        .app
        .http
        .post(&path)
        .json(&json!({}))
        .send()
        .await
        .assert_error(405, "Method not allowed", &json!({}));
}

async fn icon_is_available_during_replacement(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let name = uploaded(&fixture.ann, &fixture.project, &png()).await;
    let is_done = AtomicBool::new(false);
    let readers = futures_util::future::join_all((0..4).map(|_| async {
        let mut count = 0;
        while !is_done.load(Ordering::SeqCst) {
            red(&get(&fixture.app.http, &name).await);
            count += 1;
        }
        count
    }));
    let writer = async {
        for number in 0..40 {
            uploaded(
                &fixture.ann,
                &fixture.project,
                &picture(ImageFormat::Png, number),
            )
            .await;
        }
        is_done.store(true, Ordering::SeqCst);
    };
    let (counts, ()) = futures_util::future::join(readers, writer).await;
    assert!(counts.iter().sum::<u32>() > 40, "{counts:?}");
}

async fn first_bad_part_is_reported(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let project = fixture.project.as_bytes();
    let file = png();
    let long = [b'x'; 101];
    // Parts are checked before permissions, so callers without access get the same errors.
    for user in [&fixture.ann, &fixture.ben, &fixture.cas] {
        for parts in [
            &[] as &[(&str, &[u8])],
            &[("upload_file", &file)],
            &[("upload_file", b"x")],
        ] {
            send(user, parts)
                .await
                .assert_bad_parameter("Missing parameter", "project");
        }
        for bad in [b"".as_slice(), b"x", b"\xff", &long, b"Herbarium"] {
            send(user, &[("project", bad)])
                .await
                .assert_bad_parameter("Invalid parameter", "project");
        }
        send(user, &[("project", project)])
            .await
            .assert_bad_parameter("Missing parameter", "upload_file");
    }
    let json = fixture
        .ann
        .call(UPLOAD, &json!({"project": fixture.project}))
        .await;
    json.assert_error(415, "Unsupported media type", &json!({}));
    let before = cursor(&fixture.ann).await;
    upload(
        &fixture.ann,
        &fixture.project,
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
    )
    .await
    .assert_unprocessable("not_an_image");
    upload(&fixture.ann, &fixture.project, &file[..file.len() - 20])
        .await
        .assert_unprocessable("not_an_image");
    upload(&fixture.ann, &fixture.project, &vec![0; 10_000_001])
        .await
        .assert_error(413, "Payload too large", &json!({}));
    assert_eq!(
        (
            cursor(&fixture.ann).await,
            files(fixture.app.installation.path())
        ),
        (before, Vec::<String>::new())
    );
    // The parts can have any order, and the first of two with the same name is used.
    let parts: &[(&str, &[u8])] = &[
        ("upload_file", &file),
        ("project", project),
        ("project", b"x"),
        ("upload_file", b"x"),
    ];
    fixture.assert_project(&send(&fixture.ann, parts).await, |project| {
        project["icon"] = json!("<project>.png");
    });
}

async fn icon_calls_require_the_owner(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let call = fixture
        .app
        .http
        .post(UPLOAD)
        .header("content-type", &media_type);
    call.body(form(&[
        ("project", fixture.project.as_bytes()),
        ("upload_file", &png()),
    ]))
    .send()
    .await
    .assert_unauthenticated();
    for bytes in [png(), b"no picture".to_vec()] {
        for user in [&fixture.ben, &fixture.cas, &fixture.program] {
            upload(user, &fixture.project, &bytes)
                .await
                .assert_forbidden();
        }
        upload(&fixture.ann, UNKNOWN_GID, &bytes)
            .await
            .assert_forbidden();
    }
    assert!(files(fixture.app.installation.path()).is_empty());
    let options: Value = options(&fixture.ann, &fixture.project).await;
    assert!(options.is_object());
    fixture.assert_project(&about(&fixture.ann, "get", &fixture.project).await, |_| ());
}

async fn owner_can_change_the_icon_of_a_deleted_project(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    about(&fixture.ann, "delete", &fixture.project)
        .await
        .success();
    let answer = upload(&fixture.ann, &fixture.project, &png()).await;
    fixture.assert_project(&answer, |project| {
        project["icon"] = json!("<project>.png");
        project["status"] = json!("deleted");
    });
    about(&fixture.ann, "permanent_delete", &fixture.project)
        .await
        .success();
    get(&fixture.app.http, &format!("{}.png", fixture.project))
        .await
        .assert_error(404, "Not found", &json!({}));
    eventually("no file", Duration::from_secs(10), async || {
        files(fixture.app.installation.path())
            .is_empty()
            .then_some(())
    })
    .await;
    upload(&fixture.ann, &fixture.project, &png())
        .await
        .assert_forbidden();
}

async fn replaced_icon_is_gone_on_every_gateway(backend: Backend) {
    let split = Services::start(backend).await;
    let ann = split.user("ann").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    let gateway = split.start_replica(Role::Gateway, &[]).await;
    let other = gateway.http();
    let ann_there = User {
        http: other.clone(),
        token: ann.token.clone(),
        gid: ann.gid.clone(),
        username: String::new(),
    };
    for (user, red_value) in [(&ann, 200), (&ann_there, 100), (&ann, 50)] {
        let name = uploaded(user, &project, &picture(ImageFormat::Png, red_value)).await;
        // Both gateways serve the new file immediately, because the directory returns its name.
        for http in [&split.http, &other] {
            assert_eq!(red(&get(http, &name).await), red_value);
        }
    }
    eventually("one file", SWEEP, async || {
        (files(split.installation.path()).len() == 1).then_some(())
    })
    .await;
}
