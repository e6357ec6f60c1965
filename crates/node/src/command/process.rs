//! A running command and its log file.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use alloy_primitives::B256;
use probity_core::Digest;
use probity_provenance::{
    command::CommandConfig,
    run_log::{Event, Exit, MAX_TEXT, Writer, texts},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc::{Receiver, Sender, channel},
    time::{Instant, timeout_at},
};

use crate::NodeError;

/// Lines that wait to be logged.
const WAITING: usize = 256;
/// How long to read on when a command ended and something it left behind holds its output open.
const LEFT_BEHIND: Duration = Duration::from_secs(2);
/// Shortest secret that is looked for in what a command writes.
const SHORTEST_SECRET: usize = 6;

/// Ends with everything in its process group, by a signal that nobody can refuse, when its standard input
/// is closed: by whoever holds the other end, or by the system when that process is gone.
const GUARD: &str = "trap '' HUP INT QUIT TERM; read -r _; kill -KILL 0";

/// Where a line was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

pub(super) enum Happened {
    Line(Stream, Vec<u8>),
    Ended(Exit),
}

/// A process group that is killed when this is dropped, and when this process ends in whatever way.
struct Group {
    guard: Child,
    lifeline: Option<ChildStdin>,
}

impl Group {
    fn new() -> Result<Self, NodeError> {
        let mut command = Command::new("sh");
        command.args(["-c", GUARD]).current_dir("/").env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: interrupting the terminal's leaves the guard.
        #[cfg(unix)]
        command.process_group(0);
        let mut guard = command.spawn().map_err(NodeError::file("start", "sh"))?;
        let lifeline = guard.stdin.take();
        Ok(Self { guard, lifeline })
    }

    /// Lets a command be born in the group. Where the guard is gone already it is not born.
    fn adopt(&self, command: &mut Command) {
        #[cfg(unix)]
        if let Some(leader) = self.guard.id().and_then(|id| i32::try_from(id).ok()) {
            command.process_group(leader);
        }
    }

    fn kill(&mut self) {
        self.lifeline = None;
    }
}

/// A command that runs. It is killed, with what it started, when this is dropped and when this process
/// is killed.
pub(super) struct Running {
    child: Child,
    group: Group,
    lines: Receiver<(Stream, Vec<u8>)>,
    program: String,
    /// How it ended, and until when what it left behind is listened to.
    ended: Option<(Exit, Instant)>,
}

/// Starts a command that sees the given variables and nothing else, and reads nothing.
pub(super) fn start(
    config: &CommandConfig,
    environment: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
) -> Result<Running, NodeError> {
    let (program, arguments) = config
        .command
        .split_first()
        .map_or(("", [].as_slice()), |parts| (parts.0.as_str(), parts.1));
    let group = Group::new()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment)
        .envs(secrets)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    group.adopt(&mut command);
    let mut child = command.spawn().map_err(NodeError::file("start", program))?;
    let (sender, lines) = channel(WAITING);
    if let Some(pipe) = child.stdout.take() {
        tokio::spawn(forward(Stream::Out, pipe, sender.clone()));
    }
    if let Some(pipe) = child.stderr.take() {
        tokio::spawn(forward(Stream::Err, pipe, sender));
    }
    Ok(Running { child, group, lines, program: program.to_owned(), ended: None })
}

/// Sends what comes out of a pipe, line by line; very long lines in pieces.
async fn forward<R: AsyncRead + Unpin>(stream: Stream, pipe: R, sender: Sender<(Stream, Vec<u8>)>) {
    let mut reader = BufReader::new(pipe);
    loop {
        let mut line = Vec::new();
        let mut piece = (&mut reader).take(MAX_TEXT as u64);
        match piece.read_until(b'\n', &mut line).await {
            Ok(count) if count > 0 => {}
            // A pipe that cannot be read any more is at its end.
            _ => return,
        }
        if sender.send((stream, line)).await.is_err() {
            return;
        }
    }
}

impl Running {
    /// The next thing that happens; its end last, when everything it wrote was seen. Interrupting this
    /// process ends the command.
    pub(super) async fn next(&mut self) -> Result<Happened, NodeError> {
        if let Some((exit, until)) = self.ended {
            let left = timeout_at(until, self.lines.recv()).await;
            return Ok(match left {
                Ok(Some((stream, line))) => Happened::Line(stream, line),
                _ => Happened::Ended(exit),
            });
        }
        tokio::select! {
            Some((stream, line)) = self.lines.recv() => Ok(Happened::Line(stream, line)),
            status = self.child.wait() => {
                let exit = exit_of(status.map_err(NodeError::file("wait for", &self.program))?);
                self.ended = Some((exit, Instant::now() + LEFT_BEHIND));
                Box::pin(self.next()).await
            }
            Ok(()) = tokio::signal::ctrl_c() => {
                self.group.kill();
                Box::pin(self.next()).await
            }
        }
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Exit::Signal(signal);
    }
    Exit::Code(status.code().unwrap_or(-1))
}

/// A log that is being written. A line is in the file before it is shown to anybody.
pub(super) struct RunningLog {
    path: PathBuf,
    file: File,
    writer: Writer,
    secrets: Vec<String>,
}

impl RunningLog {
    /// Begins the log of a run in a new file. The `secrets` are left out of it.
    pub(super) fn create(path: &Path, run: B256, secrets: Vec<String>) -> Result<Self, NodeError> {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let file = file.map_err(NodeError::file("write", path))?;
        let secrets =
            secrets.into_iter().filter(|secret| secret.len() >= SHORTEST_SECRET).collect();
        Ok(Self { path: path.to_owned(), file, writer: Writer::new(run), secrets })
    }

    fn append(&mut self, time: u64, event: Event) -> Result<(), NodeError> {
        let line = self.writer.append(time, event)?;
        self.file.write_all(&line).map_err(NodeError::file("write", &self.path))
    }

    pub(super) fn started(&mut self, time: u64) -> Result<(), NodeError> {
        self.append(time, Event::Started)
    }

    pub(super) fn alive(&mut self, time: u64) -> Result<(), NodeError> {
        self.append(time, Event::Alive)
    }

    pub(super) fn ended(&mut self, time: u64, exit: Exit) -> Result<(), NodeError> {
        self.append(time, Event::Ended(exit))
    }

    /// Logs a line, without its line end.
    pub(super) fn line(&mut self, time: u64, stream: Stream, line: &[u8]) -> Result<(), NodeError> {
        for mut text in texts(line.strip_suffix(b"\n").unwrap_or(line)) {
            for secret in &self.secrets {
                text = text.replace(secret.as_str(), "[secret]");
            }
            let event = match stream {
                Stream::Out => Event::Stdout(text),
                Stream::Err => Event::Stderr(text),
            };
            self.append(time, event)?;
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> Result<(), NodeError> {
        self.file.sync_data().map_err(NodeError::file("write", &self.path))
    }

    pub(super) fn head(&self) -> (u64, Digest) {
        self.writer.head()
    }
}
