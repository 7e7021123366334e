//! The global language list: every ISO 639-1 language, plus its regional forms such as `nl-be`.
//!
//! Codes are in lower case and names are in English. The list itself is generated from Unicode
//! CLDR by `scripts/languages.py`.

mod table;

use table::TABLE;

/// Returns the English name of the language with this exact, lower-case code.
#[must_use]
pub fn find_name(code: &str) -> Option<&'static str> {
    let index = TABLE
        .binary_search_by(|(known, _)| (*known).cmp(code))
        .ok()?;
    TABLE.get(index).map(|(_, name)| *name)
}

/// Returns whether the list has this exact, lower-case code.
#[must_use]
pub fn is_known(code: &str) -> bool {
    find_name(code).is_some()
}

/// Returns the code and the English name of every language, in the order of codes.
pub fn iter() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::{TABLE, find_name, is_known, iter};

    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(TABLE.is_sorted_by(|(before, _), (after, _)| before < after));
    }

    #[test]
    fn codes_are_a_lower_case_language_with_optional_territory() {
        let two_letters =
            |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_lowercase());
        for (code, _) in iter() {
            let (language, territory) = code.split_once('-').unwrap_or((code, "xx"));
            assert!(two_letters(language) && two_letters(territory), "{code}");
        }
    }

    #[test]
    fn every_iso_639_1_language_is_listed() {
        assert_eq!(iter().filter(|(code, _)| code.len() == 2).count(), 183);
        for withdrawn in ["bh", "in", "iw", "ji", "jw", "mo", "sh"] {
            assert!(!is_known(withdrawn), "{withdrawn}");
        }
    }

    #[test]
    fn every_code_is_found_by_name() {
        for (code, english) in iter() {
            assert_eq!(find_name(code), Some(english));
            assert!(!english.trim().is_empty(), "{code}");
        }
    }

    #[test]
    fn name_of_a_regional_code_starts_with_the_language() {
        for (code, english) in iter() {
            if let Some((language, _)) = code.split_once('-') {
                let expected = find_name(language).map(|language| format!("{language} ("));
                assert!(
                    expected.is_some_and(|start| english.starts_with(&start)),
                    "{code}"
                );
                assert!(english.ends_with(')'), "{code}");
            }
        }
    }

    #[test]
    fn names_are_english() {
        assert_eq!(find_name("en"), Some("English"));
        assert_eq!(find_name("nl"), Some("Dutch"));
        assert_eq!(find_name("da"), Some("Danish"));
        assert_eq!(find_name("nl-be"), Some("Dutch (Belgium)"));
        assert_eq!(find_name("pt-br"), Some("Portuguese (Brazil)"));
        assert_eq!(find_name("zh-tw"), Some("Chinese (Taiwan)"));
    }

    #[test]
    fn other_codes_are_unknown() {
        for code in ["", "n", "xx", "NL", "nl-BE", "nl_be", "nl-be-x", "zh-hant"] {
            assert!(!is_known(code), "{code}");
            assert_eq!(find_name(code), None);
        }
    }
}
