//! The engine: the threads behind the services, from statement bytes to proofs, and the handles to them. Not the network: `run` puts it around this.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::Status;
use truc_blobs::{BlobStore, FolderStore};
use truc_proto::broker::v1::{SubmitRequest, SubmitResponse};
use truc_transport::checks::Checks;
use truc_transport::clock;
use truc_transport::metrics::Metrics;
use truc_transport::shutdown::Shutdown;
use truc_transport::tls::Peer;
use truc_types::limits::{SEQUENCER_QUEUE_MAX, SHUTDOWN_MILLIS_MAX};
use truc_types::{MessageId, Reason, Refusal};
use truc_views::{ViewStore, Writer};

use crate::admission::{Admission, Needs};
use crate::boot::{Booted, boot};
use crate::committer::{self, Committer};
use crate::config::BrokerConfig;
use crate::ended::Endings;
use crate::flow::Flow;
use crate::grpc::admin::Admin;
use crate::grpc::blobs::Blobs;
use crate::grpc::delivery::Deliveries;
use crate::grpc::directory::Directory;
use crate::grpc::log::Log;
use crate::grpc::submit::Submits;
use crate::meters::Meters;
use crate::pace::{OnTheWay, Pace};
use crate::published::Published;
use crate::sequencer::{Command, Sequencer};

type Thread<T> = std::thread::JoinHandle<T>;

/// Sequencer, committer and admission workers over one data folder, and the handles to them.
pub struct Engine {
    pub(crate) published: Arc<Published>,
    pub(crate) views: Arc<ViewStore>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) commands: mpsc::Sender<Command>,
    admission: Admission,
    pub(crate) clock_stepped_back: Arc<AtomicBool>,
    pub(crate) endings: Endings,
    meters: Arc<Meters>,
    flow: Arc<Flow>,
    sequencer: Thread<std::io::Result<()>>,
    committer: Thread<Result<(), Refusal>>,
}

impl Engine {
    /// Starts an engine without a network around it, and metrics of its own.
    ///
    /// # Errors
    /// As [`crate::run`]: what the data folder holds cannot be opened.
    pub fn alone(config: BrokerConfig) -> Result<Self, Refusal> {
        Self::start(config, Arc::new(Meters::new(&Metrics::new(&[crate::metrics::TABLE]))))
    }

    pub(crate) fn start(config: BrokerConfig, meters: Arc<Meters>) -> Result<Self, Refusal> {
        let failed = |cause: std::io::Error| {
            Refusal::new(Reason::of_system(&cause, Reason::ConfigInvalid), format!("cannot start a thread: {cause}"))
        };
        let Booted { journal, mut state, tail, tree, views, published } = boot(&config.data, &config.signer)?;
        state.limit_open_deliveries(config.open_deliveries_max);
        let blobs = FolderStore::open(&config.data.join("blobs")).map_err(|cause| cause.to_refusal())?;
        let blobs: Arc<dyn BlobStore> = Arc::new(blobs);
        let writer = Writer::start(views.clone(), 0, |_| {}).map_err(|cause| Refusal::new(cause.reason(), cause.to_string()))?;
        let endings = Endings::default();
        let committer = Committer {
            journal,
            signer: config.signer,
            published: published.clone(),
            views: writer,
            views_broken: false,
            sync_delay: config.sync_delay,
            meters: meters.clone(),
        };
        let committer::Running { jobs, durable, thread: committer } = committer::start(committer, endings.guard()).map_err(failed)?;
        let (commands, inbox) = mpsc::channel(SEQUENCER_QUEUE_MAX);
        let clock_stepped_back = Arc::new(AtomicBool::new(false));
        let stepped = clock_stepped_back.clone();
        let on_the_way = OnTheWay::default();
        let pace = Pace::new(on_the_way.clone());
        let sequencer = Sequencer::new(state, tree.frontier(), tail, published.clone(), views.clone(), jobs, stepped, meters.clone(), pace);
        let ended = endings.guard();
        let sequencer = std::thread::Builder::new().name("sequencer".to_owned()).spawn(move || {
            let _ended = ended;
            sequencer.run(inbox, durable)
        });
        let sequencer = sequencer.map_err(failed)?;
        let needs =
            Needs { published: published.clone(), blobs: blobs.clone(), commands: commands.clone(), meters: meters.clone(), on_the_way };
        let admission = Admission::start(&needs, &endings).map_err(failed)?;
        let flow = Arc::default();
        Ok(Self { published, views, blobs, commands, admission, clock_stepped_back, endings, meters, flow, sequencer, committer })
    }

    /// Takes the statements of one connected agency, as a submit stream brings them, and answers each once it is durable, in any order.
    pub fn submit<S>(&self, of: Peer, requests: S, shutdown: &Shutdown) -> impl Stream<Item = Result<SubmitResponse, Status>> + use<S>
    where
        S: Stream<Item = Result<SubmitRequest, Status>> + Send + Unpin + 'static,
    {
        self.submit_service(shutdown).answers(of, requests)
    }

    /// Whether the sequencer takes a question and answers it.
    pub(crate) async fn answers(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        let nobody = MessageId::from_bytes([0; 16]);
        self.commands.send(Command::Locate { message_id: nobody, reply }).await.is_ok() && answer.await.is_ok()
    }

    /// What the operator looks with.
    pub(crate) fn admin(&self, data: PathBuf, checks: Checks) -> Admin {
        Admin {
            published: self.published.clone(),
            commands: self.commands.clone(),
            views: self.views.clone(),
            blobs: self.blobs.clone(),
            meters: self.meters.clone(),
            clock_stepped_back: self.clock_stepped_back.clone(),
            data,
            checks,
            started_at: clock::now(),
        }
    }

    pub(crate) fn delivery_service(&self, shutdown: &Shutdown) -> Deliveries {
        let (published, commands) = (self.published.clone(), self.commands.clone());
        Deliveries { published, commands, last_stream: AtomicU64::new(0), shutdown: shutdown.clone() }
    }

    pub(crate) fn blob_service(&self) -> Blobs {
        let (store, published, commands) = (self.blobs.clone(), self.published.clone(), self.commands.clone());
        Blobs { store, published, commands, meters: self.meters.clone(), flow: self.flow.clone() }
    }

    pub(crate) fn submit_service(&self, shutdown: &Shutdown) -> Submits {
        let (admission, published) = (self.admission.clone(), self.published.clone());
        Submits { admission, flow: self.flow.clone(), published, meters: self.meters.clone(), shutdown: shutdown.clone() }
    }

    pub(crate) fn directory_service(&self) -> Directory {
        Directory { published: self.published.clone(), flow: self.flow.clone() }
    }

    pub(crate) fn log_service(&self) -> Log {
        Log { published: self.published.clone(), flow: self.flow.clone() }
    }

    /// Lets the sequencer finish what it has, however many connections still hold a way to it, and waits until that is durable.
    ///
    /// # Errors
    /// [`Reason::OutcomeUnknown`] when the journal failed, a thread panicked, or the last block was not durable in time.
    pub async fn finish(self) -> Result<(), Refusal> {
        let Self { sequencer, committer, commands, admission, endings, .. } = self;
        drop(admission);
        let joined = async move {
            if commands.send(Command::End).await.is_err() {
                tracing::debug!("the sequencer has ended before it was told to");
            }
            drop(commands);
            tokio::task::spawn_blocking(move || (sequencer.join(), committer.join())).await
        };
        let joined = tokio::time::timeout(Duration::from_millis(SHUTDOWN_MILLIS_MAX), joined).await;
        if let Some(thread) = endings.panicked() {
            return Err(defect(&format!("the thread {thread} panicked")));
        }
        match joined {
            Ok(Ok((Ok(Ok(())), Ok(committed)))) => committed,
            Ok(Ok((Ok(Err(cause)), _))) => Err(defect(&format!("the sequencer failed: {cause}"))),
            Ok(Ok(_)) => Err(defect("a thread of the broker panicked")),
            Ok(Err(_)) => Err(defect("waiting for the threads panicked")),
            Err(_) => Err(defect(&format!("the last block was not durable within {SHUTDOWN_MILLIS_MAX} ms"))),
        }
    }
}

pub(crate) fn defect(message: &str) -> Refusal {
    Refusal::new(Reason::OutcomeUnknown, message)
}
