//! A node before it is started, and what starts with it.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::{DIRECTED, Inner, Node, Weather};
use crate::config::SHUTDOWN_GRACE;
use crate::dead_letters::DeadLetters;
use crate::gateway::FarFuture;
use crate::names::Names;
use crate::panics;
use crate::pid::NodeId;
use crate::process::{StallCounts, Table};
use crate::registry::{Registry, RemoteActors, StartableActors};
use crate::runtime::{Runtime, RuntimeError};
use crate::sync::{AtomicU8, AtomicU64};

/// A node before it is started.
///
/// Layers above the runtime keep their settings here as [`Extension`]s.
#[must_use = "a builder does nothing until `start` is awaited"]
pub struct NodeBuilder {
    name: Arc<str>,
    runtime: Option<Runtime>,
    registry: Registry,
    extensions: BTreeMap<TypeId, Box<dyn AnyExtension>>,
    shutdown_grace: Duration,
}

/// Something that belongs to a node and starts with it: the settings, and what they bring about.
pub trait Extension: Default + Send + 'static {
    /// Starts it on `node`.
    ///
    /// # Errors
    /// Whatever keeps the node from starting.
    fn start(self, node: Node) -> impl Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>> + Send;
}

trait AnyExtension: Send {
    fn as_any(&mut self) -> &mut dyn Any;
    fn start(self: Box<Self>, node: Node) -> FarFuture<Result<(), Box<dyn std::error::Error + Send + Sync>>>;
}

impl<E: Extension> AnyExtension for E {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn start(self: Box<Self>, node: Node) -> FarFuture<Result<(), Box<dyn std::error::Error + Send + Sync>>> {
        Box::pin(Extension::start(*self, node))
    }
}

impl NodeBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            runtime: None,
            registry: Registry::default(),
            extensions: BTreeMap::new(),
            shutdown_grace: SHUTDOWN_GRACE,
        }
    }

    /// Runs the node's processes on `runtime`; without this, on one of its own.
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// How long the node's processes have to end in order when it is [shut down](Node::shutdown); without this, 5 seconds.
    /// Then they are killed.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.shutdown_grace = grace;
        self
    }

    /// Lets other nodes send messages to the processes of these actors: `.actors::<(Cart, Pricer)>()`.
    pub fn actors<A: RemoteActors>(mut self) -> Self {
        A::register(&mut self.registry);
        self
    }

    /// Lets other nodes start these actors here, and send them messages.
    pub fn startable<A: StartableActors>(mut self) -> Self {
        A::register(&mut self.registry);
        self
    }

    /// The settings of the layer `E`, made when they are first asked for.
    pub fn extension<E: Extension>(&mut self) -> &mut E {
        let extension = self.extensions.entry(TypeId::of::<E>()).or_insert_with(|| Box::new(E::default()));
        match (**extension).as_any().downcast_mut() {
            Some(extension) => extension,
            None => unreachable!("it is kept under its own type"),
        }
    }

    /// Starts the node.
    ///
    /// # Errors
    /// [`NodeError`]; nothing is left running.
    pub async fn start(mut self) -> Result<Node, NodeError> {
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => Runtime::new()?,
        };
        let extensions = std::mem::take(&mut self.extensions);
        let node = self.build(runtime);
        for extension in extensions.into_values() {
            if let Err(error) = extension.start(node.clone()).await {
                node.shutdown().await;
                return Err(NodeError::Extension(error));
            }
        }
        Ok(node)
    }

    /// The node, without what starts with it.
    pub(super) fn build(self, runtime: Runtime) -> Node {
        panics::install_hook();
        let id = NodeId::new(&self.name, incarnation(&runtime));
        let memory = runtime.memory().clone();
        let number = runtime.next_node_number();
        let weather = Weather::new(runtime.storm_limit());
        let noting = if runtime.directed().is_some() { DIRECTED } else { 0 };
        let inner = Inner {
            name: self.name,
            id,
            number,
            runtime,
            memory,
            table: Table::new(id),
            names: Names::default(),
            registry: self.registry,
            gateway: OnceLock::new(),
            dead_letters: DeadLetters::default(),
            stalls: StallCounts::default(),
            crashed: AtomicU64::new(0),
            noting: AtomicU8::new(noting),
            traces: OnceLock::new(),
            lints: OnceLock::new(),
            reports: OnceLock::new(),
            weather,
            shutdown_grace: self.shutdown_grace,
            halted: OnceLock::new(),
            scopes: Mutex::default(),
            node_monitors: Mutex::default(),
            leases: CachePadded::default(),
        };
        let node = Node(Arc::new(inner));
        node.runtime().enter_node(number, node.downgrade());
        node
    }
}

/// Milliseconds since 1970, so that it grows, and 20 random bits, so that two starts in one
/// millisecond differ.
fn incarnation(runtime: &Runtime) -> u64 {
    let random = runtime.random() & 0xf_ffff;
    if runtime.is_seeded() {
        return random;
    }
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    (millis << 20) | random
}

impl fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeBuilder({})", self.name)
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// It has no runtime and none could be made.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A layer above the runtime did not start.
    #[error(transparent)]
    Extension(Box<dyn std::error::Error + Send + Sync>),
}
