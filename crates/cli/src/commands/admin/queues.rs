//! `truc admin queues`: what waits for each agency, the oldest first.

use std::time::Duration;

use clap::Args;
use truc_proto::admin::v1 as pb;

use super::remote::{BrokerAddress, PAGES_MAX, age, age_millis, heads, presence};
use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::measure;
use crate::output::Output;

/// How often `--watch` asks.
const WATCH: Duration = Duration::from_secs(2);

/// Show what waits for each agency: how much, since when, in which lane, whether its edge is there. The oldest first.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    broker: BrokerAddress,
    /// Only this agency.
    #[arg(long, value_name = "CODE", default_value = "")]
    agency: String,
    /// Ask again every two seconds until interrupted.
    #[arg(long)]
    watch: bool,
}

#[derive(serde::Serialize)]
struct Queue<'a> {
    agency: &'a str,
    waiting: u64,
    oldest_at: &'a str,
    oldest_age_millis: Option<u64>,
    lanes: Vec<Lane<'a>>,
    leased: u64,
    paused: u64,
    redelivered: u64,
    receipts_waiting: u64,
    connected: bool,
}

#[derive(serde::Serialize)]
struct Lane<'a> {
    lane: &'a str,
    waiting: u64,
    oldest_at: &'a str,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut client = arguments.broker.connect().await?;
    loop {
        let (queues, now) = read(&mut client, &arguments.broker, &arguments.agency).await?;
        print(&queues, &now, output)?;
        if !arguments.watch {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(WATCH).await;
    }
}

/// All pages.
pub(super) async fn read(
    client: &mut super::remote::Client,
    broker: &BrokerAddress,
    agency: &str,
) -> Result<(Vec<pb::Queue>, String), Failure> {
    let (mut queues, mut page_token) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let request = pb::ListQueuesRequest { agency: agency.to_owned(), page_size: 0, page_token };
        let page = client.list_queues(request).await.map_err(|status| broker.failure(&status))?.into_inner();
        queues.extend(page.queues);
        if page.next_page_token.is_empty() {
            return Ok((queues, page.now));
        }
        page_token = page.next_page_token;
    }
    Err(Failure::BadAnswer("more pages than there can be".to_owned()))
}

fn print(queues: &[pb::Queue], now: &str, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return queues.iter().try_for_each(|queue| output.data("", &object(queue, now)));
    }
    let language = output.language();
    let head = [
        ("AGENCY", "CƠ QUAN"),
        ("WAITING", "ĐANG CHỜ"),
        ("OLDEST", "LÂU NHẤT"),
        ("FLASH", "HỎA TỐC"),
        ("V.URGENT", "THƯỢNG KHẨN"),
        ("URGENT", "KHẨN"),
        ("NORMAL", "THƯỜNG"),
        ("LEASED", "ĐANG GIAO"),
        ("PAUSED", "TẠM DỪNG"),
        ("REDELIV.", "GIAO LẠI"),
        ("RECEIPTS", "BIÊN NHẬN"),
        ("EDGE", "NÚT BIÊN"),
    ];
    let mut rows = vec![heads(language, head)];
    for queue in queues {
        let mut cells = vec![queue.agency.clone(), queue.waiting.to_string(), age(&queue.oldest_at, now)];
        cells.extend(queue.lanes.iter().map(|lane| lane.waiting.to_string()));
        cells.extend([queue.leased, queue.paused, queue.redelivered, queue.receipts_waiting].map(|count| count.to_string()));
        cells.push(presence(queue.connected, language).to_owned());
        rows.push(cells);
    }
    let waiting: u64 = queues.iter().map(|queue| queue.waiting).sum();
    let count = language.count(u64::try_from(queues.len()).unwrap_or(u64::MAX), "queue", "queues", "hàng đợi");
    let total = match language {
        Language::En => format!("{} in {count} at {now}", language.count(waiting, "delivery waits", "deliveries wait", "")),
        Language::Vi => format!("{waiting} lượt giao đang chờ trong {count} lúc {now}"),
    };
    output.data(&format!("{}\n{total}", measure::table(&rows)), &())
}

fn object<'a>(queue: &'a pb::Queue, now: &str) -> Queue<'a> {
    let lane = |lane: &'a pb::QueueLane| Lane { lane: &lane.lane, waiting: lane.waiting, oldest_at: &lane.oldest_at };
    Queue {
        agency: &queue.agency,
        waiting: queue.waiting,
        oldest_at: &queue.oldest_at,
        oldest_age_millis: age_millis(&queue.oldest_at, now),
        lanes: queue.lanes.iter().map(lane).collect(),
        leased: queue.leased,
        paused: queue.paused,
        redelivered: queue.redelivered,
        receipts_waiting: queue.receipts_waiting,
        connected: queue.connected,
    }
}
