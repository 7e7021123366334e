//! The release.

/// `YYYY.MM.NNN`, so that comparing as text compares the releases.
#[must_use]
pub fn release() -> String {
    let mut parts = env!("CARGO_PKG_VERSION").split(['.', '-', '+']);
    let mut next = || parts.next().and_then(|part| part.parse::<u32>().ok()).unwrap_or_default();
    format!("{:04}.{:02}.{:03}", next(), next(), next())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_release_has_fixed_width() {
        let release = super::release();
        assert_eq!(release.len(), "2026.11.001".len());
        assert!(release.as_str() >= "2026.11.001");
    }
}
