//! Decodes images in separate processes: a few at a time, with a bounded queue of which each user
//! has a bounded share. It does not know how an image is decoded.

use std::{
    collections::HashMap,
    fs::File,
    io::Seek,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use doorward_domain::Gid;
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    sync::Semaphore,
    time::timeout,
};

use crate::{
    decoder_process::{
        CANNOT_SET_LIMITS, DECODER_COMMAND, MAX_SECONDS, NOT_AN_IMAGE, TOO_MANY_PIXELS,
    },
    encode::MAX_BYTES,
    error::PictureError,
    format::Format,
    picture::Picture,
};

/// Maximum number of decoders that run at the same time. Each can take 512 MiB.
const MAX_DECODERS: usize = 2;
/// Maximum number of images that are being decoded or wait for it.
const MAX_IMAGES: usize = 16;
/// Maximum number of such images of one user. Only one of them is decoded at a time.
const MAX_IMAGES_PER_USER: usize = 8;
/// Maximum time that an image waits for a decoder.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The decoders of this process. Its program must call [`crate::run_decoder`] when its first
/// argument is [`DECODER_COMMAND`].
#[derive(Clone)]
pub struct DecoderPool {
    program: Arc<PathBuf>,
    queue_slots: Arc<Semaphore>,
    decoders: Arc<Semaphore>,
    /// One permit per user, for users with images in the queue.
    users: Arc<Mutex<HashMap<Gid, Weak<Semaphore>>>>,
    /// Maximum time of one decoder.
    max_time: Duration,
}

impl Default for DecoderPool {
    fn default() -> Self {
        Self::with_program(current_executable())
    }
}

impl DecoderPool {
    fn with_program(program: PathBuf) -> Self {
        Self {
            program: Arc::new(program),
            queue_slots: Arc::new(Semaphore::new(MAX_IMAGES)),
            decoders: Arc::new(Semaphore::new(MAX_DECODERS)),
            users: Arc::default(),
            max_time: Duration::from_secs(MAX_SECONDS),
        }
    }

    /// Decodes a file that a user uploaded and returns the picture to serve. Dropping the call ends
    /// its process.
    ///
    /// # Errors
    /// See [`PictureError`].
    pub async fn decode(&self, user: Gid, file: File) -> Result<Picture, PictureError> {
        let _queue_slot = self
            .queue_slots
            .try_acquire()
            .map_err(|_| PictureError::Busy)?;
        let turn = self.user_queue(user)?;
        // The turn of the user comes first: images of one user must not occupy all decoders while
        // they wait for each other.
        let turns = async { (turn.acquire().await, self.decoders.acquire().await) };
        let (Ok(_turn), Ok(_decoder)) = timeout(MAX_WAIT, turns)
            .await
            .map_err(|_| PictureError::Busy)?
        else {
            return Err(PictureError::Busy);
        };
        let child = self.spawn(file).map_err(|error| {
            tracing::error!(%error, "failed to start an image decoder");
            PictureError::Busy
        })?;
        wait_for_decoder(child, self.max_time).await
    }

    /// Returns the semaphore that admits one image of the user at a time. Its strong count is the
    /// number of images of the user in the queue.
    fn user_queue(&self, user: Gid) -> Result<Arc<Semaphore>, PictureError> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.retain(|_, turn| turn.strong_count() > 0);
        let known = users.get(&user).and_then(Weak::upgrade);
        let turn = known.unwrap_or_else(|| Arc::new(Semaphore::new(1)));
        if Arc::strong_count(&turn) > MAX_IMAGES_PER_USER {
            return Err(PictureError::Busy);
        }
        users.insert(user, Arc::downgrade(&turn));
        Ok(turn)
    }

    fn spawn(&self, mut file: File) -> std::io::Result<Child> {
        file.rewind()?;
        // Environment variables can contain secrets, which a decoder must not have.
        let mut command = Command::new(self.program.as_path());
        command
            .arg0("doorward")
            .arg(DECODER_COMMAND)
            .env_clear()
            .current_dir("/")
            .kill_on_drop(true);
        command
            .stdin(file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    }
}

/// Returns the path of the running program. On Linux this is a link that still leads to the same
/// program after an upgrade has replaced the file.
fn current_executable() -> PathBuf {
    if cfg!(target_os = "linux") {
        "/proc/self/exe".into()
    } else {
        std::env::current_exe().unwrap_or_default()
    }
}

/// Reads the output of a decoder and waits for its end. Kills a decoder that takes too long. Output
/// beyond the maximum size is not read.
async fn wait_for_decoder(mut child: Child, max_time: Duration) -> Result<Picture, PictureError> {
    let stdout = child.stdout.take();
    let mut bytes = Vec::new();
    let end = timeout(max_time, async {
        if let Some(stdout) = stdout {
            let max_bytes = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
            stdout.take(max_bytes + 1).read_to_end(&mut bytes).await?;
        }
        child.wait().await
    });
    let Ok(end) = end.await else {
        tracing::warn!(?max_time, "killed an image decoder that took too long");
        if let Err(error) = child.kill().await {
            tracing::error!(%error, "failed to kill an image decoder");
        }
        return Err(PictureError::NotAPicture);
    };
    let status = end.map_err(|error| {
        tracing::error!(%error, "failed to read from an image decoder");
        PictureError::Busy
    })?;
    match status.code().map(u8::try_from) {
        // The output is not trusted either: a decoder that was taken over can write anything.
        Some(Ok(0)) => {
            let format = Format::detect(&bytes)
                .filter(|_| bytes.len() <= MAX_BYTES)
                .ok_or(PictureError::NotAPicture)?;
            Ok(Picture { format, bytes })
        }
        Some(Ok(TOO_MANY_PIXELS)) => Err(PictureError::TooManyPixels),
        Some(Ok(NOT_AN_IMAGE)) => Err(PictureError::NotAPicture),
        Some(Ok(CANNOT_SET_LIMITS)) => {
            tracing::error!(
                "an image decoder cannot set its resource limits; no image can be decoded"
            );
            Err(PictureError::Busy)
        }
        Some(_) | None => {
            tracing::warn!(%status, "an image decoder crashed or reached a limit");
            Err(PictureError::NotAPicture)
        }
    }
}

#[cfg(test)]
#[path = "decoder_pool_tests.rs"]
mod tests;
