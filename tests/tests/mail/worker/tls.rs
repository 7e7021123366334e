//! Tests TLS to mail servers and the check of their certificates.

use std::path::PathBuf;

use doorward_tests::{Backend, SmtpServer, process::clean_command, smtp::Options};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::mail::worker::fixture::{Fixture, mail};

/// Creates a server certificate for `localhost`. Returns the files of its authority, of the
/// certificate and of its key.
fn certificate(directory: &TempDir) -> [PathBuf; 3] {
    let mut parameters = CertificateParams::new([]).expect("no names");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate().expect("a key"))
        .expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let parameters = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = parameters
        .signed_by(&key, &authority)
        .expect("a certificate");
    let texts = [authority.pem(), certificate.pem(), key.serialize_pem()];
    let files = ["ca.pem", "certificate.pem", "key.pem"].map(|name| directory.path().join(name));
    for (file, text) in files.iter().zip(texts) {
        std::fs::write(file, text).expect("a file");
    }
    files
}

const URL_VARIABLE: &str = "TEST_SMTP_URL";

/// Runs in another process, which trusts the authority of the test through `SSL_CERT_FILE`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "part of the next test, which runs it in a separate process"]
async fn sends_one_mail() {
    let url = std::env::var_os(URL_VARIABLE)
        .expect("a URL")
        .into_string()
        .expect("UTF-8");
    let fixture = Fixture::sending_to(Backend::Sqlite, &url);
    fixture.put(mail("ann@example.org")).await;
    fixture.waiting(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_go_by_tls_and_only_to_a_server_with_a_trusted_certificate() {
    let directory = tempfile::tempdir().expect("a directory");
    let [authority, certificate, key] = certificate(&directory);
    for is_wrapped in [false, true] {
        let login = Some(("ann".to_owned(), "s3cret".to_owned()));
        let certificate = Some((certificate.clone(), key.clone()));
        let server = SmtpServer::start_with(Options {
            certificate,
            is_wrapped,
            login,
            ..Options::default()
        })
        .await;
        let url = server.url() + if is_wrapped { "" } else { "?tls=required" };

        let mut stranger = Fixture::sending_to(Backend::Sqlite, &url);
        stranger.put(mail("ann@example.org")).await;
        stranger.tried(1).await;
        stranger.stop().await;
        assert_eq!(server.mails().len(), 0);

        let mut child = clean_command(std::env::current_exe().expect("the path of this test"));
        child.args(["--exact", "mail::worker::tls::sends_one_mail", "--ignored"]);
        child
            .env("SSL_CERT_FILE", &authority)
            .env(URL_VARIABLE, &url);
        let output = tokio::task::spawn_blocking(move || child.output())
            .await
            .expect("no panic")
            .expect("a process");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        let received = server.mail_to("ann@example.org").await;
        assert!(received.is_encrypted);
        assert_eq!(received.user.as_deref(), Some("ann"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_without_the_tls_that_is_required_gets_no_mail() {
    let server = SmtpServer::start().await;
    let fixture = Fixture::sending_to(Backend::Sqlite, &(server.url() + "?tls=required"));
    fixture.put(mail("ann@example.org")).await;
    fixture.tried(1).await;
    assert_eq!(server.mails().len(), 0);
}
