//! Pictures are read one after another: the largest takes a core for seconds, and hundreds of megabytes.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tracing::Span;

use crate::{Picture, PictureError};

/// Besides the one that is being read.
const MAX_WAITING: usize = 8;

/// The place where a process reads pictures, one at a time.
#[derive(Clone)]
pub struct Pictures {
    places: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

impl Default for Pictures {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_WAITING + 1)), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Pictures {
    /// Checks it and writes it anew, in the format that it has.
    ///
    /// # Errors
    /// See [`PictureError`].
    pub async fn read(&self, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<Picture, PictureError> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| PictureError::Busy)?;
        let turn = self.turn.clone().acquire_owned().await.map_err(|_| PictureError::Busy)?;
        let span = Span::current();
        let reading = tokio::task::spawn_blocking(move || {
            // Until the work is done, also when nobody waits for it any more.
            let _held = (place, turn);
            span.in_scope(|| Picture::read(bytes.as_ref()))
        });
        reading.await.map_err(|_| PictureError::Busy)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nine_are_taken_and_the_tenth_is_told_at_once() {
        let pictures = Pictures::default();
        let turn = pictures.turn.clone().acquire_owned().await.unwrap();
        let reads: Vec<_> = (0..9)
            .map(|_| {
                let pictures = pictures.clone();
                tokio::spawn(async move { pictures.read(b"x".to_vec()).await })
            })
            .collect();
        while pictures.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pictures.read(b"x".to_vec()).await, Err(PictureError::Busy));
        drop(turn);
        for read in reads {
            assert_eq!(read.await.unwrap(), Err(PictureError::NotAPicture));
        }
        assert_eq!(pictures.read(b"x".to_vec()).await, Err(PictureError::NotAPicture));
    }
}
