//! The master key, with which auth seals its secrets.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use doorward_domain::Malformed;
use secrecy::{ExposeSecret, SecretBox, zeroize::Zeroizing};

use crate::random::random_bytes;

/// The master key: 32 bytes, in base64 in files and settings. Its `Debug` output is redacted.
pub(crate) struct MasterKey(SecretBox<[u8; 32]>);

impl MasterKey {
    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    pub(crate) fn generate() -> anyhow::Result<Self> {
        Ok(Self(SecretBox::new(Box::new(random_bytes()?))))
    }
}

impl Clone for MasterKey {
    fn clone(&self) -> Self {
        Self(SecretBox::new(Box::new(*self.expose())))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([REDACTED])")
    }
}

impl FromStr for MasterKey {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed("expected 32 bytes in base64");
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| malformed)?);
        let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| malformed)?;
        Ok(Self(SecretBox::new(Box::new(bytes))))
    }
}
