//! Tests of the whole command line: its help, usage errors and roles.

use super::*;

fn parse_words(line: &str) -> Result<Command, clap::Error> {
    parse(line.split(' ').map(Into::into)).map(|(command, _)| command)
}

fn leaves(command: &clap::Command) -> Vec<&clap::Command> {
    let own = command.get_subcommands().flat_map(leaves);
    std::iter::once(command).chain(own).collect()
}

#[test]
fn command_line_is_consistent() {
    build_command().debug_assert();
}

#[test]
fn every_command_shows_an_example() {
    let mut command = build_command();
    command.build();
    for command in leaves(&command)
        .into_iter()
        .filter(|command| command.get_name() != "help")
    {
        if command
            .get_bin_name()
            .is_some_and(|name| name.contains(" help"))
        {
            continue;
        }
        let help = command.clone().render_long_help().to_string();
        assert!(help.contains("Example"), "{help}");
    }
}

#[test]
fn short_help_leaves_settings_out_and_long_help_has_them() {
    let mut command = build_command();
    assert!(
        !command
            .render_help()
            .to_string()
            .contains("--token-lifetime")
    );
    let long = command.render_long_help().to_string();
    assert!(
        long.contains("--token-lifetime") && long.contains("DOORWARD_TOKEN_LIFETIME"),
        "{long}"
    );
    assert!(!long.contains("--master-key <"), "{long}");
}

#[test]
fn role_follows_the_command() {
    for (line, role) in [
        ("doorward demo", Role::Demo),
        ("doorward serve", Role::All),
        ("doorward serve all --migrate", Role::All),
        ("doorward serve --migrate gateway", Role::Gateway),
        (
            "doorward --listen 127.0.0.1:1 serve auth --print-config",
            Role::Auth,
        ),
        ("doorward serve directory --log-mails", Role::Directory),
        ("doorward migrate", Role::Migrate),
        ("doorward user list", Role::Admin),
        ("doorward user import users.jsonl", Role::Admin),
        ("doorward keys retire 1", Role::Admin),
        (
            "doorward service-token create --name search --scope read --scope verify",
            Role::Admin,
        ),
        ("doorward service-token revoke search", Role::Admin),
        ("doorward export", Role::Admin),
        ("doorward export state.jsonl", Role::Admin),
        ("doorward import", Role::Admin),
        (
            "doorward import state.jsonl --master-key-old-file old.key",
            Role::Admin,
        ),
        ("doorward healthcheck", Role::Admin),
        ("doorward openapi", Role::Admin),
    ] {
        assert_eq!(parse_words(line).unwrap().role(), role, "{line}");
    }
}

#[test]
fn exactly_one_password_source_is_accepted() {
    for command in ["user create --username ann", "user set-password ann"] {
        let line = |password: &str| parse_words(&format!("doorward {command}{password}"));
        assert!(line(" --password-stdin").is_ok());
        assert!(line(" --password-hash $2b$x").is_ok());
        assert_eq!(line("").unwrap_err().exit_code(), 2);
        assert_eq!(
            line(" --password-stdin --password-hash $2b$x")
                .unwrap_err()
                .exit_code(),
            2
        );
    }
    let Ok(Command::User(UserCommand::SetPassword { password, .. })) =
        parse_words("doorward user set-password ann --password-hash $2b$x")
    else {
        panic!("set-password");
    };
    assert!(!format!("{password:?}").contains("$2b$x"));
    assert!(matches!(NewPassword::from(password), NewPassword::Hash(_)));
}

#[test]
fn malformed_arguments_are_usage_errors() {
    for line in [
        "doorward",
        "doorward nothing",
        "doorward serve nothing",
        "doorward user create --username  --password-stdin",
        "doorward user create --username ann --email x --password-stdin",
        "doorward user create --username ann --language xx-nowhere --password-stdin",
        "doorward project create --owner ann",
        "doorward project show nothing",
        "doorward member add --project 0f8fad5b-d9cb-469f-a165-70867728950e --user ann --role king",
        "doorward keys retire",
        "doorward service-token",
        "doorward service-token create --name search",
        "doorward service-token create --scope read",
        "doorward service-token create --name Search --scope read",
        "doorward service-token create --name a,b --scope read",
        "doorward service-token create --name search --scope admin",
        "doorward service-token create --name search --scope read,follow",
        "doorward service-token create --name search --scope publish",
        "doorward service-token create --name search --scope publish --project nothing",
        "doorward service-token create --name search --scope read --project 0f8fad5b-d9cb-469f-a165-70867728950e",
        "doorward service-token revoke",
        "doorward service-token revoke ../search",
        "doorward serve --master-key x",
    ] {
        assert_eq!(parse_words(line).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn help_and_version_succeed() {
    for line in [
        "doorward --help",
        "doorward -h",
        "doorward user create --help",
        "doorward --version",
    ] {
        assert_eq!(parse_words(line).unwrap_err().exit_code(), 0, "{line}");
    }
    let version = parse_words("doorward --version").unwrap_err().to_string();
    assert_eq!(
        version,
        format!("doorward {}\n", doorward_domain::version::current_release())
    );
}

#[test]
fn key_id_may_begin_with_a_hyphen() {
    assert!(
        matches!(parse_words("doorward keys retire -dQ_x"), Ok(Command::Keys(KeysCommand::Retire { kid })) if kid == "-dQ_x")
    );
}
