//! Tests the processing of uploaded images: photographs, hostile files, and the limits of the
//! decoder process.

use std::{
    io::{Cursor, Write},
    process::{Command, Stdio},
    time::Duration,
};

use doorward_tests::{
    App, Backend, eventually,
    images::{JpegShape, gif, jpeg, jpeg_with_many_scans, png, riff, webp, webp_with_many_codes},
    on_both_databases,
    process::binary,
};
use image::{DynamicImage, GrayImage, ImageFormat, Rgba, RgbaImage};
use serde_json::json;

use crate::{
    media::avatars::{get, upload, uploaded},
    projects::icons,
};

on_both_databases![
    photographs_are_rotated_and_scaled_down,
    incompressible_image_is_served_in_another_format
];

const MAX_SIDE: u32 = 1024;
const MAX_BYTES: usize = 512 * 1024;
/// Maximum growth of the server's memory.
const MAX_GROWTH_BYTES: u64 = 100 * 1024 * 1024;
/// Side of a square of almost 50 megapixels.
const SIDE: u16 = 7071;

/// Returns an image that no encoder can compress.
fn noise(width: u32, height: u32) -> RgbaImage {
    let mut state = 1_u32;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    RgbaImage::from_fn(width, height, |_, _| Rgba([byte(), byte(), byte(), byte()]))
}

fn file(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("an image");
    bytes.into_inner()
}

/// Runs a decoder as the server does. Returns its exit code, or `None` if a signal ended it, and
/// its output.
fn decode(file: &[u8]) -> (Option<i32>, Vec<u8>) {
    let mut command = Command::new(binary());
    command
        .arg("decode-image")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("a decoder");
    // The decoder can end before it has read the whole file.
    let _ = child.stdin.take().expect("stdin").write_all(file);
    let output = child.wait_with_output().expect("an exit status");
    (output.status.code(), output.stdout)
}

async fn photographs_are_rotated_and_scaled_down(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    for (orientation, size) in [
        (1, (1024, 683)),
        (3, (1024, 683)),
        (6, (683, 1024)),
        (8, (683, 1024)),
    ] {
        for (is_progressive, sampling) in
            [(true, &[0x22, 0x11, 0x11]), (false, &[0x11, 0x11, 0x11])]
        {
            let shape = JpegShape {
                width: 6000,
                height: 4000,
                sampling,
                is_progressive,
                orientation,
            };
            let name = uploaded(&ann, &jpeg(&shape)).await;
            let answer = get(&app.http, &name).await;
            assert!(name.ends_with(".jpg") && answer.header("content-type") == Some("image/jpeg"));
            assert!(answer.body.len() <= MAX_BYTES);
            let read = image::load_from_memory(&answer.body)
                .expect("an image")
                .to_rgb8();
            assert_eq!(read.dimensions(), size, "{shape:?}");
            assert!(
                read.get_pixel(9, 9)
                    .0
                    .iter()
                    .all(|sample| sample.abs_diff(128) < 4),
                "{shape:?}"
            );
        }
    }
}

async fn incompressible_image_is_served_in_another_format(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let transparent: DynamicImage = noise(1024, 1024).into();
    let opaque: DynamicImage = transparent.to_rgb8().into();
    for (image, extensions) in [(opaque, &["jpg"] as &[_]), (transparent, &["png", "webp"])] {
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            let bytes = file(&image, format);
            let avatar = uploaded(&ann, &bytes).await;
            let icon = icons::uploaded(&ann, &project, &bytes).await;
            for (name, answer) in [
                (&avatar, get(&app.http, &avatar).await),
                (&icon, icons::get(&app.http, &icon).await),
            ] {
                let (_, extension) = name.split_once('.').expect("an extension");
                assert!(extensions.contains(&extension), "{name}");
                let format = ImageFormat::from_extension(extension).expect("a format");
                assert_eq!(answer.header("content-type"), Some(format.to_mime_type()));
                assert_eq!(image::guess_format(&answer.body).expect("a format"), format);
                assert!(answer.body.len() <= MAX_BYTES, "{}", answer.body.len());
                let read = image::load_from_memory(&answer.body).expect("an image");
                assert_eq!(
                    (read.color().has_alpha(), read.width()),
                    (image.color().has_alpha(), read.height())
                );
            }
        }
    }
}

/// Returns files that cause much work or memory in a decoder, each in a different way.
fn hostile_files() -> Vec<(&'static str, Vec<u8>)> {
    // Returns compressed data that inflates to as many zeros as the square has pixels.
    let zeros = |side| {
        let png = file(&GrayImage::new(side, side).into(), ImageFormat::Png);
        let start = png
            .windows(4)
            .position(|kind| kind == b"IDAT")
            .expect("pixels");
        let length = u32::from_be_bytes(png[start - 4..start].try_into().expect("four bytes"));
        png[start + 4..][..usize::try_from(length).expect("a length")].to_vec()
    };
    let profile = [b"x\0\0".as_slice(), &zeros(9000)].concat();
    let text = [b"x\0\0".as_slice(), &zeros(4000)].concat();
    let pixels = zeros(4000);
    let mut chunks: Vec<(&[u8; 4], &[u8])> = vec![(b"iCCP", &profile)];
    chunks.extend((0..30).map(|_| (b"zTXt", text.as_slice())));
    let metadata_only = png(10, 10, &chunks);
    chunks.push((b"IDAT", &pixels[..50]));
    let animated = {
        let frame = [
            &[0; 6][..],
            &[0xff, 0x3f, 0, 0xff, 0x3f, 0],
            &[0; 4],
            b"VP8L\x08\0\0\0/\xff\xff\xff\x0f\0\0\0",
        ]
        .concat();
        let head = [2, 0, 0, 0, 9, 0, 0, 9, 0, 0];
        riff(&[(b"VP8X", &head), (b"ANIM", &[0; 6]), (b"ANMF", &frame)])
    };
    vec![
        ("WebP with many prefix codes", webp_with_many_codes()),
        ("JPEG with 99,000 scans", jpeg_with_many_scans()),
        ("PNG with compressed metadata and no pixels", metadata_only),
        (
            "PNG with compressed metadata and few pixels",
            png(10, 10, &chunks),
        ),
        (
            "PNG whose pixels are missing",
            png(7000, 7000, &[(b"IDAT", &pixels[..100])]),
        ),
        ("PNG without IDAT", png(7000, 7000, &[])),
        (
            "PNG that is not compressed",
            png(7000, 7000, &[(b"IDAT", &[0xff; 2_000_000])]),
        ),
        (
            "GIF with a frame of 4 gigapixels",
            gif(u16::MAX, u16::MAX, &[0x44; 3]),
        ),
        ("GIF with endless data", gif(7000, 7000, &[0x84; 2_000_000])),
        ("WebP with a frame of 268 megapixels", animated),
        (
            "JPEG that ends in its header",
            [b"\xff\xd8\xff\xe0".as_slice(), &[0xff; 2_000_000]].concat(),
        ),
        (
            "JPEG without a scan",
            [b"\xff\xd8\xff\xc2\0\x0b\x08\x1b\x58\x1b\x58\x01\x01\x11\0\xff\xd9".as_slice()]
                .concat(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_are_422_without_memory_growth() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let cas = app.user("cas").await;
    let large = file(
        &DynamicImage::from(noise(1100, 1000)).to_rgb8().into(),
        ImageFormat::Png,
    );
    let name = uploaded(&ann, &large).await;
    let before = app.process.peak_bytes().expect("a process");
    for (what, bytes) in hostile_files() {
        let answer = upload(&ann, &bytes).await;
        assert_eq!(answer.status, 422, "{what}: {answer:?}");
        answer.assert_unprocessable("not_an_image");
        ben.init().await.success();
    }
    let bomb = webp_with_many_codes();
    let many = (0..5)
        .flat_map(|_| [&ann, &ben, &cas])
        .map(|user| upload(user, &bomb));
    for answer in futures_util::future::join_all(many).await {
        match answer.status {
            422 => answer.assert_unprocessable("not_an_image"),
            _ => answer.assert_unavailable(),
        }
    }
    assert!(app.process.children().is_empty());
    let growth = app.process.peak_bytes().expect("a process") - before;
    assert!(growth < MAX_GROWTH_BYTES, "{growth}");
    let (_, data) = ann.init().await.success();
    assert_eq!(data["cc.users"][&ann.gid]["avatar"], json!(name));
    assert_ne!(uploaded(&ben, &large).await, name);
}

#[tokio::test(flavor = "multi_thread")]
async fn decoder_has_limits_and_no_variables() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let large = file(
        &DynamicImage::new_rgb8(SIDE.into(), SIDE.into()),
        ImageFormat::Png,
    );
    let uploading = tokio::spawn(async move { upload(&ann, &large).await });
    let is_limited = |limits: &str, name: &str| {
        limits.lines().any(|line| {
            line.starts_with(name) && !line.trim_start_matches(name).contains("unlimited")
        })
    };
    let names = [
        "Max cpu time",
        "Max data size",
        "Max address space",
        "Max core file size",
        "Max processes",
        "Max open files",
    ];
    let decoder = eventually(
        "a decoder with limits",
        Duration::from_secs(10),
        async || {
            let decoder = format!("/proc/{}", app.process.children().first()?);
            let limits = std::fs::read_to_string(format!("{decoder}/limits")).ok()?;
            names
                .iter()
                .all(|name| is_limited(&limits, name))
                .then_some(decoder)
        },
    )
    .await;
    assert_eq!(
        std::fs::read(format!("{decoder}/environ")).expect("the variables"),
        b""
    );
    assert_eq!(
        std::fs::read_to_string(format!("{decoder}/oom_score_adj"))
            .expect("the score")
            .trim(),
        "1000"
    );
    // Other uploads continue in the meantime.
    uploaded(
        &ben,
        &file(&DynamicImage::new_rgb8(64, 48), ImageFormat::Png),
    )
    .await;
    uploading.await.expect("an answer").success();
    assert!(!std::path::Path::new(&decoder).exists());
}

/// Images of the maximum size must fit into the memory limit of a decoder, in every format.
#[test]
fn fifty_megapixels_fit_in_a_decoder() {
    let side = u32::from(SIDE);
    let jpeg = |sampling, is_progressive| {
        jpeg(&JpegShape {
            width: SIDE,
            height: SIDE,
            sampling,
            is_progressive,
            orientation: 6,
        })
    };
    for (what, bytes) in [
        ("baseline JPEG", jpeg(&[0x11, 0x11, 0x11], false)),
        ("gray JPEG", jpeg(&[0x11], true)),
        ("progressive JPEG, 4:2:0", jpeg(&[0x22, 0x11, 0x11], true)),
        ("progressive JPEG, 4:2:2", jpeg(&[0x21, 0x11, 0x11], true)),
        ("progressive JPEG, 4:4:4", jpeg(&[0x11, 0x11, 0x11], true)),
        ("WebP", webp(side, side, false)),
        ("WebP with alpha", webp(side, side, true)),
        (
            "GIF",
            file(&DynamicImage::new_rgba8(side, side), ImageFormat::Gif),
        ),
        (
            "PNG",
            file(&DynamicImage::new_rgb8(side, side), ImageFormat::Png),
        ),
        (
            "PNG with 16 bits a channel and alpha",
            file(&DynamicImage::new_rgba16(side, side), ImageFormat::Png),
        ),
    ] {
        assert!(bytes.len() <= 10_000_000, "{what}: {}", bytes.len());
        let (code, written) = decode(&bytes);
        assert_eq!(code, Some(0), "{what}");
        let read = image::load_from_memory(&written).expect("an image");
        assert_eq!(
            (read.width(), read.height()),
            (MAX_SIDE, MAX_SIDE),
            "{what}"
        );
        assert_eq!(
            read.color().has_alpha(),
            what.contains("alpha") || what == "GIF",
            "{what}"
        );
        assert!(written.len() <= MAX_BYTES, "{what}");
    }
}

#[test]
fn decoder_that_needs_too_much_memory_ends() {
    let (code, written) = decode(&webp_with_many_codes());
    assert_eq!((code, written.len()), (None, 0));
    assert_eq!(decode(b"no image"), (Some(3), Vec::new()));
    assert_eq!(decode(&png(60_000, 60_000, &[])), (Some(4), Vec::new()));
}
