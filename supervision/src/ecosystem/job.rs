//! A job: a message of the worker's actor, encoded, and the reply that somebody waits for.

use std::sync::Arc;

use biotope_runtime::{
    ActorRef, Call, CallFailed, Carrier, DecodeError, Incoming, MethodId, Node, Outgoing, PendingReply, Pid, Remote,
    Request,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::dispatch::JobId;
use super::relay::Answer;

/// A job that was handed in.
pub(crate) struct Job {
    pub(crate) order: Order,
    pub(crate) reply: PendingReply,
}

/// What a worker is to do, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) method: u32,
    #[serde(with = "serde_bytes")]
    pub(crate) arguments: Vec<u8>,
}

/// Makes jobs of calls: it is the worker that the caller's closure sees.
pub(crate) struct Template<W: Remote> {
    worker: ActorRef<W>,
    caught: Arc<Caught>,
}

impl<W: Remote> Template<W> {
    /// A template for workers that will be found later; `nobody` is any pid.
    pub(crate) fn new(node: &Node, nobody: Pid) -> Self {
        let caught = Arc::new(Caught(Mutex::new(None)));
        Self { worker: ActorRef::carried(node, nobody, caught.clone()), caught }
    }

    /// The job that `call` makes of the worker, and the request that its reply completes. `None` if it
    /// could not be encoded; then the request says why.
    pub(crate) fn job<R, T, E>(
        &self,
        call: impl for<'a> FnOnce(&'a W::Client) -> Call<'a, W::Msg, R, T, E>,
    ) -> (Option<Job>, Request<R, T, E>)
    where
        R: Send + 'static,
    {
        let (message, request) = call(&self.worker).into_parts();
        W::encode(message, Outgoing::new(&*self.caught, self.worker.pid()));
        (self.caught.0.lock().take(), request)
    }
}

/// Catches the call that a template is asked for.
struct Caught(Mutex<Option<Job>>);

impl Carrier for Caught {
    fn cast(&self, _to: Pid, _method: MethodId, _arguments: &dyn erased_serde::Serialize) {
        // Only calls are taken apart into jobs: the signature of `job` asks for one.
    }

    fn call(&self, _to: Pid, method: MethodId, arguments: &dyn erased_serde::Serialize, reply: PendingReply) {
        match encode(arguments) {
            Ok(arguments) => *self.0.lock() = Some(Job { order: Order { method: method.to_bits(), arguments }, reply }),
            Err(failed) => reply.complete(Err(failed)),
        }
    }
}

/// A worker as its member sees it: something that takes orders.
pub(crate) type Deliver = Box<dyn Fn(Incoming<'_, '_>) -> Result<(), DecodeError> + Send>;

/// Gives `order` to a worker; `done` is told what became of it, wherever that happens.
pub(crate) fn perform(deliver: &Deliver, job: JobId, order: &Order, done: impl FnOnce(JobId, Answer) + Send + 'static) {
    let reply = Box::new(move |outcome: Result<&dyn erased_serde::Serialize, CallFailed>| {
        let answer = match outcome.and_then(encode) {
            Ok(bytes) => Answer::Done(bytes),
            Err(failed) => Answer::Failed(failed),
        };
        done(job, answer);
    });
    let mut arguments = rmp_serde::Deserializer::from_read_ref(&order.arguments);
    let mut arguments = <dyn erased_serde::Deserializer<'_>>::erase(&mut arguments);
    let incoming = Incoming::new(MethodId::from_bits(order.method), &mut arguments, Some(reply));
    if let Err(error) = deliver(incoming) {
        // The reply has said so already.
        tracing::warn!(job, %error, "a worker cannot take this job");
    }
}

/// Completes a job's reply with the bytes that a worker answered.
pub(crate) fn complete(node: &Node, reply: PendingReply, answer: Answer) {
    match answer {
        Answer::Failed(failed) => reply.complete(Err(failed)),
        Answer::Done(bytes) => {
            let mut value = rmp_serde::Deserializer::from_read_ref(&bytes);
            let mut value = <dyn erased_serde::Deserializer<'_>>::erase(&mut value);
            node.decoding(|| reply.complete(Ok(&mut value)));
        }
    }
}

fn encode(value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, CallFailed> {
    let mut bytes = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes);
    match value.erased_serialize(&mut <dyn erased_serde::Serializer>::erase(&mut serializer)) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(CallFailed::Malformed(error.to_string())),
    }
}
