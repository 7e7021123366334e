//! Tests `/api/account/upload_avatar` and `delete_avatar`: answers, errors and permissions.
//! `avatars/serving.rs` tests how pictures are served, `avatars/object_stores.rs` where they are
//! stored.

pub(crate) mod object_stores;
pub(crate) mod serving;

use std::{io::Cursor, time::Duration};

use doorward_rpc::directory::v1::{
    ConfirmMediaDeletionRequest, ListDiscardedMediaRequest, PrepareAvatarRequest, SetAvatarRequest,
};
use doorward_tests::{
    App, Backend, Http, Response, Services, User, eventually,
    http::{BOUNDARY, form},
    images, on_both_databases,
    raw_http::Connection,
    snapshots::{assert_json_eq, with_names},
};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use tonic::Code;

use crate::grpc::contract::{GrpcClients, code, with_service_token};

on_both_databases![
    avatar_calls_return_the_user,
    invalid_picture_is_rejected,
    invalid_form_is_rejected,
    files_are_limited_to_ten_million_bytes,
    avatar_calls_require_an_account,
    upload_that_stops_half_way_leaves_nothing,
    other_services_set_pictures_by_the_contract,
];

const UPLOAD: &str = "/api/account/upload_avatar";
const DELETE: &str = "/api/account/delete_avatar";
/// Uploaded formats, with extension and type of the served file.
const FORMATS: [(ImageFormat, &str, &str); 4] = [
    (ImageFormat::Png, "png", "image/png"),
    (ImageFormat::Jpeg, "jpg", "image/jpeg"),
    (ImageFormat::Gif, "png", "image/png"),
    (ImageFormat::WebP, "webp", "image/webp"),
];
/// Maximum time until a gateway deletes files that another process has discarded.
const SWEEP: Duration = Duration::from_secs(20);

fn picture(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = DynamicImage::from(RgbImage::from_pixel(width, height, Rgb([200, 30, 30])));
    image.write_to(&mut bytes, format).expect("a picture");
    bytes.into_inner()
}

pub(crate) fn png() -> Vec<u8> {
    picture(ImageFormat::Png, 64, 48)
}

pub(crate) async fn upload(user: &User, bytes: &[u8]) -> Response {
    user.http
        .post(UPLOAD)
        .bearer(&user.token)
        .file("upload_file", bytes)
        .send()
        .await
}

/// Uploads an avatar and returns its name.
pub(crate) async fn uploaded(user: &User, bytes: &[u8]) -> String {
    avatar(&upload(user, bytes).await, user).expect("an avatar")
}

/// Returns the avatar in the answer to an upload or deletion.
fn avatar(answer: &Response, user: &User) -> Option<String> {
    let (_, data) = answer.success();
    data["cc.users"][&user.gid]["avatar"]
        .as_str()
        .map(str::to_owned)
}

pub(crate) async fn get(http: &Http, name: &str) -> Response {
    http.get(&format!("/media/avatars/{name}")).send().await
}

async fn assert_gone_within(http: &Http, name: &str, time: Duration) {
    let gone = async || Some(get(http, name).await).filter(|answer| answer.status != 200);
    eventually("404", time, gone)
        .await
        .assert_error(404, "Not found", &json!({}));
}

/// Returns the names of the files in the default directory.
fn files(app: &App) -> Vec<String> {
    let Ok(listed) = std::fs::read_dir(app.installation.path().join("data/media/avatars")) else {
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

async fn avatar_calls_return_the_user(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    app.installation.add_member(&project, "ben").await;
    let answered = |avatar: Value| {
        json!({"success": true, "result": {"user": "<ann>"}, "data": {"cc.users": {"<ann>": {
            "gid": "<ann>", "username": "ann", "email": "ann@example.org", "name": "Ann", "avatar": avatar,
            "status": "active", "options": {"language": "en", "timezone": "Europe/Amsterdam"}
        }}}})
    };
    let seen = async |user: &User| {
        let (result, data) = user.init().await.success();
        (
            result["cc.cursor"].as_i64().expect("a cursor"),
            data["cc.users"][&ann.gid]["avatar"].clone(),
        )
    };
    let (mut cursor, before) = seen(&ben).await;
    assert_eq!(before, json!(null));
    let mut names = Vec::new();
    for (format, extension, _) in FORMATS {
        let answer = upload(&ann, &picture(format, 64, 48)).await;
        let name = avatar(&answer, &ann).expect("an avatar");
        assert_json_eq(
            &with_names(&answer.json(), &[(&ann.gid, "<ann>")]),
            &answered(json!(name)),
        );
        let (gid, ending) = name.split_once('.').expect("an extension");
        assert!(
            gid.parse::<doorward_domain::Gid>().is_ok() && ending == extension && gid != ann.gid,
            "{name}"
        );
        assert!(!names.contains(&name));
        cursor += 1;
        for user in [&ann, &ben] {
            assert_eq!(seen(user).await, (cursor, json!(name)));
        }
        names.push(name);
    }
    // A second deletion changes nothing.
    for _ in 0..2 {
        let answer = ann.call(DELETE, &json!({})).await;
        assert_json_eq(
            &with_names(&answer.json(), &[(&ann.gid, "<ann>")]),
            &answered(json!(null)),
        );
        answer.success();
        assert_eq!(seen(&ben).await, (cursor + 1, json!(null)));
    }
}

async fn invalid_picture_is_rejected(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let name = uploaded(&ann, &png()).await;
    let (before, _) = ann.init().await.success();
    let png = png();
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let others: [&[u8]; 7] = [
        b"",
        b"x",
        svg,
        b"<!DOCTYPE html><p>",
        b"BM\x46\0\0\0",
        b"II*\0\x08\0\0\0",
        &png[..png.len() - 20],
    ];
    for bytes in others {
        upload(&ann, bytes)
            .await
            .assert_unprocessable("not_an_image");
    }
    for (width, height) in [
        (7072, 7071),
        (50_000_001, 1),
        (1, 50_000_001),
        (100_000, 100_000),
    ] {
        let png = images::png(width, height, &[(b"IDAT", b"x")]);
        upload(&ann, &png)
            .await
            .assert_unprocessable("image_too_large");
    }
    let (after, data) = ann.init().await.success();
    assert_eq!(
        (&after["cc.cursor"], &data["cc.users"][&ann.gid]["avatar"]),
        (&before["cc.cursor"], &json!(name))
    );
    assert_eq!(files(&app), [name]);
}

async fn invalid_form_is_rejected(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let call = |media_type: &str, body: Vec<u8>| {
        app.http
            .post(UPLOAD)
            .bearer(&ann.token)
            .header("content-type", media_type)
            .body(body)
    };
    let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let whole = form(&[("upload_file", &png())]);
    for other in [
        "application/json",
        "image/png",
        "multipart/mixed; boundary=x",
        "multipart",
        "x",
        "text/multipart/form-data",
    ] {
        call(other, whole.clone()).send().await.assert_error(
            415,
            "Unsupported media type",
            &json!({}),
        );
    }
    let without = app
        .http
        .post(UPLOAD)
        .bearer(&ann.token)
        .body(whole.clone())
        .send()
        .await;
    without.assert_error(415, "Unsupported media type", &json!({}));
    for other in [
        &[] as &[(&str, &[u8])],
        &[("file", b"x")],
        &[("Upload_file", b"x"), ("project", b"x")],
    ] {
        call(&media_type, form(other))
            .send()
            .await
            .assert_bad_parameter("Missing parameter", "upload_file");
    }
    let many = vec![("x", b"x".as_slice()); 9];
    let cut = |length: usize| whole[..length].to_vec();
    let unnamed = format!("--{BOUNDARY}\r\nContent-Type: image/png\r\n\r\nx\r\n--{BOUNDARY}--\r\n");
    for body in [
        Vec::new(),
        b"{}".to_vec(),
        cut(30),
        cut(200),
        cut(whole.len() - 50),
        unnamed.into(),
        form(&many),
    ] {
        call(&media_type, body).send().await.assert_invalid_body();
    }
    for broken in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=other",
    ] {
        call(broken, whole.clone())
            .send()
            .await
            .assert_invalid_body();
    }
    // The case of the media type and other parts do not matter; of two files the first counts.
    let parts: &[(&str, &[u8])] = &[("x", b"x"), ("upload_file", &png()), ("upload_file", b"x")];
    let answer = call(
        &media_type.replace("multipart/form", "Multipart/Form"),
        form(parts),
    )
    .send()
    .await;
    assert!(avatar(&answer, &ann).is_some());
    for body in [b"".as_slice(), b"[]", b"x"] {
        let call = app
            .http
            .post(DELETE)
            .bearer(&ann.token)
            .header("content-type", "application/json");
        call.body(body.to_vec()).send().await.assert_invalid_body();
    }
    app.http
        .post(DELETE)
        .bearer(&ann.token)
        .file("x", b"x")
        .send()
        .await
        .assert_error(415, "Unsupported media type", &json!({}));
    for path in [UPLOAD, DELETE] {
        app.http
            .get(path)
            .bearer(&ann.token)
            .send()
            .await
            .assert_error(405, "Method not allowed", &json!({}));
    }
}

async fn files_are_limited_to_ten_million_bytes(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let mut bytes = png();
    bytes.resize(10_000_000, 0);
    let name = uploaded(&ann, &bytes).await;
    assert!(get(&app.http, &name).await.body.len() < 10_000);
    bytes.push(0);
    upload(&ann, &bytes)
        .await
        .assert_error(413, "Payload too large", &json!({}));
    bytes.resize(11_000_000, 0);
    upload(&ann, &bytes)
        .await
        .assert_error(413, "Payload too large", &json!({}));
    // The limit also applies to the whole body.
    let parts: &[(&str, &[u8])] = &[("x", &bytes[..10_100_000]), ("upload_file", &png())];
    let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let call = app
        .http
        .post(UPLOAD)
        .bearer(&ann.token)
        .header("content-type", &media_type)
        .body(form(parts));
    call.send()
        .await
        .assert_error(413, "Payload too large", &json!({}));
    assert_eq!(files(&app), [name]);
}

async fn avatar_calls_require_an_account(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let robot = ann
        .create_api_user(&project, "Robot")
        .await
        .auth()
        .await
        .token();
    // The token is checked before the body.
    for body in [form(&[("upload_file", &png())]), b"x".to_vec()] {
        let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let call = || {
            app.http
                .post(UPLOAD)
                .header("content-type", &media_type)
                .body(body.clone())
        };
        call().send().await.assert_unauthenticated();
        call()
            .bearer("garbage")
            .send()
            .await
            .assert_unauthenticated();
        call().bearer(&robot).send().await.assert_forbidden();
    }
    app.http
        .post(DELETE)
        .json(&json!({}))
        .send()
        .await
        .assert_unauthenticated();
    app.http
        .post(DELETE)
        .bearer(&robot)
        .json(&json!({}))
        .send()
        .await
        .assert_forbidden();
    app.installation.change_user("deactivate", "ann").await;
    ann.assert_denied_eventually().await;
    upload(&ann, &png()).await.assert_unauthenticated();
    ann.call(DELETE, &json!({})).await.assert_unauthenticated();
    assert!(files(&app).is_empty());
}

async fn upload_that_stops_half_way_leaves_nothing(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let whole = form(&[("upload_file", &picture(ImageFormat::Png, 2000, 2000))]);
    let head = format!(
        "POST {UPLOAD} HTTP/1.1\r\nHost: doorward\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\
        Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n",
        ann.token,
        whole.len()
    );
    for part in [0, 60, 300, whole.len() / 2, whole.len() - 10] {
        let mut connection = Connection::open(app.http.address()).await;
        connection.send(head.as_bytes()).await;
        connection.send(&whole[..part]).await;
    }
    let name = uploaded(&ann, &png()).await;
    assert_eq!(files(&app), [name]);
}

async fn other_services_set_pictures_by_the_contract(backend: Backend) {
    let split = Services::start(backend).await;
    let ann = split.user("ann").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    let robot = ann.create_api_user(&project, "Robot").await.gid;
    let GrpcClients { mut directory, .. } = GrpcClients::connect(&split).await;
    let prepare = |user: &str, extension: &str| {
        with_service_token(PrepareAvatarRequest {
            user_gid: user.to_owned(),
            extension: extension.to_owned(),
        })
    };
    let set = |user: &str, name: Option<&str>| {
        with_service_token(SetAvatarRequest {
            user_gid: user.to_owned(),
            file_name: name.map(str::to_owned),
        })
    };
    let unknown = crate::api_keys::calls::UNKNOWN_GID;
    for (user, extension, expected) in [
        (ann.gid.as_str(), "svg", Code::InvalidArgument),
        (&ann.gid, "PNG", Code::InvalidArgument),
        (&ann.gid, "", Code::InvalidArgument),
        ("x", "png", Code::InvalidArgument),
        (&robot, "png", Code::PermissionDenied),
        (unknown, "png", Code::Unauthenticated),
    ] {
        assert_eq!(
            code(directory.prepare_avatar(prepare(user, extension)).await),
            expected,
            "{user} {extension}"
        );
    }
    let prepared = directory
        .prepare_avatar(prepare(&ann.gid, "webp"))
        .await
        .expect("a name")
        .into_inner()
        .file_name;
    for (user, name, expected) in [
        (robot.as_str(), None, Code::PermissionDenied),
        (unknown, None, Code::Unauthenticated),
        (
            &ann.gid,
            Some("0f8fad5b-d9cb-469f-a165-70867728950e.png"),
            Code::FailedPrecondition,
        ),
        (&ann.gid, Some(""), Code::FailedPrecondition),
    ] {
        assert_eq!(
            code(directory.set_avatar(set(user, name)).await),
            expected,
            "{user} {name:?}"
        );
    }
    for _ in 0..2 {
        let user = directory
            .set_avatar(set(&ann.gid, Some(&prepared)))
            .await
            .expect("a user")
            .into_inner()
            .user;
        assert_eq!(
            user.expect("a user").avatar.as_deref(),
            Some(prepared.as_str())
        );
    }
    let many = ConfirmMediaDeletionRequest {
        file_names: vec![prepared.clone(); 1001],
    };
    assert_eq!(
        code(
            directory
                .confirm_media_deletion(with_service_token(many))
                .await
        ),
        Code::InvalidArgument
    );
    // The file does not exist, so the gateway only removes it from the list of discarded media.
    directory
        .set_avatar(set(&ann.gid, None))
        .await
        .expect("a user");
    eventually("no discarded media", SWEEP, async || {
        let list = directory
            .list_discarded_media(with_service_token(ListDiscardedMediaRequest {}))
            .await
            .expect("a list");
        list.into_inner().file_names.is_empty().then_some(())
    })
    .await;
}
