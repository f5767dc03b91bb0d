//! The project's own service as a process: started, killed, frozen.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// The service's program. `None`, and a line that says so, when the variable is not set.
pub fn program() -> Option<PathBuf> {
    let program = std::env::var_os("LEANAGG_SERVICE");
    if program.is_none() {
        eprintln!("skipped: set LEANAGG_SERVICE to the service's dist/cli/main.js");
    }
    program.map(PathBuf::from)
}

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A service with a socket of its own, which it keeps over its runs.
pub struct Service {
    program: PathBuf,
    folder: PathBuf,
    options: Vec<String>,
    listen: String,
    child: Option<Child>,
}

impl Service {
    /// Starts a service at a Unix socket.
    pub fn start(program: &Path, options: &[&str]) -> Self {
        Service::start_at(program, None, options)
    }

    /// Starts a service at this address. `None`: at a Unix socket.
    pub fn start_at(program: &Path, listen: Option<SocketAddr>, options: &[&str]) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("la-rust-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let socket = || format!("unix:{}", folder.join("socket").display());
        let mut service = Service {
            program: program.to_owned(),
            listen: listen.map_or_else(socket, |address| address.to_string()),
            folder,
            options: options.iter().map(|each| (*each).into()).collect(),
            child: None,
        };
        service.start_again();
        service
    }

    pub fn start_again(&mut self) {
        let log = fs::File::create(self.folder.join("log")).unwrap();
        let child = Command::new("node")
            .arg(&self.program)
            .args(["serve", "--admin", "off", "--probes", "off"])
            .args(["--log-level", "debug"])
            .args(["--listen", &self.endpoint()])
            .args([
                std::ffi::OsStr::new("--runtime-dir"),
                self.folder.as_os_str(),
            ])
            .args(&self.options)
            .env("XDG_STATE_HOME", &self.folder)
            .env("STATE_DIRECTORY", &self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("node is needed to run the service");
        self.child = Some(child);
    }

    pub fn endpoint(&self) -> String {
        self.listen.clone()
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Freezes the process, or lets it go on.
    pub fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(status.unwrap().success());
    }

    /// Number of groups whose proof this run has begun.
    pub fn begun(&self) -> usize {
        self.log().matches("group started").count()
    }

    /// Number of submissions that this run has answered.
    pub fn answered(&self) -> usize {
        let log = self.log();
        let ended = log.lines().filter(|line| line.contains("call ended"));
        ended.filter(|line| line.contains("SubmitSnapshot")).count()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.signal("-CONT");
        }
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
