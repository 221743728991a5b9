//! Starts the nodes, shows how the work goes, kills whom the fault plan names, and leaves nobody behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{ExitCode, Stdio};

use biotope::Runtime;
use biotope::distribution::Authority;
use biotope::prelude::*;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::protocol::{Ask, Done, Told};
use crate::{Failure, Options};

const NODES: [&str; 3] = ["a", "b", "c"];

/// How long a node may take for a step, or to end.
const PATIENCE: Duration = secs(60);

/// How long nothing may be heard of the survey: longer than any file takes. Silence is an error, not a hang.
const LONGEST_SILENCE: Duration = secs(300);

/// What the launcher hears.
enum Heard {
    From {
        node: &'static str,
        told: Told,
    },
    /// Its standard output has ended, and so has the node.
    Gone {
        node: &'static str,
    },
    /// Somebody pressed Ctrl-C, or asked this OS process to end.
    Stop,
}

/// Runs a survey on three nodes of its own.
pub(crate) fn run(options: Options) -> Result<ExitCode, Failure> {
    let folder = tempfile::tempdir()?;
    let certificates = folder.path().to_owned();
    let (sender, code) = std::sync::mpsc::channel();
    let ended = biotope::run(Runtime::builder().workers(1), "launcher", async move {
        let watched = node();
        let launcher = spawn_process(async move |me: Process<Heard>| {
            let mut launcher = Launcher::new(me, options);
            let outcome = launcher.launch(&certificates).await;
            launcher.end().await;
            let _ = sender.send(outcome?);
            Ok(())
        });
        match watched.ended(&launcher).await {
            ExitReason::Normal => Ok(()),
            reason => Err(reason.into()),
        }
    })?;
    ended.map_err(|reason| reason.to_string())?;
    Ok(code.recv()?)
}

/// Shows a finished atlas. The last line is always the summary; the exit code is 0 only if nothing was
/// lost and no edge was used that is not there.
pub(crate) fn show(done: &Done, killed: u64) -> ExitCode {
    let summary = crate::report::Summary { killed, ..done.summary.clone() };
    print!("{}", done.text);
    println!("{}", summary.line());
    for stray in &done.strays {
        eprintln!("atlas: results went along an edge that is not in the wiring: {stray}");
    }
    if summary.lost > 0 {
        eprintln!("atlas: {} results were lost", summary.lost);
    }
    if summary.lost == 0 && done.strays.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Launcher {
    me: Process<Heard>,
    options: Options,
    /// In the order they were started; the first has the coordinator.
    nodes: Vec<Running>,
    killed: Vec<&'static str>,
    bar: ProgressBar,
}

struct Running {
    name: &'static str,
    child: Child,
    /// Closed to let it end.
    input: Option<ChildStdin>,
}

impl Launcher {
    fn new(me: Process<Heard>, options: Options) -> Self {
        let bar = if options.json { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} files, {per_sec}, {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { me, options, nodes: Vec::new(), killed: Vec::new(), bar }
    }

    async fn launch(&mut self, certificates: &Path) -> biotope::Result<ExitCode> {
        self.hear_signals();
        let authority = Authority::new("atlas")?;
        for name in NODES {
            let folder = certificates.join(name);
            std::fs::create_dir_all(&folder)?;
            authority.issue(name)?.write_to(&folder)?;
            self.start(name, &folder)?;
        }
        let addrs = self.addresses().await?;
        // Each pair is joined once: b and c join a, c joins b.
        for (at, name) in NODES.iter().enumerate() {
            for peer in &NODES[..at] {
                self.ask(name, &Ask::Join(addrs[peer].clone())).await?;
                self.hear(|heard| matches!(heard, Told::Joined(_)).then_some(())).await?;
            }
        }
        let nodes = NODES.map(str::to_owned).to_vec();
        self.ask(NODES[0], &Ask::Survey { options: Box::new(self.options.clone()), nodes }).await?;
        let done = self.watch().await?;
        self.bar.finish_and_clear();
        Ok(show(&done, self.killed.len() as u64))
    }

    /// Runs this program again as the node `name`.
    fn start(&mut self, name: &'static str, folder: &Path) -> biotope::Result<()> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--node", name, "--folder"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C goes to a whole process group; the nodes are told in order instead.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take();
        let launcher = self.me.address();
        spawn_process(async move |_: Process<()>| {
            let mut lines = output.map(|output| BufReader::new(output).lines());
            while let Some(lines) = &mut lines {
                let Ok(Some(line)) = lines.next_line().await else { break };
                match serde_json::from_str(&line) {
                    Ok(told) => launcher.cast(Heard::From { node: name, told }),
                    Err(_) => eprintln!("{name}: {line}"),
                }
            }
            launcher.cast(Heard::Gone { node: name });
            Ok(())
        });
        let input = child.stdin.take();
        self.nodes.push(Running { name, child, input });
        Ok(())
    }

    fn hear_signals(&self) {
        let launcher = self.me.address();
        spawn_process(async move |_: Process<()>| {
            use tokio::signal::unix::{SignalKind, signal};
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            std::future::poll_fn(|cx| {
                let terminated = terminate.poll_recv(cx).is_ready();
                if terminated || interrupt.poll_recv(cx).is_ready() {
                    return std::task::Poll::Ready(());
                }
                std::task::Poll::Pending
            })
            .await;
            launcher.cast(Heard::Stop);
            Ok(())
        });
    }

    async fn addresses(&mut self) -> biotope::Result<BTreeMap<&'static str, String>> {
        let mut addrs = BTreeMap::new();
        while addrs.len() < NODES.len() {
            match self.me.receive().timeout(PATIENCE).await? {
                Heard::From { node, told: Told::Listening(addr) } => drop(addrs.insert(node, addr)),
                heard => self.on_other(heard)?,
            }
        }
        Ok(addrs)
    }

    /// Waits for something that a node tells.
    async fn hear<T>(&mut self, wanted: impl Fn(&Told) -> Option<T>) -> biotope::Result<T> {
        loop {
            let heard = self.me.receive().timeout(PATIENCE).await?;
            match &heard {
                Heard::From { told, .. } if let Some(found) = wanted(told) => return Ok(found),
                _ => self.on_other(heard)?,
            }
        }
    }

    /// Follows the survey to its end.
    async fn watch(&mut self) -> biotope::Result<Done> {
        loop {
            match self.me.receive().timeout(LONGEST_SILENCE).await? {
                Heard::From { told: Told::Progress { done, of, by }, .. } => {
                    self.bar.set_length(of as u64);
                    self.bar.set_position(done as u64);
                    let by: Vec<String> = by.iter().map(|(node, files)| format!("{node}: {files}")).collect();
                    self.bar.set_message(by.join("  "));
                }
                Heard::From { told: Told::Kill(victim), .. } => self.kill(&victim),
                Heard::From { told: Told::Done(done), .. } => return Ok(*done),
                heard => self.on_other(heard)?,
            }
        }
    }

    /// Kills a node with SIGKILL.
    fn kill(&mut self, victim: &str) {
        if let Some(node) = self.nodes.iter_mut().find(|node| node.name == victim)
            && node.child.start_kill().is_ok()
        {
            self.killed.push(node.name);
            self.bar.println(format!("node {victim} is killed"));
        }
    }

    /// What ends the run early, or does not matter.
    fn on_other(&self, heard: Heard) -> biotope::Result<()> {
        let failure = match heard {
            Heard::From { node, told: Told::Failed(text) } => format!("node {node}: {text}"),
            Heard::Gone { node } if !self.killed.contains(&node) => format!("node {node} ended"),
            Heard::Stop => "stopped".to_owned(),
            _ => return Ok(()),
        };
        Err(std::io::Error::other(failure).into())
    }

    async fn ask(&mut self, node: &str, ask: &Ask) -> biotope::Result<()> {
        let line = serde_json::to_string(ask)? + "\n";
        let input = self.nodes.iter_mut().find(|running| running.name == node).and_then(|node| node.input.as_mut());
        if let Some(input) = input {
            input.write_all(line.as_bytes()).await?;
            input.flush().await?;
        }
        Ok(())
    }

    /// Ends the nodes in order: the coordinator's first, so that the others have nothing left to do.
    async fn end(&mut self) {
        for mut node in self.nodes.drain(..) {
            drop(node.input.take());
            if time::timeout(PATIENCE, node.child.wait()).await.is_err() {
                // It did not end by itself; nobody is left behind.
                let _ = node.child.kill().await;
            }
        }
    }
}
