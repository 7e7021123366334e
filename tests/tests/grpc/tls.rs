//! Tests mutual TLS between the services with certificates of one authority, and the certificates
//! of named service tokens.

use std::path::Path;

use doorward_rpc::{
    auth::v1::{GetPublicKeysRequest, auth_client::AuthClient},
    directory::v1::{
        FindLoginRequest, ListProjectsRequest, directory_client::DirectoryClient,
        find_login_request::Identifier,
    },
};
use doorward_tests::{Backend, PASSWORD, Services, installation::SERVICE_TOKEN};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Identity},
};

use crate::grpc::{
    contract::{code, with_token},
    service_tokens::create,
};

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new([]).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self {
            issuer: CertifiedIssuer::self_signed(parameters, key).expect("a certificate"),
        }
    }

    fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Certificate and key of a service on this machine.
    fn issue(&self) -> (String, String) {
        self.issue_to(&["localhost"], "a service")
    }

    /// Certificate and key with these DNS names and this common name.
    fn issue_to(&self, names: &[&str], common_name: &str) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).expect("names");
        parameters.distinguished_name = DistinguishedName::new();
        parameters
            .distinguished_name
            .push(DnType::CommonName, common_name);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters
            .signed_by(&key, &self.issuer)
            .expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

/// Starts all services over TLS, with certificates of this authority.
async fn start(authority: &Authority, directory: &Path) -> Services {
    let (certificate, key) = authority.issue();
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let ca = file("ca.pem", &authority.certificate());
    let certificate = file("certificate.pem", &certificate);
    let key = file("key.pem", &key);
    let mut split = Services::prepare(Backend::Sqlite).await;
    let url = |address: &str| {
        format!(
            "https://localhost:{}",
            address.rsplit(':').next().expect("a port")
        )
    };
    let auth = url(&split.auth);
    let peer = url(&split.directory);
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

/// Returns whether the directory answers a client with this TLS configuration.
async fn answers(split: &Services, scheme: &str, tls: Option<ClientTlsConfig>) -> bool {
    let port = split.directory.rsplit(':').next().expect("a port");
    let mut endpoint = Channel::from_shared(format!("{scheme}://localhost:{port}")).expect("a URL");
    if let Some(tls) = tls {
        endpoint = endpoint.tls_config(tls).expect("TLS");
    }
    let mut client = DirectoryClient::new(endpoint.connect_lazy());
    let request = FindLoginRequest {
        identifier: Some(Identifier::Username("ann".to_owned())),
        project_gid: None,
    };
    client
        .find_login(with_token(request, SERVICE_TOKEN))
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn services_accept_certificates_of_one_authority_only() {
    let ours = Authority::new();
    let theirs = Authority::new();
    let directory = tempfile::tempdir().expect("a directory");
    let split = start(&ours, directory.path()).await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    assert_eq!(split.http.init(&token).await.status, 200);

    let identity = |authority: &Authority| {
        let (certificate, key) = authority.issue();
        Identity::from_pem(certificate, key)
    };
    let trusting =
        || ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ours.certificate()));
    assert!(answers(&split, "https", Some(trusting().identity(identity(&ours)))).await);
    assert!(
        !answers(&split, "https", Some(trusting())).await,
        "without a certificate"
    );
    assert!(
        !answers(
            &split,
            "https",
            Some(trusting().identity(identity(&theirs)))
        )
        .await,
        "with a certificate of another authority"
    );
    assert!(!answers(&split, "http", None).await, "without TLS");
}

#[tokio::test(flavor = "multi_thread")]
async fn named_token_is_accepted_with_a_certificate_of_its_name_only() {
    let authority = Authority::new();
    let directory = tempfile::tempdir().expect("a directory");
    let split = start(&authority, directory.path()).await;
    let token = create(
        &split.installation,
        "search",
        &["--scope", "verify", "--scope", "read"],
    )
    .await;
    // Returns the codes with which auth and the directory answer a client with this certificate and
    // token.
    let answers = async |names: &[&str], common_name: &str, token: &str| {
        let (certificate, key) = authority.issue_to(names, common_name);
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(authority.certificate()))
            .identity(Identity::from_pem(certificate, key));
        let channel = |address: &str| {
            let port = address.rsplit(':').next().expect("a port");
            let endpoint =
                Channel::from_shared(format!("https://localhost:{port}")).expect("a URL");
            endpoint
                .tls_config(tls.clone())
                .expect("TLS")
                .connect_lazy()
        };
        let mut auth = AuthClient::new(channel(&split.auth));
        let mut directory = DirectoryClient::new(channel(&split.directory));
        let projects = ListProjectsRequest {
            after_project_gid: None,
            page_size: 0,
        };
        [
            code(
                auth.get_public_keys(with_token(GetPublicKeysRequest {}, token))
                    .await,
            ),
            code(directory.list_projects(with_token(projects, token)).await),
        ]
    };
    for (names, common_name) in [
        (&["search"][..], "another"),
        (&["search"], "search"),
        (&["another", "search", "192.0.2.1"], "another"),
        (&["another"], "search"),
        (&[], "search"),
    ] {
        assert_eq!(
            answers(names, common_name, &token).await,
            [Code::Ok; 2],
            "{names:?} {common_name}"
        );
    }
    for (names, common_name) in [
        (&["another"][..], "another"),
        (&["localhost"], ""),
        (&[], "Search"),
        (
            &["searc", "search2", "a.search", "search.example.org"],
            "search ",
        ),
        (&["*", "*.search"], "*"),
    ] {
        let refused = answers(names, common_name, &token).await;
        assert_eq!(
            refused,
            [Code::Unauthenticated; 2],
            "{names:?} {common_name}"
        );
        // The service token of the three services is accepted with every certificate of the
        // authority.
        assert_eq!(
            answers(names, common_name, SERVICE_TOKEN).await,
            [Code::Ok; 2]
        );
    }
}
