//! An S3 server on loopback that stores its objects in memory (moto).

use std::{
    path::PathBuf,
    process::{Child, Stdio},
    time::Duration,
};

use http::Method;

use crate::{http::Http, ports, process::clean_command, wait::eventually};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const BUCKET: &str = "pictures";
/// Secret access key. The S3 server does not check it; Doorward must never show it.
pub const SECRET: &str = "s3cret/with+signs";

/// A running S3 server. It ends when this value is dropped.
pub struct S3 {
    child: Child,
    http: Http,
}

impl S3 {
    /// Starts a server with one bucket.
    pub async fn start() -> Self {
        let python = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.tools/venv/bin/python");
        let address = ports::free_address();
        let (host, port) = address.rsplit_once(':').expect("host and port");
        let mut command = clean_command(&python);
        command.args(["-m", "moto.server", "-H", host, "-p", port]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", python.display()));
        let mut s3 = Self {
            child,
            http: Http::new(&address),
        };
        eventually(
            "moto (`./scripts/setup.sh test` installs it)",
            START_TIMEOUT,
            async || {
                assert!(
                    s3.child.try_wait().expect("a child").is_none(),
                    "moto ended: `./scripts/setup.sh test` installs it"
                );
                s3.http
                    .call(Method::PUT, &format!("/{BUCKET}"))
                    .try_send()
                    .await
                    .ok()
                    .filter(|answer| answer.status == 200)
            },
        )
        .await;
        s3
    }

    /// Returns the value of `DOORWARD_OBJECT_STORE` for the bucket.
    #[must_use]
    pub fn url(&self, prefix: &str) -> String {
        self.url_of(BUCKET, prefix)
    }

    #[must_use]
    pub fn url_of(&self, bucket: &str, prefix: &str) -> String {
        let endpoint = self.http.address();
        format!(
            "s3://{bucket}/{prefix}?endpoint=http://{endpoint}&region=us-east-1&allow_http=true&access_key_id=doorward\
            &secret_access_key={SECRET}"
        )
    }

    /// Returns the names of all objects in the bucket.
    pub async fn names(&self) -> Vec<String> {
        let answer = self
            .http
            .get(&format!("/{BUCKET}?list-type=2"))
            .send()
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = answer.text();
        text.split("<Key>")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned()))
            .collect()
    }

    /// Stops the server, so that connections are refused.
    pub fn stop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.stop();
    }
}
