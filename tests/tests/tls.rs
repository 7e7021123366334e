//! TLS between the services, both ends with a certificate of one authority.

use std::path::Path;

use doorward_proto::directory::v1::{FindLoginRequest, directory_client::DirectoryClient, find_login_request::Who};
use doorward_tests::{Backend, PASSWORD, Split, installation::SERVICE_TOKEN};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::{
    Request,
    transport::{Certificate, Channel, ClientTlsConfig, Identity},
};

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new([]).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(parameters, key).expect("a certificate") }
    }

    fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Certificate and key of a service on this machine.
    fn issue(&self) -> (String, String) {
        let parameters = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

/// All services over TLS, with certificates of this authority.
async fn start(authority: &Authority, directory: &Path) -> Split {
    let (certificate, key) = authority.issue();
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let ca = file("ca.pem", &authority.certificate());
    let (certificate, key) = (file("certificate.pem", &certificate), file("key.pem", &key));
    let mut split = Split::prepare(Backend::Sqlite).await;
    let url = |address: &str| format!("https://localhost:{}", address.rsplit(':').next().expect("a port"));
    let (auth, peer) = (url(&split.auth), url(&split.directory));
    split.installation = split.installation.with(&[
        ("DOORWARD_GRPC_TLS_CA", &ca),
        ("DOORWARD_GRPC_TLS_CERT", &certificate),
        ("DOORWARD_GRPC_TLS_KEY", &key),
        ("DOORWARD_AUTH_URL", &auth),
        ("DOORWARD_DIRECTORY_URL", &peer),
    ]);
    split.start_all().await;
    split
}

/// Whether the directory answers one who shows this certificate and trusts this authority.
async fn answers(split: &Split, scheme: &str, tls: Option<ClientTlsConfig>) -> bool {
    let port = split.directory.rsplit(':').next().expect("a port");
    let mut endpoint = Channel::from_shared(format!("{scheme}://localhost:{port}")).expect("a URL");
    if let Some(tls) = tls {
        endpoint = endpoint.tls_config(tls).expect("TLS");
    }
    let mut client = DirectoryClient::new(endpoint.connect_lazy());
    let mut request = Request::new(FindLoginRequest { who: Some(Who::Username("ann".to_owned())), project_gid: None });
    request.metadata_mut().insert("x-service-token", SERVICE_TOKEN.parse().expect("ASCII"));
    client.find_login(request).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn services_with_certificates_of_one_authority_talk_and_others_are_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let directory = tempfile::tempdir().expect("a directory");
    let split = start(&ours, directory.path()).await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    assert_eq!(split.http.init(&token).await.status, 200);

    let identity = |authority: &Authority| {
        let (certificate, key) = authority.issue();
        Identity::from_pem(certificate, key)
    };
    let trusting = || ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ours.certificate()));
    assert!(answers(&split, "https", Some(trusting().identity(identity(&ours)))).await);
    assert!(!answers(&split, "https", Some(trusting())).await, "without a certificate");
    assert!(!answers(&split, "https", Some(trusting().identity(identity(&theirs)))).await, "with a stranger's");
    assert!(!answers(&split, "http", None).await, "without TLS");
}
