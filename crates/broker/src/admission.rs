//! Admission workers: threads that parse, verify and look things up before the sequencer. Agencies have their turns, so statements leave in another
//! order than they came. Not the verification itself, which is `truc-core`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Condvar, Mutex};
use tokio::sync::mpsc;
use truc_blobs::{BlobPin, BlobStore};
use truc_core::registry::AgencyIndex;
use truc_core::{Admitted, Submit, admit};
use truc_signing::Statement;
use truc_transport::clock;
use truc_types::{AgencyCode, Position, Reason, Refusal};

use crate::committer::{Answer, Reply};
use crate::ended::Endings;
use crate::fair::FairQueue;
use crate::kind::Kind;
use crate::meters::Meters;
use crate::pace::OnTheWay;
use crate::published::Published;
use crate::sequencer::{Command, look_up};

/// A statement on its way to the sequencer.
pub(crate) struct Job {
    pub(crate) agency: AgencyCode,
    pub(crate) kind: Kind,
    pub(crate) file: Arc<[u8]>,
    pub(crate) force_takeover: bool,
    pub(crate) reply: Reply,
}

/// Hands statements to the workers. Cheap to clone; when the last one goes, the workers finish what waits and end.
#[derive(Clone)]
pub(crate) struct Admission {
    entrance: Arc<Entrance>,
}

/// The end of it that statements come in by.
struct Entrance(Arc<Waiting>);

/// Statements that wait for a worker: at most what all shares of [`crate::flow`] hold together.
#[derive(Default)]
struct Waiting {
    queue: Mutex<Queue>,
    on_the_way: OnTheWay,
    /// There is something for one worker, or nothing any more for all.
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: FairQueue<Job>,
    closed: bool,
}

/// What the workers need.
#[derive(Clone)]
pub(crate) struct Needs {
    pub(crate) published: Arc<Published>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) on_the_way: OnTheWay,
}

impl Admission {
    /// Starts as many workers as there are processors.
    pub(crate) fn start(needs: &Needs, endings: &Endings) -> std::io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let waiting = Arc::new(Waiting { on_the_way: needs.on_the_way.clone(), ..Waiting::default() });
        let entrance = Arc::new(Entrance(waiting.clone()));
        for number in 0..count {
            let (needs, waiting, ended) = (needs.clone(), waiting.clone(), endings.guard());
            std::thread::Builder::new().name(format!("admission-{number}")).spawn(move || {
                let _ended = ended;
                while let Some(job) = waiting.next() {
                    work(&needs, job);
                    needs.on_the_way.leave();
                }
            })?;
        }
        Ok(Self { entrance })
    }

    /// Hands a statement over. There is room: its charge was taken.
    pub(crate) fn submit(&self, job: Job) {
        let (line, bytes) = (job.reply.charge.line(), job.reply.charge.bytes());
        let Entrance(waiting) = &*self.entrance;
        waiting.on_the_way.enter();
        waiting.queue.lock().jobs.push(line, job.kind, bytes, job);
        waiting.changed.notify_one();
    }
}

impl Waiting {
    /// The next job; none when no more can come.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            self.changed.wait(&mut queue);
        }
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.queue.lock().closed = true;
        self.0.changed.notify_all();
    }
}

fn work(needs: &Needs, Job { agency, file, force_takeover, reply, .. }: Job) {
    match prepare(needs, &agency, file) {
        Ok((submit, pins)) => {
            let command = Command::Submit { submit: Box::new(submit), force_takeover, pins, reply };
            if let Err(mpsc::error::SendError(Command::Submit { reply, .. })) = needs.commands.blocking_send(command) {
                reply.send(Answer::Refused(Refusal::new(Reason::ShuttingDown, "the broker ends")));
            }
        }
        Err(refusal) => {
            tracing::info!(%agency, reason = %refusal.reason, cause = refusal.message, "not admitted");
            reply.send(Answer::Refused(refusal));
        }
    }
}

fn prepare(needs: &Needs, agency: &AgencyCode, file: Arc<[u8]>) -> Result<(Submit, Vec<BlobPin>), Refusal> {
    let registry = needs.published.registry();
    let admitted = admit(clock::now(), &registry, agency, file)?;
    let (objection, pins) = match pin_attachments(needs, agency, &admitted) {
        Ok(pins) => (None, pins),
        Err(refusal) => (Some(refusal), Vec::new()),
    };
    let mut submit = Submit { admitted, indexed: None, indexed_through: Position(0), objection, older_term_connected: false };
    look_up(&needs.published, &mut submit)?;
    Ok((submit, pins))
}

/// An envelope may name only what its own agency has fully uploaded; the pins keep it there until it is decided.
fn pin_attachments(needs: &Needs, agency: &AgencyCode, admitted: &Admitted) -> Result<Vec<BlobPin>, Refusal> {
    let Statement::Envelope(envelope) = &admitted.entry.statement else { return Ok(Vec::new()) };
    check_disk(&needs.meters)?;
    let carried = envelope.carried();
    let mut pins = Vec::with_capacity(carried.len());
    for (digest, size) in carried {
        let missing = || Refusal::new(Reason::AttachmentMissing, format!("attachment {digest} is not uploaded")).with("sha256", digest);
        let (pin, stored) = needs.blobs.pin(agency, &digest).map_err(|cause| cause.to_refusal())?.ok_or_else(missing)?;
        if stored != size {
            let message = format!("attachment {digest} has {stored} bytes, the envelope says {size}");
            return Err(Refusal::new(Reason::AttachmentSizeMismatch, message)
                .with("sha256", digest)
                .with("found", stored)
                .with("declared", size));
        }
        pins.push(pin);
    }
    Ok(pins)
}

/// Below the reserve no document and no attachment is taken in. Receipts go on, and what is in the log already gets its acceptance again.
pub(crate) fn check_disk(meters: &Meters) -> Result<(), Refusal> {
    if meters.disk_full.load(Ordering::Relaxed) {
        return Err(Refusal::new(Reason::DiskFull, "the disk of the axis is full: nothing new is taken in until there is room"));
    }
    Ok(())
}

/// The registry index of a connected agency.
pub(crate) fn agency_index(published: &Published, agency: &AgencyCode) -> Result<AgencyIndex, Refusal> {
    let unknown = || Refusal::new(Reason::SenderUnknown, format!("agency {agency} is not on this axis")).with("agency", agency);
    published.registry().agency_index(agency).ok_or_else(unknown)
}
