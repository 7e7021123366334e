//! Example of another service that reads users and members over gRPC. The README has the same code,
//! without these first lines.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example reads the environment itself and prints its result"
)]

use doorward_rpc::{
    Peer, ServiceToken,
    auth::v1::{VerifyTokenRequest, auth_client::AuthClient},
    directory::v1::{
        CheckMembershipRequest, GetUserRequest, ListProjectsRequest,
        directory_client::DirectoryClient,
    },
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let token = ServiceToken::new(Some(std::env::var("SEARCH_TOKEN")?.into()));
    let peer = |url: String| Peer::Url { url, tls: None };
    let mut auth = AuthClient::new(peer(std::env::var("AUTH_URL")?).connect(&token)?);
    let mut directory =
        DirectoryClient::new(peer(std::env::var("DIRECTORY_URL")?).connect(&token)?);

    let verify = VerifyTokenRequest {
        token: std::env::var("TOKEN")?,
    };
    let user_gid = auth.verify_token(verify).await?.into_inner().subject;
    let user = directory
        .get_user(GetUserRequest {
            user_gid: user_gid.clone(),
        })
        .await?
        .into_inner()
        .user;
    println!("{} calls", user.ok_or("no user")?.name);

    let list = ListProjectsRequest {
        after_project_gid: None,
        page_size: 100,
    };
    for project in directory.list_projects(list).await?.into_inner().projects {
        let check = CheckMembershipRequest {
            project_gid: project.gid,
            user_gid: user_gid.clone(),
        };
        let membership = directory.check_membership(check).await?.into_inner();
        if membership.is_active {
            println!("{}: a member", project.name);
        } else {
            println!("{}: not a member", project.name);
        }
    }
    Ok(())
}
