//! Measures the size and duration of login and init for two users who see about 10,000 users:
//! the owner of a project with 10,000 members, and a user in 2,000 projects. Also measures
//! a project login to the large project.

use anyhow::Context;
use doorward_domain::{IdGenerator, RandomIdGenerator};

use crate::{
    client::{Call, Connection, log_in},
    effort::Effort,
    fill::{PASSWORD, Team, USERNAME, import, insert_projects},
    init::alone,
    installation::{Backend, Installation},
    load,
    report::{Measurement, Report},
    rounds, sql,
    statistics::median,
};

const MEMBERS: usize = 10_000;
const PROJECTS: usize = 2000;
/// Number of members of each of these projects in addition to the user.
const OTHERS: usize = 4;
/// Maximum duration of a login to the project of 10,000 members.
const PROJECT_LOGIN_MILLISECONDS: f64 = 100.0;
/// Calls of each kind in a round.
const CALLS: usize = 4;

pub(crate) async fn measure(
    report: &mut Report,
    backend: Backend,
    effort: Effort,
) -> anyhow::Result<()> {
    let gids: Vec<String> = (0..MEMBERS)
        .map(|_| RandomIdGenerator.new_gid().to_string())
        .collect();
    let (own, others) = gids.split_at(1);
    let one_project: Vec<Team> = own
        .iter()
        .map(|owner| (owner.clone(), others.to_vec()))
        .collect();
    let groups = others.chunks(OTHERS).take(PROJECTS);
    let many_projects: Vec<Team> = groups
        .filter_map(|group| Some((group.first()?.clone(), [group, own].concat())))
        .collect();
    for (what, projects) in [
        ("a project of 10,000 members", one_project),
        ("2,000 projects of 5", many_projects),
    ] {
        let installation = Installation::new(backend)?;
        import(&installation, &gids)?;
        sql::execute(&installation.directory_url, &insert_projects(&projects))?;
        sql::analyze(&installation.directory_url)?;
        let server = installation.serve().await?;
        let mut connection = Connection::open(server.address).await?;
        let call = Call::login(USERNAME, PASSWORD);
        let answer = connection.ask(&call).await?;
        let bytes = answer.body.len();
        let project = first_project(&answer.body)?;
        let login = async || Ok(median(&load::alone(&mut connection, &call, CALLS).await?));
        let logins = rounds::run(effort, login).await?;
        let finding = Measurement::of(
            format!("login, {what}, {backend}"),
            "ms",
            &logins,
            |login| *login,
        );
        report.add(finding.note(format!("{bytes} bytes")));
        if projects.len() == 1 {
            let call = Call::project_login(&project, USERNAME, PASSWORD);
            let bytes = connection.ask(&call).await?.body.len();
            let login = async || Ok(median(&load::alone(&mut connection, &call, CALLS).await?));
            let logins = rounds::run(effort, login).await?;
            let finding = Measurement::of(
                format!("login to {what}, {backend}"),
                "ms",
                &logins,
                |login| *login,
            );
            report.add(
                finding
                    .at_most(PROJECT_LOGIN_MILLISECONDS)
                    .note(format!("{bytes} bytes")),
            );
        }
        let call = Call::init(&log_in(server.address, USERNAME, PASSWORD).await?);
        let inits = rounds::run(effort, async || {
            alone(&installation, &mut connection, &call, CALLS).await
        })
        .await?;
        let init = Measurement::of(
            format!("init after a change, {what}, {backend}"),
            "ms",
            &inits,
            |init| init.changed,
        );
        let unchanged = median(&inits.map(|init| init.unchanged));
        report.add(init.note(format!("{unchanged:.2} ms when nothing has changed")));
    }
    Ok(())
}

/// Returns the gid of one project in the response to a login.
fn first_project(answer: &[u8]) -> anyhow::Result<String> {
    let answer: serde_json::Value = serde_json::from_slice(answer)?;
    let projects = answer
        .pointer("/result/user_projects")
        .and_then(serde_json::Value::as_object);
    projects
        .and_then(|projects| projects.keys().next().cloned())
        .context("a login without projects")
}
