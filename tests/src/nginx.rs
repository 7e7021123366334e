//! A private nginx on loopback as a proxy in front of the gateway.

use std::{path::Path, process::Command, time::Duration};

use tempfile::TempDir;

use crate::{http::Http, ports, process::Process, wait::eventually};

/// Maximum time until nginx has started.
const START_TIMEOUT: Duration = Duration::from_secs(20);

pub struct Nginx {
    process: Process,
    _directory: TempDir,
    pub http: Http,
}

impl Nginx {
    /// Starts nginx in front of a server at this address, with these directives in its only
    /// location.
    pub async fn start(server: &str, directives: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let address = ports::free_address();
        let path = directory.path().join("nginx.conf");
        std::fs::write(
            &path,
            config(directory.path(), &address, server, directives),
        )
        .expect("a file");
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let mut command =
            Command::new(program.expect("no nginx: `./scripts/setup.sh test` installs it"));
        command
            .env_clear()
            .arg("-p")
            .arg(directory.path())
            .arg("-c")
            .arg(&path)
            .args(["-e", "stderr"]);
        let process = Process::spawn(command, directory.path(), "");
        let mut nginx = Self {
            process,
            _directory: directory,
            http: Http::new(&address),
        };
        eventually("nginx", START_TIMEOUT, async || {
            assert!(
                nginx.process.is_running(),
                "nginx exited: {}",
                nginx.process.log()
            );
            (nginx.http.status("/api/ping").await == Some(200)).then_some(())
        })
        .await;
        nginx
    }

    /// Returns the end of the log, for failure messages.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn config(directory: &Path, address: &str, server: &str, directives: &str) -> String {
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};", directory.join(kind).display()));
    format!(
        "daemon off; master_process off; pid {}; error_log stderr warn;
        events {{ worker_connections 1024; }}
        http {{
            access_log off;
            {}
            upstream doorward {{ server {server}; keepalive 16; }}
            server {{
                listen {address};
                location / {{
                    proxy_pass http://doorward;
                    proxy_http_version 1.1;
                    proxy_next_upstream off;
                    {directives}
                }}
            }}
        }}",
        directory.join("nginx.pid").display(),
        paths.join(" "),
    )
}
