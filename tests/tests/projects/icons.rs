//! `/api/projects/upload_icon`, `delete_icon`, and `/media/icons/...`. What pictures and forms are, is tested for avatars; here is
//! what differs: the name stays, and the owner alone may.

use std::{
    io::Cursor,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use doorward_tests::{
    Answer, Backend, Http, Role, Services, User, eventually,
    http::{BOUNDARY, form},
    on_both_databases,
};
use http::Method;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};

use crate::{
    api_keys::calls::UNKNOWN_GID,
    projects::calls::{Fixture, about, cursor, options},
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
/// What a gateway does by itself, it does within this time after it was caused elsewhere.
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

async fn send(user: &User, parts: &[(&str, &[u8])]) -> Answer {
    let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
    user.http
        .post(UPLOAD)
        .bearer(&user.token)
        .header("content-type", &media_type)
        .body(form(parts))
        .send()
        .await
}

async fn upload(user: &User, project: &str, bytes: &[u8]) -> Answer {
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

pub(crate) async fn get(http: &Http, name: &str) -> Answer {
    http.get(&format!("/media/icons/{name}")).send().await
}

fn red(answer: &Answer) -> u8 {
    assert_eq!(answer.status, 200, "{answer:?}");
    image::load_from_memory(&answer.body)
        .expect("a picture")
        .to_rgb8()
        .get_pixel(9, 9)
        .0[0]
}

/// The files that are kept.
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
    let scene = Fixture::new(backend).await;
    let name = format!("{}.png", scene.project);
    let (mut now, mut tags) = (cursor(&scene.ben).await, Vec::new());
    for red_value in [200, 100, 50] {
        let answer = upload(
            &scene.ann,
            &scene.project,
            &picture(ImageFormat::Png, red_value),
        )
        .await;
        scene.assert_project(&answer, |project| project["icon"] = json!("<project>.png"));
        let icon = get(&scene.app.http, &name).await;
        assert_eq!(red(&icon), red_value);
        let tag = icon.header("etag").expect("an ETag").to_owned();
        assert!(!tags.contains(&tag), "{tag}");
        tags.push(tag);
        now += 1;
        assert_eq!(cursor(&scene.ben).await, now);
        let (_, data) = scene.ben.init().await.success();
        assert_eq!(data["cc.projects"][&scene.project]["icon"], json!(name));
    }
    eventually("one file", Duration::from_secs(10), async || {
        (files(scene.app.installation.path()).len() == 1).then_some(())
    })
    .await;
    // Once more is no change.
    for _ in 0..2 {
        let answer = about(&scene.ann, "delete_icon", &scene.project).await;
        scene.assert_project(&answer, |_| ());
        assert_eq!(cursor(&scene.ben).await, now + 1);
    }
    get(&scene.app.http, &name)
        .await
        .assert_error(404, "Not found", &json!({}));
    eventually("no file", Duration::from_secs(10), async || {
        files(scene.app.installation.path())
            .is_empty()
            .then_some(())
    })
    .await;
}

async fn new_format_replaces_the_extension(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let mut last: Option<String> = None;
    for (format, extension, media_type) in [
        (ImageFormat::Png, "png", "image/png"),
        (ImageFormat::Jpeg, "jpg", "image/jpeg"),
        (ImageFormat::Gif, "png", "image/png"),
        (ImageFormat::WebP, "webp", "image/webp"),
    ] {
        let name = uploaded(&scene.ann, &scene.project, &picture(format, 200)).await;
        assert_eq!(name, format!("{}.{extension}", scene.project));
        assert_eq!(
            get(&scene.app.http, &name).await.header("content-type"),
            Some(media_type)
        );
        if let Some(last) = last.replace(name) {
            get(&scene.app.http, &last)
                .await
                .assert_error(404, "Not found", &json!({}));
        }
    }
    // The file has a name of its own, which leads nowhere.
    for file in files(scene.app.installation.path()) {
        get(&scene.app.http, &file)
            .await
            .assert_error(404, "Not found", &json!({}));
    }
    let webp = last.expect("an icon");
    let stem = &scene.project;
    for other in [
        "x.webp",
        stem,
        &format!("{stem}.png"),
        &format!("{stem}.WEBP"),
        &format!("{UNKNOWN_GID}.webp"),
    ] {
        get(&scene.app.http, other)
            .await
            .assert_error(404, "Not found", &json!({}));
    }
    get(&scene.app.http, &webp.to_uppercase())
        .await
        .assert_error(404, "Not found", &json!({}));
}

async fn icon_is_served_until_replaced(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let name = uploaded(&scene.ann, &scene.project, &png()).await;
    let path = format!("/media/icons/{name}");
    let icon = get(&scene.app.http, &name).await;
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
    let ask = |tag: &str| {
        scene
            .app
            .http
            .get(&path)
            .header("if-none-match", tag)
            .send()
    };
    let same = ask(&tag).await;
    assert_eq!(
        (same.status, same.body.len(), same.header("etag")),
        (304, 0, Some(tag.as_str()))
    );
    assert_eq!(same.header("cache-control"), Some("no-cache"));
    let head = scene.app.http.call(Method::HEAD, &path).send().await;
    assert_eq!(
        (head.status, head.header("etag")),
        (200, Some(tag.as_str()))
    );
    let part = scene
        .app
        .http
        .get(&path)
        .header("range", "bytes=0-3")
        .send()
        .await;
    assert_eq!((part.status, &part.body[..]), (206, &icon.body[..4]));

    uploaded(&scene.ann, &scene.project, &picture(ImageFormat::Png, 10)).await;
    let changed = ask(&tag).await;
    assert_eq!(red(&changed), 10);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    scene
        .app
        .http
        .post(&path)
        .json(&json!({}))
        .send()
        .await
        .assert_error(405, "Method not allowed", &json!({}));
}

async fn icon_is_available_during_replacement(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let name = uploaded(&scene.ann, &scene.project, &png()).await;
    let is_done = AtomicBool::new(false);
    let readers = futures_util::future::join_all((0..4).map(|_| async {
        let mut count = 0;
        while !is_done.load(Ordering::SeqCst) {
            red(&get(&scene.app.http, &name).await);
            count += 1;
        }
        count
    }));
    let writer = async {
        for number in 0..40 {
            uploaded(
                &scene.ann,
                &scene.project,
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
    let scene = Fixture::new(backend).await;
    let project = scene.project.as_bytes();
    let (file, long) = (png(), [b'x'; 101]);
    // Also to who may not.
    for user in [&scene.ann, &scene.ben, &scene.cas] {
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
    let json = scene
        .ann
        .call(UPLOAD, &json!({"project": scene.project}))
        .await;
    json.assert_error(415, "Unsupported media type", &json!({}));
    let before = cursor(&scene.ann).await;
    upload(
        &scene.ann,
        &scene.project,
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
    )
    .await
    .assert_unprocessable("not_an_image");
    upload(&scene.ann, &scene.project, &file[..file.len() - 20])
        .await
        .assert_unprocessable("not_an_image");
    upload(&scene.ann, &scene.project, &vec![0; 10_000_001])
        .await
        .assert_error(413, "Payload too large", &json!({}));
    assert_eq!(
        (
            cursor(&scene.ann).await,
            files(scene.app.installation.path())
        ),
        (before, Vec::<String>::new())
    );
    // The order of the parts doesn't matter, and of two the first counts.
    let parts: &[(&str, &[u8])] = &[
        ("upload_file", &file),
        ("project", project),
        ("project", b"x"),
        ("upload_file", b"x"),
    ];
    scene.assert_project(&send(&scene.ann, parts).await, |project| {
        project["icon"] = json!("<project>.png")
    });
}

async fn icon_calls_require_the_owner(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let call = scene
        .app
        .http
        .post(UPLOAD)
        .header("content-type", &media_type);
    call.body(form(&[
        ("project", scene.project.as_bytes()),
        ("upload_file", &png()),
    ]))
    .send()
    .await
    .assert_unauthenticated();
    for bytes in [png(), b"no picture".to_vec()] {
        for user in [&scene.ben, &scene.cas, &scene.program] {
            upload(user, &scene.project, &bytes)
                .await
                .assert_forbidden();
        }
        upload(&scene.ann, UNKNOWN_GID, &bytes)
            .await
            .assert_forbidden();
    }
    assert!(files(scene.app.installation.path()).is_empty());
    let picture: Value = options(&scene.ann, &scene.project).await;
    assert!(picture.is_object());
    scene.assert_project(&about(&scene.ann, "get", &scene.project).await, |_| ());
}

async fn owner_can_change_the_icon_of_a_deleted_project(backend: Backend) {
    let scene = Fixture::new(backend).await;
    about(&scene.ann, "delete", &scene.project).await.success();
    let answer = upload(&scene.ann, &scene.project, &png()).await;
    scene.assert_project(&answer, |project| {
        project["icon"] = json!("<project>.png");
        project["status"] = json!("deleted");
    });
    about(&scene.ann, "permanent_delete", &scene.project)
        .await
        .success();
    get(&scene.app.http, &format!("{}.png", scene.project))
        .await
        .assert_error(404, "Not found", &json!({}));
    eventually("no file", Duration::from_secs(10), async || {
        files(scene.app.installation.path())
            .is_empty()
            .then_some(())
    })
    .await;
    upload(&scene.ann, &scene.project, &png())
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
        // At once, on both: the directory says which file it is.
        for http in [&split.http, &other] {
            assert_eq!(red(&get(http, &name).await), red_value);
        }
    }
    eventually("one file", SWEEP, async || {
        (files(split.installation.path()).len() == 1).then_some(())
    })
    .await;
}
