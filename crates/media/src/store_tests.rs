//! Tests of the object store in a directory, and of names that it rejects.

use std::os::unix::fs::PermissionsExt;

use doorward_domain::RandomIdGenerator;

use super::*;

const NAME: &str = "avatars/0f8fad5b-d9cb-469f-a165-70867728950e.png";

fn store(directory: &tempfile::TempDir) -> Store {
    Store::open(&Location::Directory(directory.path().join("a/media"))).unwrap()
}

async fn text(object: Object) -> String {
    String::from_utf8(object.body.try_collect::<Vec<_>>().await.unwrap().concat()).unwrap()
}

#[tokio::test]
async fn stored_object_is_found_whole_and_in_ranges_until_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    store.probe(&RandomIdGenerator).await.unwrap();
    assert!(
        store.find(NAME, None).await.unwrap().is_none()
            && store.head(NAME).await.unwrap().is_none()
    );
    store.put(NAME, b"0123456789".to_vec()).await.unwrap();
    let head = store.head(NAME).await.unwrap().unwrap();
    let whole = store.find(NAME, None).await.unwrap().unwrap();
    assert_eq!((head.size, whole.size, &whole.range), (10, 10, &(0..10)));
    assert!(head.etag.is_some() && head.etag == whole.etag);
    assert_eq!(text(whole).await, "0123456789");
    let part = store.find(NAME, Some(2..5)).await.unwrap().unwrap();
    assert_eq!((part.size, &part.range), (10, &(2..5)));
    assert_eq!(text(part).await, "234");
    store.put(NAME, b"another".to_vec()).await.unwrap();
    assert_ne!(store.head(NAME).await.unwrap().unwrap().etag, head.etag);
    store.delete(NAME).await.unwrap();
    store.delete(NAME).await.unwrap();
    assert!(store.find(NAME, None).await.unwrap().is_none());
}

#[tokio::test]
async fn directory_is_private_and_empty_after_a_probe() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    store.probe(&RandomIdGenerator).await.unwrap();
    let root = directory.path().join("a/media");
    for path in [&root, &directory.path().join("a")] {
        assert_eq!(
            std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
    assert_eq!(std::fs::read_dir(root.join("probe")).unwrap().count(), 0);
}

#[tokio::test]
async fn partial_write_of_a_crash_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let partial = directory.path().join(format!("a/media/{NAME}#1"));
    std::fs::create_dir_all(partial.parent().unwrap()).unwrap();
    std::fs::write(&partial, "01").unwrap();
    assert!(store.find(NAME, None).await.unwrap().is_none());
    store.delete(NAME).await.unwrap();
    assert!(!partial.exists());
}

#[tokio::test]
async fn names_cannot_leave_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    std::fs::write(directory.path().join("secret"), "x").unwrap();
    for name in [
        "../secret",
        "avatars/../../secret",
        "avatars//x",
        "./x",
        "a\0b",
    ] {
        assert!(store.find(name, None).await.is_err(), "{name}");
        assert!(store.put(name, Vec::new()).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn unwritable_directory_is_rejected() {
    assert!(Store::open(&Location::Directory("/dev/null/media".into())).is_err());
}

#[tokio::test]
async fn missing_bucket_is_rejected() {
    let location = "s3://bucket?endpoint=http://127.0.0.1:9&allow_http=true&region=x&access_key_id=x&secret_access_key=s3cret";
    let store = Store::open(&location.parse().unwrap()).unwrap();
    let error = store
        .probe(&RandomIdGenerator)
        .await
        .unwrap_err()
        .to_string();
    assert!(!error.contains("s3cret"), "{error}");
    assert!(
        Store::open(
            &"s3://bucket?endpoint=http://127.0.0.1:9&timeout=s3cret"
                .parse()
                .unwrap()
        )
        .is_err()
    );
}
