//! Doorward with all services in one process over SQLite.

use super::competitor::{Competitor, Memory, USERS};
use crate::{
    client::{Call, log_in},
    fill::{PASSWORD, Size, USERNAME, fill},
    installation::{Backend, Installation},
};

pub(super) async fn start() -> anyhow::Result<Competitor> {
    let installation = Installation::new(Backend::Sqlite)?;
    fill(
        &installation,
        Size {
            users: USERS,
            ..Size::SMALL
        },
    )?;
    let version = installation.run(&["--version"])?;
    let server = installation.serve().await?;
    let idle = Memory::when_idle(&server).await?;
    let token = log_in(server.address, USERNAME, PASSWORD).await?;
    Ok(Competitor {
        name: version.trim().replacen("doorward", "Doorward", 1),
        password_hash: "argon2id, 19 MiB, t=2",
        login: Call::login(USERNAME, PASSWORD),
        start: Call::init(&token),
        start_means: "init: 5 projects of 10 members, users, languages",
        server,
        idle,
        _files: Box::new(installation),
    })
}
