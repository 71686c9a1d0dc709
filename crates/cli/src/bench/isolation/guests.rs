//! The three recipients of `truc bench isolation`: either all of them behave, or one reads a byte a second, one is away and one refuses everything.

use tokio::task::JoinSet;
use truc_edge::EdgeConfig;
use truc_edge::light::{LightEdge, Manner};
use truc_types::Refusal;

use super::slow_line::SlowLine;
use crate::bench::axis::{Agency, Axis};
use crate::bench::edges;
use crate::bench::figures::defect;
use crate::failure::Failure;

/// How many there are.
pub(super) const COUNT: usize = 3;
/// The one that refuses.
pub(super) const REFUSING: usize = 2;

/// The three, connected as they are meant to be. Dropping them ends their connections.
pub(super) struct Guests {
    _edges: Vec<LightEdge>,
    /// Those that must go on.
    loops: JoinSet<Refusal>,
    /// The slow one, which may end: a line that is so slow is a dead one to both sides after a while.
    _slow: Option<(JoinSet<Refusal>, SlowLine)>,
}

impl Guests {
    /// All three read and register whatever comes.
    pub(super) async fn well(axis: &Axis, agencies: &[Agency]) -> Result<Self, Failure> {
        let (mut edges, mut loops) = (Vec::with_capacity(COUNT), JoinSet::new());
        for agency in agencies {
            edges.push(connect(&edges::open(axis, &agency.code)?, Manner::Registers, &mut loops).await?);
        }
        Ok(Self { _edges: edges, loops, _slow: None })
    }

    /// The first reads a byte a second, the second is away, the third refuses everything.
    pub(super) async fn badly(axis: &Axis, agencies: &[Agency]) -> Result<Self, Failure> {
        let [slow, _away, refusing] = agencies else { return Err(Failure::Usage(format!("{} guests, not {COUNT}", agencies.len()))) };
        let line = SlowLine::to(axis.broker).await.map_err(Failure::Runtime)?;
        let config = edges::open(axis, &slow.code)?;
        let broker =
            format!("https://{}", line.address).parse().map_err(|cause| Failure::BadAnswer(format!("{}: {cause}", line.address)))?;
        let (mut ending, mut loops) = (JoinSet::new(), JoinSet::new());
        let (edge, running) =
            LightEdge::connect(&EdgeConfig { broker, ..config }, Manner::Registers, |_| {}).await.map_err(Failure::Refused)?;
        // From before its delivery stream opens.
        line.slow_down();
        ending.spawn(running.run());
        let refusing = connect(&edges::open(axis, &refusing.code)?, Manner::Refuses, &mut loops).await?;
        Ok(Self { _edges: vec![edge, refusing], loops, _slow: Some((ending, line)) })
    }

    /// What happens beside them, or the first thing that is wrong at one that must go on.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            done = work => done,
            Some(ended) = self.loops.join_next() => Err(ended.map_or_else(|cause| defect(&cause.to_string()), Failure::Refused)),
        }
    }
}

async fn connect(config: &EdgeConfig, manner: Manner, loops: &mut JoinSet<Refusal>) -> Result<LightEdge, Failure> {
    let (edge, running) = LightEdge::connect(config, manner, |_| {}).await.map_err(Failure::Refused)?;
    loops.spawn(running.run());
    Ok(edge)
}
