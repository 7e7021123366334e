//! The binary `doorward`: commands, settings, and the wiring of the services.

mod cli;
mod commands;
mod data_directory;
mod demo_page;
mod json;
mod log_queue;
mod master_key;
mod operations;
mod random;
mod secret_files;
mod settings;
mod shutdown;
mod stdout;
mod telemetry;
mod tls;
mod wiring;

use std::process::ExitCode;

use settings::{Settings, SettingsError};

fn main() -> ExitCode {
    // Before anything else, so that the decoder of images sets its limits first.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == doorward_media::DECODER_COMMAND)
    {
        return doorward_media::run_decoder();
    }
    let (command, flags) = cli::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let Err(error) = run(command, &flags) else {
        return ExitCode::SUCCESS;
    };
    log_queue::print_for_exit(format!("doorward: {error:#}\n"));
    ExitCode::from(if error.is::<SettingsError>() { 2 } else { 1 })
}

fn run(command: cli::Command, flags: &clap::ArgMatches) -> anyhow::Result<()> {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let environment = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value)));
    let settings = Settings::load(command.role(), environment, flags)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(wiring::worker_threads())
        .enable_all()
        .build()?;
    let entered = runtime.enter();
    let telemetry = telemetry::start(&settings.log, settings.role)?;
    settings
        .warnings
        .iter()
        .for_each(|warning| tracing::warn!("{warning}"));
    let done = runtime.block_on(commands::run(command, settings));
    drop(telemetry);
    drop(entered);
    runtime.shutdown_background();
    done
}
