//! The text of an export: JSON lines with a header, rows, pictures and a checksum.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    digest,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use doorward_tests::Installation;
use serde_json::Value;

/// Sealed columns: table, column, and the associated data of the value, which is a prefix and the
/// value of another column.
const SEALED: [(&str, &str, &str, &str); 4] = [
    (
        "auth.signing_keys",
        "sealed_private_key",
        "signing_key/",
        "kid",
    ),
    ("auth.secrets", "sealed_secret", "secret/", "name"),
    ("auth.api_keys", "sealed_key", "api_key/", "user_gid"),
    ("auth.outbox", "content", "outbox/", "id"),
];

#[derive(Clone)]
pub(crate) struct Export(pub(crate) String);

impl Export {
    pub(crate) async fn of(installation: &Installation) -> Self {
        Self(
            installation
                .cli(&["export"], "")
                .await
                .assert_success()
                .stdout,
        )
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.0
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    pub(crate) fn header(&self) -> Value {
        self.lines().remove(0)
    }

    pub(crate) fn sha256(&self) -> Value {
        self.lines().pop().expect("the last line")["sha256"].clone()
    }

    /// Returns the rows of a table.
    pub(crate) fn rows(&self, table: &str) -> Vec<Value> {
        let of_table = self
            .lines()
            .into_iter()
            .filter(|line| line["table"] == table);
        of_table.map(|line| line["row"].clone()).collect()
    }

    /// Returns all lines except the checksum, with sealed values unsealed by the master key.
    /// Sealing uses random nonces, so only unsealed exports can be compared.
    pub(crate) fn unsealed(&self, master_key: &str) -> Vec<Value> {
        let key =
            RandomizedNonceKey::new(&AES_256_GCM, &STANDARD.decode(master_key).expect("base64"))
                .expect("a key");
        let mut lines = self.lines();
        lines.pop();
        let mut opened = [0; SEALED.len()];
        for line in &mut lines {
            for (index, (table, column, prefix, id)) in SEALED.iter().enumerate() {
                if line["table"] != *table || line["row"][column] == "" {
                    continue;
                }
                let row = &mut line["row"];
                let associated_data = format!("{prefix}{}", row[id].as_str().expect("an id"));
                let mut sealed = STANDARD
                    .decode(row[column].as_str().expect("text"))
                    .expect("base64");
                let mut rest = sealed.split_off(12);
                let nonce = Nonce::try_assume_unique_for_key(&sealed).expect("a nonce");
                let plain = key
                    .open_in_place(nonce, Aad::from(associated_data.as_str()), &mut rest)
                    .expect("the right key");
                row[column] = STANDARD.encode(plain).into();
                opened[index] += 1;
            }
        }
        assert!(
            opened.iter().all(|count| *count > 0),
            "{opened:?}: a sealed column has no values"
        );
        lines
    }

    /// Returns an export with changed lines and a valid checksum.
    pub(crate) fn changed(&self, change: impl FnOnce(&mut Vec<Value>)) -> Self {
        let mut lines = self.lines();
        lines.pop();
        change(&mut lines);
        let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let sha256 = digest::digest(&digest::SHA256, text.as_bytes());
        let sha256: String = sha256
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        text.push_str(&format!("{}\n", serde_json::json!({"sha256": sha256})));
        Self(text)
    }
}
