//! A server on a disk that can lose its power.

use doorward_tests::{App, Backend, Installation, Postgres, Power, backend::Databases};

/// A server whose SQLite files and pictures, or whose PostgreSQL, are on a disk that simulates
/// power cuts.
pub(crate) struct TestMachine {
    pub(crate) app: App,
    power: Power,
    postgres: Option<Postgres>,
}

impl TestMachine {
    pub(crate) async fn start(backend: Backend, settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        match backend {
            Backend::Sqlite => {
                let disk = directory.path().join("disk");
                std::fs::create_dir(&disk).expect("a directory");
                let power = Power::at(&disk, directory.path());
                let databases = Databases::in_directory(&disk);
                let data = disk.join("data").display().to_string();
                let installation =
                    Installation::over(databases, directory).with(&[("DOORWARD_DATA_DIR", &data)]);
                let variables = power.variables();
                let variables: Vec<(&str, &str)> = variables
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                let app = App::on_installation(installation.with(&variables).with(settings)).await;
                Self {
                    app,
                    power,
                    postgres: None,
                }
            }
            Backend::Postgres => {
                let (postgres, power) = Postgres::start_with_power_cuts();
                let app = App::on_installation(
                    Installation::over(Databases::on(&postgres), directory).with(settings),
                )
                .await;
                Self {
                    app,
                    power,
                    postgres: Some(postgres),
                }
            }
        }
    }

    pub(crate) async fn lose_power(&mut self) {
        self.app.process.kill();
        if let Some(postgres) = &self.postgres {
            postgres.stop();
        }
        self.power.cut();
        if let Some(postgres) = &self.postgres {
            postgres.detach();
            postgres.restart();
        }
        self.app.restart().await;
    }
}
