//! Strength of passwords: an estimate of the guesses that one withstands (zxcvbn, D. Wheeler,
//! USENIX Security 2016).

use zxcvbn::{Score, zxcvbn};

use crate::{error::Error, model::feedback::Feedback, passwords::password::Password};

/// Words that a user's password must not be made of: names and addresses, whole and in parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserInputs(Vec<String>);

/// Minimum length of a part. Shorter parts, such as initials, occur in every password.
const MIN_INPUT_CHARS: usize = 3;
/// Maximum number of words. The time of a check grows with them.
const MAX_INPUTS: usize = 50;

impl UserInputs {
    /// Returns the words of these texts, and the name of the app.
    pub(crate) fn new(texts: &[&str]) -> Self {
        let parts = texts
            .iter()
            .flat_map(|text| text.split(|char: char| !char.is_alphanumeric()));
        let parts = parts.filter(|part| part.chars().count() >= MIN_INPUT_CHARS);
        let whole = texts.iter().copied().filter(|text| !text.is_empty());
        // The name of the app is among the first guesses (NIST SP 800-63B-4, section 3.1.1.2).
        let app = [doorward_mail::APP_NAME];
        Self(
            app.into_iter()
                .chain(whole)
                .chain(parts)
                .map(str::to_lowercase)
                .take(MAX_INPUTS)
                .collect(),
        )
    }
}

/// Checks that a password is not too easy to guess.
///
/// # Errors
/// [`Error::PasswordWeak`] if fewer than a hundred million guesses would find it (a score below 3).
pub(crate) fn check(password: &Password, user_inputs: &UserInputs) -> Result<(), Error> {
    let user_inputs: Vec<&str> = user_inputs.0.iter().map(String::as_str).collect();
    let entropy = zxcvbn(password.as_str(), &user_inputs);
    if entropy.score() >= Score::Three {
        return Ok(());
    }
    let feedback = entropy
        .feedback()
        .map_or_else(Feedback::default, |feedback| Feedback {
            warning: feedback
                .warning()
                .map(|warning| warning.to_string())
                .unwrap_or_default(),
            suggestions: feedback
                .suggestions()
                .iter()
                .map(ToString::to_string)
                .collect(),
        });
    Err(Error::PasswordWeak(feedback))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str, user_inputs: &[&str]) -> Result<(), Feedback> {
        let password = Password::parse(password).unwrap();
        match super::check(&password, &UserInputs::new(user_inputs)) {
            Ok(()) => Ok(()),
            Err(Error::PasswordWeak(feedback)) => Err(feedback),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn guessable_password_is_weak_with_feedback() {
        for weak in [
            "password",
            "12345678",
            "qwertyuiop",
            "aaaaaaaaaaaa",
            "Passw0rd!",
            "20011983",
        ] {
            let feedback = check(weak, &[]).unwrap_err();
            assert!(
                !feedback.warning.is_empty() || !feedback.suggestions.is_empty(),
                "{weak}"
            );
        }
        for strong in [
            "correct horse battery staple",
            "kV7-gluon-marmalade",
            "Ünïcödé-Påsswörd-🦀",
            "        7Gx!qP",
        ] {
            assert_eq!(check(strong, &[]), Ok(()), "{strong}");
        }
    }

    #[test]
    fn password_from_profile_data_is_weak() {
        let user_inputs = [
            "winterbottom",
            "percival.winterbottom@example.org",
            "Percival Winterbottom",
        ];
        for weak in [
            "winterbottom",
            "Winterbottom1",
            "percivalwinterbottom",
            "percival.winterbottom@example.org",
        ] {
            assert!(check(weak, &user_inputs).is_err(), "{weak}");
        }
        assert_eq!(check("kV7-gluon-marmalade", &user_inputs), Ok(()));
    }

    #[test]
    fn long_and_unusual_passwords_are_checked() {
        for text in [
            "x".repeat(256),
            "ab".repeat(128),
            "\u{202e}\u{0}\u{1f}12345678".to_owned(),
            "é".repeat(256),
        ] {
            drop(check(&text, &[&"y".repeat(200)]));
        }
    }
}
