//! Tests of the pool with small scripts in place of the decoder.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, path::Path, time::Instant};

use doorward_domain::{IdGenerator, RandomIdGenerator};
use tempfile::TempDir;

use super::*;

/// A program that runs in place of the decoder.
struct Program {
    directory: TempDir,
    pictures: DecoderPool,
}

impl Program {
    fn new(script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        Self {
            directory,
            pictures: DecoderPool::with_program(path),
        }
    }

    /// Returns a program that runs until its directory has a file `go`. It creates a file
    /// `running.<process id>`.
    fn waiting() -> Self {
        let program = Self::new("");
        let directory = program.directory.path().display();
        let script = format!(
            "#!/bin/sh\necho $$ > {directory}/running.$$\nuntil [ -e {directory}/go ]; do /bin/sleep 0.05; done\nexit 3\n"
        );
        fs::write(program.directory.path().join("program"), script).unwrap();
        program
    }

    fn go(&self) {
        fs::write(self.directory.path().join("go"), "").unwrap();
    }

    /// Returns the ids of all processes that were started.
    fn started(&self) -> Vec<String> {
        let names = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names
            .filter_map(|name| Some(name.to_str()?.strip_prefix("running.")?.to_owned()))
            .collect()
    }

    async fn wait_until_started(&self, count: usize) {
        wait_until(|| self.started().len() == count).await;
    }
}

async fn wait_until(is_true: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn user() -> Gid {
    RandomIdGenerator.new_gid()
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and more";

#[tokio::test]
async fn decoder_reads_the_file_and_writes_the_picture() {
    let program = Program::new("/bin/cat");
    let pictures = &program.pictures;
    let picture = pictures.decode(user(), file(PNG)).await.unwrap();
    assert_eq!(
        (picture.format, picture.bytes.as_slice()),
        (Format::Png, PNG)
    );
    // The output of the process is checked.
    assert_eq!(
        pictures.decode(user(), file(b"<html>")).await,
        Err(PictureError::NotAPicture)
    );
    let long = [PNG, &vec![0; MAX_BYTES]].concat();
    assert_eq!(
        pictures.decode(user(), file(&long)).await,
        Err(PictureError::NotAPicture)
    );
}

#[tokio::test]
async fn every_exit_of_the_process_gives_a_result() {
    for (script, expected) in [
        ("exit 3", PictureError::NotAPicture),
        ("exit 4", PictureError::TooManyPixels),
        ("exit 5", PictureError::Busy),
        ("exit 101", PictureError::NotAPicture),
        ("kill -9 $$", PictureError::NotAPicture),
        ("kill -6 $$", PictureError::NotAPicture),
        ("/bin/cat; exit 1", PictureError::NotAPicture),
        ("true", PictureError::NotAPicture),
    ] {
        assert_eq!(
            Program::new(script)
                .pictures
                .decode(user(), file(PNG))
                .await,
            Err(expected),
            "{script}"
        );
    }
    let missing = DecoderPool::with_program(PathBuf::from("/nowhere"));
    assert_eq!(
        missing.decode(user(), file(PNG)).await,
        Err(PictureError::Busy)
    );
}

#[tokio::test]
async fn process_gets_no_variables_and_one_argument() {
    let program = Program::new("");
    let path = program.directory.path().join("out");
    let script = format!(
        "#!/bin/sh\n(/usr/bin/env; pwd; echo \"$@\") > {}\nexit 3\n",
        path.display()
    );
    fs::write(program.directory.path().join("program"), script).unwrap();
    assert!(program.pictures.decode(user(), file(PNG)).await.is_err());
    let out = fs::read_to_string(path).unwrap();
    // The shell itself sets these two.
    let lines: Vec<&str> = out
        .lines()
        .filter(|line| !line.starts_with("PWD=") && !line.starts_with("_="))
        .collect();
    assert_eq!(lines, ["/", "decode-image"]);
}

#[tokio::test]
async fn dropped_call_kills_its_process() {
    let program = Program::waiting();
    let pictures = program.pictures.clone();
    let file = file(PNG);
    let call = tokio::spawn(async move { pictures.decode(user(), file).await });
    program.wait_until_started(1).await;
    let process = Path::new("/proc").join(&program.started()[0]);
    call.abort();
    wait_until(|| !process.exists()).await;
    program.go();
    assert_eq!(
        program.pictures.decode(user(), self::file(PNG)).await,
        Err(PictureError::NotAPicture)
    );
}

#[tokio::test]
async fn process_that_takes_too_long_is_ended() {
    let mut program =
        Program::new("echo $$ > \"$(dirname \"$0\")\"/running.$$; exec /bin/sleep 1000");
    program.pictures.max_time = Duration::from_millis(500);
    let start = Instant::now();
    assert_eq!(
        program.pictures.decode(user(), file(PNG)).await,
        Err(PictureError::NotAPicture)
    );
    assert!(start.elapsed() >= Duration::from_millis(500));
    assert_eq!(program.started().len(), 1);
    for process in program.started() {
        assert!(!Path::new("/proc").join(process).exists());
    }
    assert_eq!(program.pictures.decoders.available_permits(), MAX_DECODERS);
}

#[tokio::test]
async fn running_and_waiting_decoders_are_bounded() {
    let program = Program::waiting();
    let decode = |user: Gid| {
        let pictures = program.pictures.clone();
        let file = file(PNG);
        tokio::spawn(async move { pictures.decode(user, file).await })
    };
    // A user has one process at a time and a limited number of images in the queue.
    let ann = user();
    let mut calls: Vec<_> = (0..MAX_IMAGES_PER_USER).map(|_| decode(ann)).collect();
    wait_until(|| {
        program.pictures.queue_slots.available_permits() == MAX_IMAGES - MAX_IMAGES_PER_USER
    })
    .await;
    assert_eq!(
        program.pictures.decode(ann, file(PNG)).await,
        Err(PictureError::Busy)
    );
    program.wait_until_started(1).await;
    // Images of other users are decoded at the same time.
    calls.push(decode(user()));
    program.wait_until_started(2).await;
    calls.extend((calls.len()..MAX_IMAGES).map(|_| decode(user())));
    wait_until(|| program.pictures.queue_slots.available_permits() == 0).await;
    assert_eq!(
        program.pictures.decode(user(), file(PNG)).await,
        Err(PictureError::Busy)
    );
    assert_eq!(program.started().len(), MAX_DECODERS);
    program.go();
    for call in calls {
        assert_eq!(call.await.unwrap(), Err(PictureError::NotAPicture));
    }
    assert_eq!(
        program.pictures.decode(user(), file(PNG)).await,
        Err(PictureError::NotAPicture)
    );
    assert_eq!(program.pictures.users.lock().unwrap().len(), 1);
}
